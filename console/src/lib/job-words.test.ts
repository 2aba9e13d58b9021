import { describe, expect, it } from "vitest";
import { isOpen, progressInWords, queueName, STATES } from "./job-words";

describe("jobs", () => {
  it("are named by their work, whatever its version", () => {
    expect(queueName("bill-ingestion.v1")).toBe("Read a bill");
    expect(queueName("bill-ingestion.v12")).toBe("Read a bill");
    expect(queueName("brand-new.v1")).toBe("Brand new");
  });

  it("can be stopped until they have ended", () => {
    expect(STATES.filter(isOpen)).toEqual(["scheduled", "ready", "running", "retrying", "waiting"]);
  });

  it("tell how far they are in words, and nothing where there is nothing to read", () => {
    expect(progressInWords({ rows_read: 1200, step: "reading", inner: { a: 1 } })).toBe("rows read 1200, step reading");
    for (const odd of [null, undefined, "half", 3, [], {}]) expect(progressInWords(odd)).toBe("");
  });
});
