import { beforeAll, describe, expect, it, vi } from "vitest";
import { ApiError } from "./problem";
import type { BillUpload } from "./types";

const upload = (change: Partial<BillUpload>): BillUpload => ({
  id: "upl_01",
  name: "october.csv",
  size_bytes: 12,
  state: "reading",
  progress: null,
  problem: null,
  bill_id: null,
  created_at: "2026-11-25T12:00:00Z",
  finished_at: null,
  ...change,
});

describe("what an upload has come to", () => {
  let billOf: (upload: BillUpload) => string | null;

  beforeAll(async () => {
    // The typed client asks where it is when it is loaded.
    vi.stubGlobal("window", { location: { origin: "http://localhost" } });
    ({ billOf } = await import("./upload"));
  });

  it("is nothing while it is read", () => {
    expect(billOf(upload({ state: "received" }))).toBeNull();
    expect(billOf(upload({ state: "reading", progress: { step: "reading", permille: 10 } }))).toBeNull();
  });

  it("is its bill, or the one that it repeats", () => {
    expect(billOf(upload({ state: "published", bill_id: "bil_01" }))).toBe("bil_01");
    expect(billOf(upload({ state: "duplicate", bill_id: "bil_02" }))).toBe("bil_02");
  });

  it("is an error in the words of the server", () => {
    const problem = { code: "bill_unreadable", detail: "october.csv is corrupt in line 3" };
    const failed = () => billOf(upload({ state: "failed", problem }));
    expect(failed).toThrow(ApiError);
    expect(failed).toThrow("october.csv is corrupt in line 3");
  });
});
