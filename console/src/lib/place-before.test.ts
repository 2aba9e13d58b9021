import { describe, expect, it } from "vitest";
import { placeBefore, rememberPlace } from "./place-before";

function tab() {
  const held = new Map<string, string>();
  return {
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key),
  };
}

describe("the place before a trip", () => {
  it("is told once", () => {
    const kept = tab();
    rememberPlace(kept, "/account?tab=audit", 0);
    expect(placeBefore(kept, 1_000)).toBe("/account?tab=audit");
    expect(placeBefore(kept, 1_000)).toBeUndefined();
  });

  it("is forgotten when the trip took too long", () => {
    const kept = tab();
    rememberPlace(kept, "/account", 0);
    expect(placeBefore(kept, 10 * 60 * 1_000)).toBeUndefined();
  });

  it("is none where it is not ours", () => {
    for (const place of ["//evil.example", "https://evil.example", "/\\evil.example", ""]) {
      const kept = tab();
      rememberPlace(kept, place, 0);
      expect(placeBefore(kept, 1)).toBeUndefined();
    }
    const kept = tab();
    kept.setItem("costlens.place-before", "no json");
    expect(placeBefore(kept, 1)).toBeUndefined();
  });
});
