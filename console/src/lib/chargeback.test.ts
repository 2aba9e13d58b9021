import { expect, test } from "vitest";
import { askedBy, chargebackFile, lastMonths, rowInWords } from "./chargeback";

test("a tag is asked for by its name, and the months go back over a year's end", () => {
  expect(askedBy("tag:cost-centre")).toEqual({ by: "tag", tag: "cost-centre" });
  expect(askedBy("key")).toEqual({ by: "key" });
  expect(lastMonths(Date.UTC(2026, 1, 28), 3)).toEqual(["2026-02", "2026-01", "2025-12"]);
  expect(chargebackFile("2026-10", askedBy("tag:a.b"), "amortised")).toBe("/api/v1/months/2026-10/chargeback/export?by=tag&tag=a.b&measure=amortised");
});

test("what is charged to nobody is called what it is", () => {
  const row = { kind: "calls", group: null, name: null, issuer: null, code: null } as const;
  expect(rowInWords(row, askedBy("team")).label).toBe("No team");
  expect(rowInWords({ ...row, group: "key_1", name: "ci" }, askedBy("key"))).toEqual({ label: "ci", note: "key_1" });
  expect(rowInWords({ ...row, kind: "beside_calls", issuer: "aws", code: "unproxied" }, askedBy("team")).label).toBe("Around the proxy, AWS");
  expect(rowInWords({ ...row, kind: "unsettled", issuer: "openai" }, askedBy("team")).label).toBe("Not settled yet, OpenAI");
});
