// The query string of a bill's screen.
export const VIEWS = ["service", "model", "token_class", "category", "account", "region", "principal", "accelerator"] as const;
export type View = (typeof VIEWS)[number];

export const MEASURES = ["unblended", "net_unblended", "amortised", "net_amortised", "list"] as const;
export type BillMeasure = (typeof MEASURES)[number];

export interface BillSearch {
  by?: View;
  measure?: BillMeasure;
  currency?: string;
}

export function readBillSearch(search: Record<string, unknown>): BillSearch {
  const found: BillSearch = {};
  if (VIEWS.includes(search.by as View)) found.by = search.by as View;
  if (MEASURES.includes(search.measure as BillMeasure)) found.measure = search.measure as BillMeasure;
  if (typeof search.currency === "string" && /^[A-Z]{3}$/.test(search.currency)) found.currency = search.currency;
  return found;
}
