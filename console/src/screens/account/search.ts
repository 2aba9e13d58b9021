// The query string of the account's screen.
export const ACCOUNT_VIEWS = ["audit", "privacy", "end"] as const;

export interface AccountSearch {
  view?: (typeof ACCOUNT_VIEWS)[number];
}

export function readAccountSearch(search: Record<string, unknown>): AccountSearch {
  return search.view === "end" || search.view === "privacy" ? { view: search.view } : {};
}
