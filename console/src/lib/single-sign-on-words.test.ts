import { expect, test } from "vitest";
import { NEWCOMERS, unlinkedInWords } from "./single-sign-on-words";

test("nobody becomes who runs the account by coming", () => {
  expect(NEWCOMERS.map(({ value }) => value)).toEqual(["viewer", "member", "analyst"]);
});

test("who is not linked is told how, and that it is pressing where single sign-on is required", () => {
  expect(unlinkedInWords(0, true)).toBeNull();
  expect(unlinkedInWords(1, false)).toMatch(/^One member .*before you require it/);
  expect(unlinkedInWords(3, true)).toMatch(/^3 members .*cannot come in/);
});
