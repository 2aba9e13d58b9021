// The query string of the overview.
import { type RangeSearch, readRange } from "@/lib/range";

export const SOURCES = ["both", "proxy", "bill"] as const;
export const GROUPS = ["model", "provider", "key"] as const;
export type Source = (typeof SOURCES)[number];
export type Group = (typeof GROUPS)[number];

export interface OverviewSearch extends RangeSearch {
  source?: Source;
  by?: Group;
}

export function readOverviewSearch(search: Record<string, unknown>): OverviewSearch {
  const found: OverviewSearch = readRange(search);
  if (SOURCES.includes(search.source as Source)) found.source = search.source as Source;
  if (GROUPS.includes(search.by as Group)) found.by = search.by as Group;
  return found;
}
