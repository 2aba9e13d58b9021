import { describe, expect, it } from "vitest";
import { tokenIn, tokenInHash } from "./link-token";

describe("tokens of links", () => {
  it("is found in a whole link, in its fragment and by itself", () => {
    expect(tokenIn("https://costlens.example/welcome#t=acw_0123456789abcdef")).toBe("acw_0123456789abcdef");
    expect(tokenIn("#t=acw_0123456789abcdef")).toBe("acw_0123456789abcdef");
    expect(tokenIn("  acw_0123456789abcdef\n")).toBe("acw_0123456789abcdef");
  });

  it("is not made up from words or a link without one", () => {
    expect(tokenIn("hello")).toBeNull();
    expect(tokenIn("https://costlens.example/welcome")).toBeNull();
  });

  it("is read from the hash alone and decoded", () => {
    expect(tokenInHash("#t=a.b%2Bc")).toBe("a.b+c");
    expect(tokenInHash("#x=1&t=abc&y=2")).toBe("abc");
    expect(tokenInHash("")).toBeNull();
    expect(tokenInHash("#t=")).toBeNull();
    expect(tokenInHash("#not=abc")).toBeNull();
  });

  it("is nothing where the link was cut in the middle of an escape", () => {
    expect(tokenInHash("#t=abc%2")).toBeNull();
    expect(tokenIn("https://costlens.example/welcome#t=abc%2")).toBeNull();
  });
});
