import { describe, expect, it } from "vitest";
import type { Key } from "@/api/types";
import { hasLeft, knownKeysInWords, knownTo } from "./shown-to";

const key = (more: Partial<Key>): Key => ({ name: "app", shown_to: "ann", revoked_at: null, expires_at: null, ...more }) as Key;

describe("who saw a key's secret", () => {
  it("has left where it is no member any more", () => {
    expect(hasLeft(key({}), [{ user_id: "bob" }])).toBe(true);
    expect(hasLeft(key({}), [{ user_id: "ann" }])).toBe(false);
  });

  it("has not left where nobody saw it, or while the members are not known", () => {
    expect(hasLeft(key({ shown_to: null }), [{ user_id: "bob" }])).toBe(false);
    expect(hasLeft(key({}), undefined)).toBe(false);
  });

  it("knows the keys that still work", () => {
    const now = Date.parse("2026-11-27T12:00:00Z");
    const keys = [
      key({ name: "works" }),
      key({ name: "revoked", revoked_at: "2026-11-01T00:00:00Z" }),
      key({ name: "expired", expires_at: "2026-11-27T12:00:00Z" }),
      key({ name: "another's", shown_to: "bob" }),
      key({ name: "ends later", expires_at: "2026-11-28T12:00:00Z" }),
    ];
    expect(knownTo(keys, "ann", now).map(({ name }) => name)).toEqual(["works", "ends later"]);
  });

  it("is said in a sentence", () => {
    expect(knownKeysInWords([])).toBe("");
    expect(knownKeysInWords([{ name: "app" }])).toBe("The member knows the secret of “app”: roll it.");
    expect(knownKeysInWords([{ name: "app" }, { name: "b" }])).toBe("The member knows the secret of “app” and one more: roll them.");
    expect(knownKeysInWords([{ name: "app" }, { name: "b" }, { name: "c" }])).toBe("The member knows the secret of “app” and 2 more: roll them.");
  });
});
