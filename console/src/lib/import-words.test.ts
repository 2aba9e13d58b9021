import { describe, expect, it } from "vitest";
import { importedInWords } from "./import-words";

describe("what became of a log", () => {
  it("is told without what did not happen", () => {
    expect(importedInWords({ taken: 1, known: 0, refused: 0, refusals: [] })).toBe("1 call taken.");
  });

  it("counts what was known and what was refused", () => {
    const refusals = [{ line: 3, detail: "begins in the future" }];
    expect(importedInWords({ taken: 1200, known: 3, refused: 1, refusals })).toBe("1,200 calls taken; 3 known already; 1 refused.");
  });

  it("says that not every refusal is named", () => {
    const refusals = Array.from({ length: 20 }, (_, line) => ({ line, detail: "" }));
    expect(importedInWords({ taken: 0, known: 0, refused: 50, refusals })).toBe("0 calls taken; 50 refused, the first 20 of them below.");
  });
});
