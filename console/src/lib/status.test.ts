import { expect, test } from "vitest";
import { barsInWords, dayInWords, dayState, lasted, partName } from "./status";

const day = (ok: number, degraded: number, down: number, unknown: number) => ({
  day: "2026-11-24",
  ok_minutes: ok,
  degraded_minutes: degraded,
  down_minutes: down,
  unknown_minutes: unknown,
});

test("a day shows the worst that was found, and an unknown one is not well", () => {
  expect(dayState(day(1440, 0, 0, 0))).toBe("ok");
  expect(dayState(day(1430, 10, 0, 0))).toBe("degraded");
  expect(dayState(day(1429, 10, 1, 0))).toBe("down");
  expect(dayState(day(0, 0, 0, 1440))).toBe("unknown");
});

test("a day is told in words", () => {
  expect(dayInWords(day(1440, 0, 0, 0))).toBe("24 Nov 2026: all well");
  expect(dayInWords(day(1000, 2, 7, 431))).toBe("24 Nov 2026: down 7 min, degraded 2 min, unknown 7.2 h");
  expect(dayInWords(day(0, 0, 0, 1440))).toBe("24 Nov 2026: unknown 24 h");
});

test("bars are told in one sentence", () => {
  expect(barsInWords([day(1, 0, 0, 0), day(0, 0, 0, 9), day(0, 0, 1, 0), day(2, 0, 0, 0)])).toBe(
    "The last 4 days: 2 all well, 1 partly down, 1 unknown",
  );
});

test("parts have names, and several of a kind their place", () => {
  expect(partName("proxy").label).toBe("Proxy");
  expect(partName("api/frankfurt").label).toBe("Console and API (frankfurt)");
  expect(partName("queue").label).toBe("queue");
});

test("an incident says how long it lasted or lasts", () => {
  const start = "2026-11-24T10:00:00Z";
  expect(lasted(start, "2026-11-24T10:07:00Z", 0)).toBe("7 min");
  expect(lasted(start, "2026-11-24T12:05:00Z", 0)).toBe("2 h 5 min");
  expect(lasted(start, null, Date.parse("2026-11-24T10:03:30Z"))).toBe("3 min so far");
});
