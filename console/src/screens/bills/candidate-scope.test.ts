import { expect, test } from "vitest";
import type { Candidate } from "@/api/types";
import { isUndecided, matches, narrowed, scopeInWords } from "./candidate-scope";

const CANDIDATE: Candidate = {
  service: "ec2",
  account_id: "222233334444",
  region: "us-east-1",
  instance_type: "p5.48xlarge",
  accelerators: "8 × H100",
  rule_id: null,
  currency: "USD",
  cost: "98.32",
  lines: 1,
};

test("a rule says what was meant and no more", () => {
  const only = { instance_type: true, account_id: true, region: false };
  expect(narrowed(CANDIDATE, only)).toEqual({ service: "ec2", instance_type: "p5.48xlarge", account_id: "222233334444" });
  expect(narrowed(CANDIDATE, { instance_type: false, account_id: false, region: true })).toEqual({ service: "ec2", region: "us-east-1" });
  // What a bill leaves empty would count nothing.
  expect(narrowed({ ...CANDIDATE, instance_type: null, region: "" }, { ...only, region: true })).toEqual({ service: "ec2", account_id: "222233334444" });
});

test("a candidate is being decided upon while rules say otherwise than it stands", () => {
  const rule = { id: "cdr_1", service: "ec2", account_id: null, region: "us-east-1", instance_type: null, created_at: "2026-11-01T00:00:00Z", ended_at: null };
  expect(matches(CANDIDATE, rule)).toBe(true);
  expect(matches(CANDIDATE, { ...rule, region: "eu-west-1" })).toBe(false);
  expect(matches(CANDIDATE, { ...rule, service: "opensearch" })).toBe(false);
  expect(matches({ ...CANDIDATE, instance_type: null }, { ...rule, instance_type: "p5.48xlarge" })).toBe(false);
  expect(isUndecided(CANDIDATE, [rule])).toBe(true);
  expect(isUndecided({ ...CANDIDATE, rule_id: "cdr_1" }, [rule])).toBe(false);
  expect(isUndecided({ ...CANDIDATE, rule_id: "cdr_1" }, [])).toBe(true);
  expect(isUndecided(CANDIDATE, [])).toBe(false);
});

test("a rule reads as a sentence's part", () => {
  expect(scopeInWords(CANDIDATE)).toBe("p5.48xlarge of Amazon EC2 in 222233334444, us-east-1");
  expect(scopeInWords({ service: "opensearch", instance_type: null, account_id: null, region: null })).toBe("all of Amazon OpenSearch that may be AI");
});
