import { describe, expect, it } from "vitest";
import { shortCount, tokenClassLabel, tokenParts, tokensInWords, totalTokens } from "./tokens";

describe("tokens", () => {
  it("are never counted twice: reasoning is a part of output", () => {
    expect(totalTokens({ fresh_input: 10, output: 5, reasoning: 4 } as never)).toBe(15);
  });

  it("fill the bar exactly", () => {
    const parts = tokenParts({ fresh_input: 1, cache_read: 2, output: 1 });
    expect(parts.map((part) => part.percent)).toEqual([25, 50, 25]);
    expect(tokenParts({})).toEqual([]);
  });

  it("are told in words for who does not see the bar", () => {
    expect(tokensInWords({ fresh_input: 1200, output: 3 })).toBe("1,200 fresh input, 3 output");
    expect(tokensInWords({})).toBe("no tokens");
  });

  it("have names, also the classes nobody foresaw", () => {
    expect(tokenClassLabel("cache_write_1h")).toBe("Cache write 1 h");
    expect(tokenClassLabel("image_output")).toBe("Image output");
  });

  it.each([
    [999, "999"],
    [9_999, "9,999"],
    [12_345, "12.3k"],
    [1_234_567, "1.23M"],
    [999_600, "1.00M"],
    [2_000_000_000, "2.00B"],
  ])("%d is written %s", (count, shown) => {
    expect(shortCount(count)).toBe(shown);
  });
});
