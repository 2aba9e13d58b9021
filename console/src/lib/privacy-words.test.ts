import { describe, expect, it } from "vitest";
import { absenceInWords, foreverNote, isShorter, purgeInWords, readableBody } from "./privacy-words";

describe("what is kept of prompts and answers", () => {
  it("says beforehand what a shorter time removes", () => {
    expect(purgeInWords({ body_retention: "7d", bodies: 0, oldest: null, newest: null })).toContain("removes nothing");
    expect(purgeInWords({ body_retention: "7d", bodies: 1, oldest: "2026-11-01", newest: "2026-11-01" })).toContain("1 call of 2026-11-01.");
    expect(purgeInWords({ body_retention: "7d", bodies: 12345, oldest: "2026-10-01", newest: "2026-11-01" })).toContain("12,345 calls of 2026-10-01 to 2026-11-01.");
  });

  it("orders the times by their ends", () => {
    expect(isShorter("7d", "365d")).toBe(true);
    expect(isShorter("forever", "365d")).toBe(false);
    expect(isShorter("90d", "forever")).toBe(true);
    expect(isShorter("30d", "30d")).toBe(false);
  });

  it("says what for ever means here", () => {
    expect(foreverNote({ forever_ends_after_days: null, forever_floor_days: 30 })).toContain("no end");
    expect(foreverNote({ forever_ends_after_days: 400, forever_floor_days: 30 })).toContain("after 400 days");
  });

  it("says why there is nothing to read, and nothing where there is", () => {
    expect(absenceInWords({ presence: "present", state: "sealed" })).toBeUndefined();
    expect(absenceInWords({ presence: "never_kept", state: "dropped_zdr" })).toContain("Zero Data Retention");
    expect(absenceInWords({ presence: "destroyed", state: "sealed" })).toContain("destroyed");
    expect(absenceInWords({ presence: "expired", state: "sealed" })).toContain("over");
  });

  it("breaks JSON into lines and leaves events as they are", () => {
    expect(readableBody('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(readableBody("data: {}\n\n")).toBe("data: {}\n\n");
  });
});
