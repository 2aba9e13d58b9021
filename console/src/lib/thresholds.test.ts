import { describe, expect, it } from "vitest";
import { readThresholds } from "./thresholds";

describe("thresholds", () => {
  it("are read in any order, with or without signs, each once", () => {
    expect(readThresholds("100, 50 80%").percents).toEqual([50, 80, 100]);
    expect(readThresholds("80;80 %").percents).toEqual([80]);
  });

  it("may lie above the amount", () => {
    expect(readThresholds("120 1000").percents).toEqual([120, 1000]);
  });

  it("are whole percents of 1 to 1000", () => {
    for (const text of ["0", "1001", "-5", "12.5", "half", "1e2"]) expect(readThresholds(text).problem).toBeDefined();
    expect(readThresholds("50 half").problem).toContain("half");
  });

  it("are at least one and at most ten", () => {
    expect(readThresholds("  ,").problem).toBeDefined();
    expect(readThresholds("1 2 3 4 5 6 7 8 9 10 11").problem).toContain("at most 10");
    expect(readThresholds("1 2 3 4 5 6 7 8 9 10").percents).toHaveLength(10);
  });
});
