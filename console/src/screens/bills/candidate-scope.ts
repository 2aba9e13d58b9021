// Which candidates a rule counts: as a request has them, and in words.
import type { Candidate, CandidateRule } from "@/api/types";
import { serviceName } from "./names";

/** By which of its properties a candidate is meant; its service always is. */
export interface CandidateScope {
  instance_type: boolean;
  account_id: boolean;
  region: boolean;
}

type Scope = Pick<CandidateRule, "service"> & Partial<Pick<CandidateRule, keyof CandidateScope>>;

/** The scope that says no more of a candidate than is meant. What a bill leaves empty cannot be said. */
export function narrowed(candidate: Candidate, only: CandidateScope) {
  const { service, instance_type, account_id, region } = candidate;
  return {
    service,
    ...(only.instance_type && instance_type ? { instance_type } : {}),
    ...(only.account_id && account_id ? { account_id } : {}),
    ...(only.region && region ? { region } : {}),
  };
}

/** Whether a rule is about a candidate. */
export function matches(candidate: Candidate, rule: Scope): boolean {
  const same = (of: string | null | undefined, its: string | null | undefined) => (of ?? null) === null || of === its;
  return rule.service === candidate.service && same(rule.instance_type, candidate.instance_type) && same(rule.account_id, candidate.account_id) && same(rule.region, candidate.region);
}

/** Whether the rules that hold say otherwise than the candidate stands: then it is being decided upon. */
export function isUndecided(candidate: Candidate, holding: CandidateRule[]): boolean {
  return holding.some((rule) => matches(candidate, rule)) !== Boolean(candidate.rule_id);
}

/** `p5.48xlarge of Amazon EC2 in 222233334444`, `all of Amazon OpenSearch that may be AI`. */
export function scopeInWords({ service, instance_type, account_id, region }: Scope): string {
  const what = instance_type ? `${instance_type} of ${serviceName(service)}` : `all of ${serviceName(service)} that may be AI`;
  const where = [account_id, region].filter(Boolean).join(", ");
  return where ? `${what} in ${where}` : what;
}
