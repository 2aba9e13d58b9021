import { expect, test } from "vitest";
import { AWS_STATE_WORDS, isMoving, monthName } from "./aws-words";

test("a month is named as people say it, whatever the browser's time zone", () => {
  expect(monthName("2026-09")).toBe("September 2026");
  expect(monthName("2027-01")).toBe("January 2027");
});

test("the page looks again for as long as something changes by itself", () => {
  const moving = Object.keys(AWS_STATE_WORDS).filter((state) => isMoving(state as keyof typeof AWS_STATE_WORDS));
  expect(moving).toEqual(["pending", "verifying"]);
});
