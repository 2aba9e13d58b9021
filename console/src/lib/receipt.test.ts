import { describe, expect, it } from "vitest";
import { readFormula, repricedInWords } from "./receipt";

describe("a receipt", () => {
  it("reads the formula back into lines that add up", () => {
    const receipt = readFormula("1000 fresh_input × 2.5/M + 200 output × 10/M", "0.0045");
    expect(receipt?.lines).toEqual([
      { count: "1000", what: "fresh_input", rate: "2.5", per: "million", amount: "0.0025" },
      { count: "200", what: "output", rate: "10", per: "million", amount: "0.002" },
    ]);
    expect(receipt?.addsUp).toBe(true);
  });

  it("notices a cost that is off by the last digit", () => {
    expect(readFormula("1 fresh_input × 0.01/M", "0.00000002")?.addsUp).toBe(false);
  });

  it("reads prices by the piece", () => {
    const receipt = readFormula("3 web_searches × 10/K + 2 images × 0.04", "0.11");
    expect(receipt?.lines.map((line) => line.per)).toEqual(["thousand", "one"]);
    expect(receipt?.addsUp).toBe(true);
  });

  it("keeps what picked the price apart from the sum", () => {
    const receipt = readFormula("flex, input above 272000: 300000 fresh_input × $1.25/M + 2 web_search × $10/k", "0.395");
    expect(receipt).toMatchObject({ terms: "flex, input above 272000", total: "0.395", addsUp: true });
  });

  it("of a call that used nothing has no lines and is zero", () => {
    expect(readFormula("nothing used", "0")).toEqual({ terms: "", lines: [], total: "0", addsUp: true });
  });

  it("does not guess at a formula it does not know", () => {
    expect(readFormula("flat fee of 3 dollars", "3")).toBeNull();
    expect(readFormula("1000 fresh_input × 2.5/M + surcharge", "0.0025")).toBeNull();
  });

  it("says that a call was priced later, and why", () => {
    expect(repricedInWords({ price_version: 3, first_basis: "unpriced" }, "Monday")).toBe("Had no price at first; priced on Monday by price version 3.");
    expect(repricedInWords({ price_version: 0, first_basis: "exact" }, "Monday")).toContain("by the prices that came with the program, because");
  });
});
