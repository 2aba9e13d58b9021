import { describe, expect, it } from "vitest";
import { canCountUnproxied, meterOf, scopeInWords } from "./budget";

describe("a budget's meter", () => {
  it("ends at the amount while nothing lies beyond it", () => {
    const meter = meterOf({ percent: "40.0", thresholds: [50, 100] });
    expect(meter.filled).toBe(40);
    expect(meter.marks.map(({ at, reached }) => [at, reached])).toEqual([
      [50, false],
      [100, false],
    ]);
    expect(meter.tone).toBe("good");
  });

  it("stretches for spending and thresholds beyond the amount", () => {
    expect(meterOf({ percent: "200", thresholds: [100] }).marks[0]?.at).toBe(50);
    expect(meterOf({ percent: "100", thresholds: [200] }).filled).toBe(50);
  });

  it("counts a threshold as reached at exactly its percent", () => {
    expect(meterOf({ percent: "80.0", thresholds: [80] }).tone).toBe("caution");
    expect(meterOf({ percent: "79.9", thresholds: [80] }).tone).toBe("good");
    expect(meterOf({ percent: "100.0", thresholds: [80] }).tone).toBe("worse");
  });

  it("of spending that is not known is empty and reaches nothing", () => {
    const meter = meterOf({ percent: null, thresholds: [1] });
    expect([meter.filled, meter.tone, meter.marks[0]?.reached]).toEqual([0, "good", false]);
  });
});

it("a budget's scope is told narrow or whole", () => {
  const name = (id: string) => (id === "key_1" ? "ci" : id);
  expect(scopeInWords({ api_key_id: null, provider: null, model: null, includes_unproxied: false }, name)).toBe("every call");
  expect(scopeInWords({ api_key_id: null, provider: null, model: null, includes_unproxied: true }, name)).toBe("every call, and what is billed around the proxy");
  expect(scopeInWords({ api_key_id: "key_1", provider: "openai", model: "gpt-5", includes_unproxied: false }, name)).toBe("key ci, provider openai, model gpt-5");
});

it("what is billed around the proxy counts for weeks and months of every call alone", () => {
  expect(canCountUnproxied("month", false).can).toBe(true);
  expect(canCountUnproxied("week", false).can).toBe(true);
  expect(canCountUnproxied("day", false).can).toBe(false);
  expect(canCountUnproxied("month", true).can).toBe(false);
});
