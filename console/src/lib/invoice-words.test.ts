import { expect, test } from "vitest";
import { INVOICE_STATE_WORDS, KEY_PREFIXES, VENDOR_NAMES } from "./invoice-words";

test("each vendor has a name and keys of its own", () => {
  expect(Object.keys(KEY_PREFIXES)).toEqual(Object.keys(VENDOR_NAMES));
  expect(new Set(Object.values(KEY_PREFIXES)).size).toBe(Object.keys(VENDOR_NAMES).length);
});

test("a state that wants somebody looks like it", () => {
  const worse = Object.entries(INVOICE_STATE_WORDS).filter(([, word]) => word.tone === "worse");
  expect(worse.map(([state]) => state)).toEqual(["failing"]);
});
