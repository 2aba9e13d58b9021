import { describe, expect, it } from "vitest";
import { bucketsOf, readRange, spanOf } from "./range";

const NOW = Date.parse("2026-03-10T15:30:12.345Z");

describe("a span", () => {
  it("of days ends with today and begins at midnight UTC", () => {
    const span = spanOf({ range: "7d" }, NOW);
    expect(span).toMatchObject({ from: "2026-03-04T00:00:00Z", to: "2026-03-11T00:00:00Z", interval: "day" });
    expect(bucketsOf(span)).toHaveLength(7);
  });

  it("of a day is told in hours, the present one included", () => {
    const span = spanOf({ range: "24h" }, NOW);
    expect(span).toMatchObject({ from: "2026-03-09T16:00:00Z", to: "2026-03-10T16:00:00Z", interval: "hour" });
    expect(bucketsOf(span)).toHaveLength(24);
  });

  it("of this month begins on the first", () => {
    expect(spanOf({ range: "month" }, NOW).from).toBe("2026-03-01T00:00:00Z");
  });

  it("of two days holds the last one", () => {
    const span = spanOf({ from: "2026-02-27", to: "2026-03-01" }, NOW);
    expect(span.to).toBe("2026-03-02T00:00:00Z");
    expect(bucketsOf(span)).toEqual(["2026-02-27T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"]);
  });

  it("does not move within a minute, so that answers can be kept", () => {
    expect(spanOf({ range: "30d" }, NOW)).toEqual(spanOf({ range: "30d" }, NOW + 59_000));
  });
});

describe("a range in the address", () => {
  it("is two days in order, or a known name, or nothing", () => {
    expect(readRange({ from: "2026-01-02", to: "2026-01-03", range: "7d" })).toEqual({ from: "2026-01-02", to: "2026-01-03" });
    expect(readRange({ from: "2026-01-03", to: "2026-01-02" })).toEqual({});
    expect(readRange({ from: "2026-13-01", to: "2026-13-02" })).toEqual({});
    expect(readRange({ range: "7d" })).toEqual({ range: "7d" });
  });
});
