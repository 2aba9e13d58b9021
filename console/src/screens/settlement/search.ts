// What the address of the settlement screen says: whose bill, the month, the cost and what it is broken down by.
export const MEASURES = ["net_unblended", "unblended", "amortised", "net_amortised"] as const;
export const MEASURE_LABELS = [
  { value: "net_unblended", label: "Net" },
  { value: "unblended", label: "As billed" },
  { value: "amortised", label: "Amortised" },
  { value: "net_amortised", label: "Net amortised" },
] as const;
export const ISSUED_BY = ["aws", "anthropic", "openai", "azure", "google"] as const;
export const GROUPS = ["model", "key", "connection", "origin", "day"] as const;

export interface SettlementSearch {
  issuer?: (typeof ISSUED_BY)[number];
  month?: string;
  measure?: (typeof MEASURES)[number];
  by?: (typeof GROUPS)[number];
}

export function readSettlementSearch(search: Record<string, unknown>): SettlementSearch {
  const { issuer, month, measure, by } = search;
  return {
    ...(ISSUED_BY.some((known) => known === issuer) ? { issuer: issuer as SettlementSearch["issuer"] } : {}),
    ...(typeof month === "string" && /^\d{4}-\d{2}-01$/.test(month) ? { month } : {}),
    ...(MEASURES.some((known) => known === measure) ? { measure: measure as SettlementSearch["measure"] } : {}),
    ...(GROUPS.some((known) => known === by) ? { by: by as SettlementSearch["by"] } : {}),
  };
}
