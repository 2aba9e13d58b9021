// The query string of the account's screen.
export const ACCOUNT_VIEWS = ["audit", "end"] as const;

export interface AccountSearch {
  view?: (typeof ACCOUNT_VIEWS)[number];
}

export function readAccountSearch(search: Record<string, unknown>): AccountSearch {
  return search.view === "end" ? { view: "end" } : {};
}
