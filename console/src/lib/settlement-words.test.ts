import { describe, expect, it } from "vitest";
import { monthInWords, principalInWords } from "./settlement-words";

describe("settlement in words", () => {
  it("names a month whatever the reader's time zone", () => {
    expect(monthInWords("2026-10-01")).toBe("October 2026");
  });

  it("calls a principal by the last part of its name", () => {
    expect(principalInWords("arn:aws:iam::222222222222:user/alice")).toBe("alice");
    expect(principalInWords("arn:aws:sts::222222222222:assumed-role/checkout/i-0a1b2c3d")).toBe("checkout/i-0a1b2c3d");
    expect(principalInWords("")).toBe("not named");
  });
});
