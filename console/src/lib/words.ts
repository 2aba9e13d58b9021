// Plain words for the ledger's terms: what a label says and what it means.
import type { RequestRow } from "@/api/types";

type Outcome = RequestRow["outcome"];
type CostBasis = RequestRow["cost_basis"];

export type Tone = "good" | "neutral" | "caution" | "worse" | "bill";

export interface Word {
  label: string;
  meaning: string;
  tone: Tone;
}

export const OUTCOME_WORDS: Record<Outcome, Word> = {
  completed: { label: "Completed", meaning: "The provider's answer reached its end.", tone: "good" },
  failed: { label: "Failed", meaning: "The provider refused, failed, timed out or could not be reached.", tone: "worse" },
  client_gone: { label: "Client hung up", meaning: "The client closed the connection before the end.", tone: "caution" },
  interrupted: {
    label: "Interrupted",
    meaning: "The proxy stopped in the middle of this call; the row was recovered from its journal.",
    tone: "caution",
  },
};

export const BASIS_WORDS: Record<CostBasis, Word> = {
  exact: { label: "Exact", meaning: "The provider reported the tokens and their price is known.", tone: "good" },
  estimated: {
    label: "Estimated",
    meaning: "The provider did not report the tokens, so they were counted here. The bill may differ.",
    tone: "caution",
  },
  unpriced: {
    label: "Unpriced",
    meaning: "No price is known for this model, or nobody counted its tokens. What it cost we do not know; it is not zero.",
    tone: "neutral",
  },
};

export const ORIGIN_WORDS: Record<RequestRow["origin"], Pick<Word, "label" | "meaning">> = {
  proxy: { label: "Proxy", meaning: "The call went through the proxy, which counted it." },
  litellm: { label: "LiteLLM", meaning: "The call was imported from a LiteLLM's spend logs, and priced here." },
  otlp: { label: "OpenTelemetry", meaning: "The program that made the call sent it as a span; it was priced here." },
};

export const SOURCE_WORDS = {
  proxy: {
    label: "Estimate",
    meaning: "Priced by Costlens from list prices at the moment of each call. Your bill may differ.",
    tone: "good",
  },
  bill: {
    label: "Bill",
    meaning: "What the cloud provider charged, from a report you imported.",
    tone: "bill",
  },
} as const satisfies Record<string, Word>;

export const HANGUP_WORDS = {
  drain: { label: "Drain", meaning: "Read on to the end, within bounds, so that the cost is exact." },
  abort: { label: "Abort", meaning: "Stop the provider at once; what was seen is estimated." },
} as const;

export const SCOPE_WORDS = {
  proxy: { label: "Calls", meaning: "Calling models through the proxy." },
  "requests.read": { label: "Reading requests", meaning: "The calls of the whole organisation and their receipts." },
  "spend.read": { label: "Reading spend", meaning: "What was spent, over time and by what." },
  "bills.read": { label: "Reading bills", meaning: "Bills and what they say about AI." },
  "calls.import": { label: "Handing in calls", meaning: "Spans by OpenTelemetry and logs of LiteLLM, of calls that never passed the proxy." },
} as const;

export const STREAM_USAGE_WORDS = {
  inject: { label: "Ask for usage", meaning: "Ask the provider for its token count and hide the extra chunk from the client." },
  estimate: { label: "Estimate", meaning: "Leave the request untouched and estimate the tokens." },
} as const;

export const DURABILITY_WORDS = {
  spool: { label: "Journal", meaning: "Fastest. Written before the call, on disk within 50 ms." },
  fsync: { label: "Journal on disk", meaning: "The last byte waits until the journal is on disk." },
  database: { label: "Database", meaning: "The last byte waits until the row is committed." },
} as const;
