// What the address of the chargeback screen says: the month, to whom, and which of the bills' costs.
import { MEASURES } from "@/screens/settlement/search";

export const DIMENSIONS = ["team", "key", "user", "model"] as const;

export interface ChargebackSearch {
  month?: string;
  /** `team`, `key`, `user`, `model`, or `tag:` and a tag's name. */
  by?: string;
  measure?: (typeof MEASURES)[number];
}

export function readChargebackSearch(search: Record<string, unknown>): ChargebackSearch {
  const { month, by, measure } = search;
  return {
    ...(typeof month === "string" && /^\d{4}-(0[1-9]|1[0-2])$/.test(month) ? { month } : {}),
    ...(typeof by === "string" && /^(team|key|user|model|tag:[a-z][a-z0-9_.-]{0,62})$/.test(by) ? { by } : {}),
    ...(MEASURES.some((known) => known === measure) ? { measure: measure as ChargebackSearch["measure"] } : {}),
  };
}
