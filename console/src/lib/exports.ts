// Plain words for exports: what they hold, how far they are, and what can be done with them.
import type { Export } from "@/api/types";
import { OUTCOME_WORDS, type Word } from "./words";

export const EXPORT_STATES: Record<Export["state"], Word> = {
  queued: { label: "Queued", meaning: "It waits for a worker.", tone: "neutral" },
  running: { label: "Writing", meaning: "A worker writes the file.", tone: "caution" },
  done: { label: "Ready", meaning: "The file is whole and can be downloaded.", tone: "good" },
  failed: { label: "Failed", meaning: "There is no file; the row says why.", tone: "worse" },
  cancelled: { label: "Cancelled", meaning: "Somebody stopped it. There is no file.", tone: "neutral" },
  expired: { label: "Expired", meaning: "The file is gone. Ask for it again to have the present state.", tone: "neutral" },
};

export const EXPORT_KINDS: Record<Export["what"], { label: string; note: string }> = {
  requests: { label: "Requests", note: "Every proxied call, one a row." },
  focus: { label: "FOCUS 1.2", note: "Bills by day and calls by hour in one file, in the columns of the FinOps Foundation's specification." },
  focus_settled: { label: "FOCUS, settled", note: "Calls at what they cost by their bill, and what the bills have beside them: each dollar once." },
  hourly_spend: { label: "Hourly spend", note: "One row for each hour, key, provider, model, outcome and basis." },
};

export const EXPORT_FORMATS: Record<Export["format"], { label: string; note: string }> = {
  csv: { label: "CSV", note: "For spreadsheets. Amounts are exact; unknown is empty." },
  parquet: { label: "Parquet", note: "For warehouses, of FOCUS alone. Amounts are decimals, times are UTC." },
  jsonl: { label: "JSON Lines", note: "For programs. Amounts are text; unknown is null." },
};

/** Whether it has FOCUS' columns, which the period alone narrows. */
export function isFocus(what: Export["what"]): boolean {
  return what === "focus" || what === "focus_settled";
}

/** Whether a worker has still to do with it. */
export function isUnderWay({ state }: Pick<Export, "state">): boolean {
  return state === "queued" || state === "running";
}

/** How far it is: `1,204 rows, 37 %`. */
export function progressOf({ state, rows, permille }: Pick<Export, "state" | "rows" | "permille">): string {
  const count = `${rows.toLocaleString("en-US")} ${rows === 1 ? "row" : "rows"}`;
  return state === "running" ? `${count}, ${Math.floor(permille / 10)} %` : count;
}

type Filter = Export["filter"];

/** What narrows it, but for the period: `key checkout, openai, gpt-4o, failed`; empty where nothing does. */
export function narrowedBy(filter: Filter, nameOf: { key: (id: string) => string; connection: (id: string) => string }): string {
  const parts = [
    filter.api_key_id ? `key ${nameOf.key(filter.api_key_id)}` : null,
    filter.connection_id ? `connection ${nameOf.connection(filter.connection_id)}` : null,
    filter.provider,
    filter.model,
    filter.outcome ? OUTCOME_WORDS[filter.outcome].label.toLowerCase() : null,
  ];
  return parts.filter((part) => part).join(", ");
}

/** Where the file is. */
export function fileAddress(id: string): string {
  return `/api/v1/exports/${encodeURIComponent(id)}/file`;
}

/** Two UTC days, the last included, as the API takes them; a day that is not whole is no day. */
export function periodOf(first: string, last: string): { from?: string; to?: string } | { problem: string } {
  const day = /^\d{4}-\d{2}-\d{2}$/;
  const bad = [first, last].some((text) => text !== "" && (!day.test(text) || Number.isNaN(Date.parse(text))));
  if (bad) return { problem: "Days have the form 2026-11-01." };
  if (first !== "" && last !== "" && last < first) return { problem: "The last day is before the first." };
  const next = last === "" ? undefined : new Date(Date.parse(last) + 86_400_000).toISOString().replace(".000Z", "Z");
  return { ...(first === "" ? {} : { from: `${first}T00:00:00Z` }), ...(next ? { to: next } : {}) };
}
