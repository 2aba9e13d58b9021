import { describe, expect, it } from "vitest";
import { ago, clockTime, duration, fullTime, momentWithZone, until } from "./time";

describe("times", () => {
  it("are told in the zone that is printed beside them", () => {
    expect(clockTime("2026-01-15T23:30:05Z", "UTC")).toBe("23:30:05");
    expect(fullTime("2026-01-15T23:30:05Z", "Europe/Berlin")).toBe("16 Jan 2026, 00:30:05");
  });

  it("are relative while that says more", () => {
    const now = Date.parse("2026-03-10T12:00:00Z");
    expect(ago("2026-03-10T11:59:55Z", now, "UTC")).toBe("just now");
    expect(ago("2026-03-10T11:48:00Z", now, "UTC")).toBe("12 min ago");
    expect(ago("2026-03-09T11:00:00Z", now, "UTC")).toBe("yesterday");
    expect(ago("2026-01-01T00:00:00Z", now, "UTC")).toBe("1 Jan 2026");
  });

  it("to come are relative, too, and what is past is due", () => {
    const now = Date.parse("2026-03-10T12:00:00Z");
    expect(until("2026-03-10T12:00:40Z", now, "UTC")).toBe("in 40 s");
    expect(until("2026-03-10T12:12:00Z", now, "UTC")).toBe("in 12 min");
    expect(until("2026-03-11T12:00:00Z", now, "UTC")).toBe("in 24 h");
    expect(until("2026-03-17T12:00:00Z", now, "UTC")).toBe("in 7 days");
    expect(until("2026-05-01T00:00:00Z", now, "UTC")).toBe("on 1 May 2026");
    expect(until("2026-03-10T11:59:59Z", now, "UTC")).toBe("due now");
  });

  it("that somebody acts by carry their zone", () => {
    expect(momentWithZone("2026-01-15T23:30:05Z", "Europe/Berlin")).toBe("16 Jan 2026, 00:30 Europe/Berlin");
  });

  it("of calls carry their unit", () => {
    expect([duration(0), duration(812), duration(3417), duration(125_000)]).toEqual(["< 1 ms", "812 ms", "3.42 s", "2 min 05 s"]);
  });
});
