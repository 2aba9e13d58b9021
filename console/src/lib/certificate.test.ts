import { describe, expect, it } from "vitest";
import { readCertificate } from "./certificate";

describe("a certificate of deletion", () => {
  it("is read with its steps in words", () => {
    const certificate = readCertificate({
      number: "era_0",
      requested_at: "2026-11-01T00:00:00Z",
      begun_at: null,
      erased_at: "2026-11-08T00:00:00Z",
      steps: { rows: { requests: 12, at: "2026-11-08" }, files: 0 },
      tag: "ab",
    });
    expect(certificate?.begunAt).toBeUndefined();
    expect(certificate?.steps).toEqual([
      { name: "rows", details: "requests 12, at 2026-11-08" },
      { name: "files", details: "0" },
    ]);
  });

  it("is none without its number", () => {
    for (const odd of [null, "era_0", {}, { number: 3 }]) expect(readCertificate(odd)).toBeNull();
  });
});
