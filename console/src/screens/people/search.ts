// What the sign-in's address says: where to go on, and why the browser came back with nothing.
import { readWelcomeSearch, type WelcomeSearch } from "../welcome";

export interface SignInSearch extends WelcomeSearch {
  problem?: string;
}

export function readSignInSearch(search: Record<string, unknown>): SignInSearch {
  const { problem } = search;
  return { ...readWelcomeSearch(search), ...(typeof problem === "string" && problem.length < 60 ? { problem } : {}) };
}
