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

/** `p5.48xlarge of Amazon EC2 in 222233334444`, `all of Amazon OpenSearch that may be AI`. */
export function scopeInWords({ service, instance_type, account_id, region }: Scope): string {
  const what = instance_type ? `${instance_type} of ${serviceName(service)}` : `all of ${serviceName(service)} that may be AI`;
  const where = [account_id, region].filter(Boolean).join(", ");
  return where ? `${what} in ${where}` : what;
}
