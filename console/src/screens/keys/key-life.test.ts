import { expect, test } from "vitest";
import { endOf } from "./key-life";

test("a key's end is so many days away, or there is none", () => {
  const now = Date.parse("2026-11-26T12:00:00Z");
  expect(endOf("never", now)).toBeUndefined();
  expect(endOf("days30", now)).toBe("2026-12-26T12:00:00.000Z");
  expect(endOf("days365", now)).toBe("2027-11-26T12:00:00.000Z");
});
