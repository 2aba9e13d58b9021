import { describe, expect, it } from "vitest";
import { countFilters, exportAddress, readFilters, toQuery } from "./filters";

const NOW = Date.parse("2026-03-10T15:30:00Z");

describe("filters in the address", () => {
  it("survive a round trip", () => {
    const filters = { model: "gpt-4o", outcome: "failed", range: "7d", id: "req_1" } as const;
    const address = new URLSearchParams(filters);
    expect(readFilters(Object.fromEntries(address))).toEqual(filters);
  });

  it("leave out what is unknown, empty or not one of the values", () => {
    expect(readFilters({ outcome: "exploded", provider: "", model: "  ", admin: "true", range: "forever" })).toEqual({});
  });

  it("take a model name that looks like a number", () => {
    expect(readFilters({ model: 4 })).toEqual({ model: "4" });
  });

  it("ask for everything when nothing is set", () => {
    expect(toQuery({}, NOW)).toEqual({});
  });

  it("turn a range into bounds and keep the rest", () => {
    expect(toQuery({ provider: "openai", range: "7d" }, NOW)).toEqual({
      provider: "openai",
      from: "2026-03-04T00:00:00Z",
      to: "2026-03-11T00:00:00Z",
    });
  });

  it("never send the open row along", () => {
    expect(toQuery(readFilters({ id: "req_1", model: "x" }), NOW)).toEqual({ model: "x" });
  });

  it("tell apart who saw a call", () => {
    expect(toQuery(readFilters({ origin: "otlp" }), NOW)).toEqual({ origin: "otlp" });
    expect(readFilters({ origin: "somebody" })).toEqual({});
  });

  it("are counted once each", () => {
    expect(countFilters({ model: "x", from: "2026-01-01", to: "2026-01-02" })).toBe(2);
    expect(countFilters({ origin: "litellm" })).toBe(1);
  });

  it("reach the export escaped", () => {
    expect(exportAddress({ model: "a b&c" }, "csv", NOW)).toBe("/api/v1/requests/export?format=csv&model=a+b%26c");
  });
});
