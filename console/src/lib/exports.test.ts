import { expect, test } from "vitest";
import { fileAddress, isUnderWay, narrowedBy, periodOf, progressOf } from "./exports";

test("progress tells rows, and a share while it is being written", () => {
  expect(progressOf({ state: "running", rows: 1204, permille: 379 })).toBe("1,204 rows, 37 %");
  expect(progressOf({ state: "done", rows: 1, permille: 1000 })).toBe("1 row");
  expect(progressOf({ state: "queued", rows: 0, permille: 0 })).toBe("0 rows");
});

test("only what a worker has to do with is under way", () => {
  const open = (["queued", "running", "done", "failed", "cancelled", "expired"] as const).filter((state) => isUnderWay({ state }));
  expect(open).toEqual(["queued", "running"]);
});

test("what narrows an export is told by names", () => {
  const none = { from: null, to: null, api_key_id: null, connection_id: null, provider: null, model: null, outcome: null };
  const nameOf = { key: () => "checkout", connection: () => "main" };
  expect(narrowedBy(none, nameOf)).toBe("");
  expect(narrowedBy({ ...none, api_key_id: "key_1", connection_id: "con_1", model: "gpt-4o", outcome: "client_gone" }, nameOf)).toBe(
    "key checkout, connection main, gpt-4o, client hung up",
  );
});

test("a period is whole days, the last one included", () => {
  expect(periodOf("2026-10-01", "2026-10-31")).toEqual({ from: "2026-10-01T00:00:00Z", to: "2026-11-01T00:00:00Z" });
  expect(periodOf("", "")).toEqual({});
  expect(periodOf("2026-10-01", "")).toEqual({ from: "2026-10-01T00:00:00Z" });
  expect(periodOf("2026-10-02", "2026-10-01")).toHaveProperty("problem");
  expect(periodOf("yesterday", "")).toHaveProperty("problem");
  expect(periodOf("2026-13-01", "")).toHaveProperty("problem");
});

test("an address leads to the file", () => {
  expect(fileAddress("exp_1")).toBe("/api/v1/exports/exp_1/file");
});
