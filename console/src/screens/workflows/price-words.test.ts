import { expect, it } from "vitest";
import { changesInWords, dayStart, reasonInWords } from "./price-words";

it("says what a price document changes", () => {
  expect(changesInWords({ added_count: 0, removed_count: 0, changed_count: 0, moved_count: 0 })).toBe("no figure");
  expect(changesInWords({ added_count: 1, removed_count: 0, changed_count: 1200, moved_count: 0 })).toBe("1 new model, 1,200 figures");
  expect(changesInWords({ added_count: 2, removed_count: 1, changed_count: 1, moved_count: 2 })).toBe("2 new models, 1 model gone, 1 figure, 2 names moved");
});

it("says why somebody must look", () => {
  const change = { price_id: "openai/gpt-4o", row: "standard", class: "cache_read", old: "1", new: "9" };
  expect(reasonInWords({ why: "jump", model: "openai/gpt-4o", change })).toBe("openai/gpt-4o cache read, standard: 1 → 9 (five times or more)");
  expect(reasonInWords({ why: "rate_vanished", model: "p/m", change: { ...change, new: null } })).toContain("1 → none");
  expect(reasonInWords({ why: "outlier", model: "openai/gpt-4o", change: { ...change, old: null } })).toContain("none → 9 (new, and like no other price)");
  expect(reasonInWords({ why: "moved", model: "openai/gpt-4", change })).toBe("openai/gpt-4 to openai/gpt-4o cache read, standard: 1 → 9 (its name goes to another entry, at another price)");
  expect(reasonInWords({ why: "vanished", model: "p/m", change: null })).toBe("p/m (calls use it, and it has no price any more)");
});

it("takes a day and nothing else", () => {
  expect(dayStart(" 2026-11-01 ")).toBe("2026-11-01T00:00:00.000Z");
  for (const wrong of ["", "2026-11-31", "2026-1-1", "yesterday", "2026-11-01T10:00:00Z"]) expect(dayStart(wrong)).toBeNull();
});
