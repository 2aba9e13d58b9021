// Plain words for what is kept of prompts and answers, and for how long.
import type { BodyPurge, BodyRetention, Privacy, RequestBody, RequestRow } from "@/api/types";

export const RETENTION_WORDS: Record<BodyRetention, string> = {
  "7d": "7 days",
  "30d": "30 days",
  "90d": "90 days",
  "365d": "1 year",
  forever: "For ever",
};

export const RETENTIONS = Object.keys(RETENTION_WORDS) as BodyRetention[];

/** What is kept for ever has an end only where the operator of the service set one. */
export function foreverNote({ forever_ends_after_days: days, forever_floor_days: floor }: Pick<Privacy, "forever_ends_after_days" | "forever_floor_days">): string {
  return days === null || days === undefined
    ? `At least ${floor} days are promised; this service sets no end after that.`
    : `This service lets go of it after ${days} days; at least ${floor} are promised.`;
}

/** What the next nightly purge takes if the time is made shorter. */
export function purgeInWords(purge: Pick<BodyPurge, "bodies" | "oldest" | "newest" | "body_retention">): string {
  if (purge.bodies === 0) return "Nothing that is kept now is older than that: the next purge removes nothing for it.";
  const calls = purge.bodies === 1 ? "1 call" : `${purge.bodies.toLocaleString("en-US")} calls`;
  const days = purge.oldest === purge.newest ? `of ${purge.oldest}` : `of ${purge.oldest} to ${purge.newest}`;
  return `The next nightly purge removes prompt and answer of ${calls} ${days}. That cannot be undone. What they used and cost stays.`;
}

/** Whether a retention ends sooner than another. */
export function isShorter(wanted: BodyRetention, present: BodyRetention): boolean {
  return RETENTIONS.indexOf(wanted) < RETENTIONS.indexOf(present);
}

const STATES: Record<RequestRow["body"], string> = {
  none: "Prompt and answer were not kept: nobody asked for it.",
  sealed: "Prompt and answer were kept, sealed.",
  truncated: "Prompt and answer were kept, sealed; the end of one is missing, because it was longer than what is kept.",
  dropped_zdr: "Zero Data Retention: prompt and answer were never kept anywhere.",
  unavailable: "Prompt and answer were to be kept, and could not be without slowing or failing the call.",
};

/** What became of a call's prompt and answer when it ended. */
export function bodyInWords(state: RequestRow["body"]): string {
  return STATES[state];
}

/** Why there is nothing to read any more; nothing where there is. */
export function absenceInWords({ presence, state }: Pick<RequestBody, "presence" | "state">): string | undefined {
  switch (presence) {
    case "expired":
      return "They were kept, and their time is over.";
    case "destroyed":
      return "They were kept, and the key that sealed them was destroyed: nobody can read them any more.";
    case "never_kept":
      return bodyInWords(state);
    case "present":
      return undefined;
  }
}

/** JSON with breaks and indents; anything else, and events, as it is. */
export function readableBody(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
