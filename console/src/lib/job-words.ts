// Plain words for durable work: what a job is, how far it is, and whose fault a failure was.
import type { JobClass, JobState } from "@/api/types";
import { readable } from "./notice-words";
import type { Word } from "./words";

export const JOB_STATES: Record<JobState, Word> = {
  scheduled: { label: "Scheduled", meaning: "It is due later.", tone: "neutral" },
  ready: { label: "Ready", meaning: "It is due and waits for a worker.", tone: "neutral" },
  running: { label: "Running", meaning: "A worker is at it.", tone: "good" },
  retrying: { label: "Retrying", meaning: "An attempt failed; the next one has its time.", tone: "caution" },
  waiting: { label: "Waiting", meaning: "It is parked until something happens.", tone: "neutral" },
  done: { label: "Done", meaning: "It reached its end.", tone: "good" },
  dead: { label: "Dead letter", meaning: "It gave up. The operator can bring it back.", tone: "worse" },
  cancelled: { label: "Cancelled", meaning: "Somebody stopped it, or it was put away.", tone: "neutral" },
};

export const JOB_CLASSES: Record<JobClass, Word> = {
  transient: { label: "Passing", meaning: "Something that passes: a network, a restart, a lock.", tone: "caution" },
  throttled: { label: "Throttled", meaning: "Somebody asked us to slow down.", tone: "caution" },
  customer_action: { label: "Yours to mend", meaning: "Only the account's people can mend it: a permission, a full mailbox.", tone: "caution" },
  bug: { label: "Ours to mend", meaning: "A fault of Costlens: something nobody could read, a timeout, a panic.", tone: "worse" },
  expired: { label: "Too late", meaning: "It came too late to be of use.", tone: "neutral" },
};

export const STATES = Object.keys(JOB_STATES) as JobState[];
export const CLASSES = Object.keys(JOB_CLASSES) as JobClass[];

const QUEUES: Record<string, string> = {
  "bill-ingestion": "Read a bill",
  "bill-uploads": "Look after uploads",
  export: "Write an export",
  exports: "Look after exports",
  message: "Send a message",
  "message-sweep": "Look after messages",
  event: "Tell an event",
  webhook: "Deliver a webhook",
  "webhook-forget": "Forget a webhook",
  digest: "Write the digests",
  budgets: "Look at budgets",
  anomalies: "Look for surprising hours",
  insight: "Look at the facts",
  "insight-nights": "Look at everybody's facts",
  "settle_month": "Settle a month",
  "candidates": "Decide what counts as AI",
  "settlement-nights": "Settle months again",
  erasure: "Erase an account",
  "erasure-sweep": "Look after erasures",
  "sso-domains": "Look for domains' records",
  status: "Look at the service",
  "key-rotation": "Wrap keys anew",
  prices: "Fetch the prices",
  price_unpriced: "Look for calls without a price",
  spread_correction: "Look for calls of a corrected price",
  reprice_tenant: "Price calls later",
  partitions: "Make room for days to come",
  retention: "Drop what is too old",
  "queue-rows": "Drop finished work",
  "dead-letters": "Tell of dead letters",
};

/** What a queue's work is, without the version of what it works on. */
export function queueName(queue: string): string {
  const name = queue.replace(/\.v\d+$/, "");
  return QUEUES[name] ?? readable(name);
}

/** Whether a person can still stop it. */
export function isOpen(state: JobState): boolean {
  return state !== "done" && state !== "dead" && state !== "cancelled";
}

/** What a job says of how far it is, as `written 3, skipped 1`; empty where it says nothing readable. */
export function progressInWords(progress: unknown): string {
  if (typeof progress !== "object" || progress === null || Array.isArray(progress)) return "";
  return Object.entries(progress)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${String(value)}`)
    .join(", ");
}
