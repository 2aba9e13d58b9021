// The filters of the request list. The URL is their only home: a reload, a link and the back button keep them.
import { type RangeSearch, readRange, spanOf } from "./range";

export const OUTCOMES = ["completed", "failed", "client_gone", "interrupted"] as const;

export const ORIGINS = ["proxy", "litellm", "otlp"] as const;

export type Origin = (typeof ORIGINS)[number];

export type Outcome = (typeof OUTCOMES)[number];

export interface RequestFilters extends RangeSearch {
  api_key_id?: string;
  provider?: string;
  model?: string;
  outcome?: Outcome;
  origin?: Origin;
}

/** The query string of the screen: the filters and the row whose receipt is open. */
export interface RequestSearch extends RequestFilters {
  id?: string;
}

function text(value: unknown): string | undefined {
  const trimmed = typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
  return trimmed === "" ? undefined : trimmed.slice(0, 200);
}

function oneOf<T extends string>(values: readonly T[], value: unknown): T | undefined {
  return values.includes(value as T) ? (value as T) : undefined;
}

/** What of a query string is a filter; unknown names and values are left out, never passed on. */
export function readFilters(search: Record<string, unknown>): RequestSearch {
  const filters: RequestSearch = {
    ...readRange(search),
    api_key_id: text(search.api_key_id),
    provider: text(search.provider),
    model: text(search.model),
    outcome: oneOf(OUTCOMES, search.outcome),
    origin: oneOf(ORIGINS, search.origin),
    id: text(search.id),
  };
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined));
}

export interface RequestQuery {
  api_key_id?: string;
  provider?: string;
  model?: string;
  outcome?: Outcome;
  origin?: Origin;
  from?: string;
  to?: string;
}

/** The filters as the API takes them. Without a range there is no bound, so that the newest row is always there. */
export function toQuery(filters: RequestFilters, now: number): RequestQuery {
  const { range, from, to, api_key_id, provider, model, outcome, origin } = filters;
  const query: RequestQuery = { api_key_id, provider, model, outcome, origin };
  if (range ?? from) {
    const span = spanOf({ range, from, to }, now);
    query.from = span.from;
    query.to = span.to;
  }
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

export function countFilters(filters: RequestFilters): number {
  const { api_key_id, provider, model, outcome, origin, range, from } = filters;
  return [api_key_id, provider, model, outcome, origin, range ?? from].filter(Boolean).length;
}

/** The address of the server-side export for these filters. */
export function exportAddress(filters: RequestFilters, format: "csv" | "jsonl", now: number): string {
  const query = new URLSearchParams({ format, ...toQuery(filters, now) });
  return `/api/v1/requests/export?${query}`;
}
