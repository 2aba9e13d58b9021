import { describe, expect, it } from "vitest";
import { add, compare, divide, multiply, parseDecimal, round, shift, sum, toShortText, toText, type Decimal } from "./decimal";

const of = (text: string): Decimal => {
  const value = parseDecimal(text);
  if (!value) throw new Error(`${text} is no decimal`);
  return value;
};

describe("exact decimals", () => {
  it("keep every digit, where a float would not", () => {
    expect(toText(add(of("0.1"), of("0.2")))).toBe("0.3");
    expect(toShortText(add(of("9007199254740993"), of("0.00000001")))).toBe("9007199254740993.00000001");
  });

  it("are read plain and in E-notation", () => {
    expect(toText(of("1.81E-8"))).toBe("0.0000000181");
    expect(toText(of("2e3"))).toBe("2000");
    expect(toText(of("-0.50"))).toBe("-0.50");
  });

  it("refuse what is no decimal", () => {
    for (const text of ["", "abc", "1,5", "NaN", "Infinity", "0x1", "1 2", "--1", "1.", ".5", "1e9999"]) {
      expect(parseDecimal(text), text).toBeNull();
    }
  });

  it("round half away from zero, on both sides of it", () => {
    expect(toText(round(of("0.125"), 2))).toBe("0.13");
    expect(toText(round(of("-0.125"), 2))).toBe("-0.13");
    expect(toText(round(of("0.1249999"), 2))).toBe("0.12");
    expect(toText(round(of("7"), 2))).toBe("7.00");
  });

  it("multiply and shift exactly", () => {
    expect(toShortText(shift(multiply(of("1000"), of("2.5")), 6))).toBe("0.0025");
  });

  it("divide to a named number of places", () => {
    expect(toText(divide(of("1"), of("3"), 4) ?? of("0"))).toBe("0.3333");
    expect(toText(divide(of("2"), of("0.03"), 2) ?? of("0"))).toBe("66.67");
    expect(divide(of("1"), of("0"), 2)).toBeNull();
  });

  it("compare across scales", () => {
    expect(compare(of("1.50"), of("1.5"))).toBe(0);
    expect(compare(of("-1"), of("0.1"))).toBe(-1);
    expect(compare(of("10"), of("9.99"))).toBe(1);
  });

  it("do not add up with something that is no decimal", () => {
    expect(sum(["1", "oops"])).toBeNull();
    expect(toText(sum([]) ?? of("9"))).toBe("0");
  });
});
