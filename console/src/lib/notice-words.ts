// Plain words for whom is told, what went out, and how it fared.
import type { Message, Recipient, SlackChannel, WebhookDelivery, WebhookEndpoint } from "@/api/types";
import type { Word } from "./words";

/** How far a person is: asked, told, or told nothing more. */
export function recipientWord(recipient: Pick<Recipient, "confirmed_at" | "stopped_at" | "stop_reason">): Word {
  if (recipient.stop_reason === "bounced") {
    return { label: "Bounced", meaning: "The mail server there refused the address for good, so nothing goes there.", tone: "worse" };
  }
  if (recipient.stopped_at) {
    return { label: "Unsubscribed", meaning: "Whoever reads this address asked for nothing more. Asking again is theirs to answer.", tone: "neutral" };
  }
  if (!recipient.confirmed_at) {
    return { label: "Waiting", meaning: "A mail asked whether it wants this. Nothing else goes there before it says yes.", tone: "caution" };
  }
  return { label: "Confirmed", meaning: "The addressee said yes; mail goes there.", tone: "good" };
}

export function channelWord(channel: Pick<SlackChannel, "stopped_at">): Word {
  return channel.stopped_at
    ? { label: "Stopped", meaning: "Slack refused this URL, so nothing goes there. Another URL starts it again.", tone: "worse" }
    : { label: "Working", meaning: "Messages go there.", tone: "good" };
}

export function endpointWord(endpoint: Pick<WebhookEndpoint, "stopped_at" | "failing_since">): Word {
  if (endpoint.stopped_at) {
    return { label: "Stopped", meaning: "It is told nothing. A change of the endpoint starts it again.", tone: "worse" };
  }
  if (endpoint.failing_since) {
    return { label: "Failing", meaning: "No delivery has succeeded since then; each is tried again for days.", tone: "caution" };
  }
  return { label: "Working", meaning: "Deliveries succeed, or none has been due.", tone: "good" };
}

export const MESSAGE_STATES: Record<Message["state"], Word> = {
  queued: { label: "Queued", meaning: "Nothing has gone out yet.", tone: "neutral" },
  sending: { label: "Sending", meaning: "It goes out right now.", tone: "neutral" },
  sent: { label: "Sent", meaning: "The other side took it.", tone: "good" },
  unknown: { label: "Perhaps sent", meaning: "The connection broke at the end: it may have arrived. It is not sent twice.", tone: "caution" },
  refused: { label: "Refused", meaning: "The other side refused it for good.", tone: "worse" },
  suppressed: { label: "Held back", meaning: "It is no longer wanted there.", tone: "neutral" },
  expired: { label: "Expired", meaning: "It could not go out while it was of use.", tone: "caution" },
};

export const DELIVERY_STATES: Record<WebhookDelivery["state"], Word> = {
  pending: { label: "Pending", meaning: "It is on its way, or waits for the next attempt.", tone: "caution" },
  delivered: { label: "Delivered", meaning: "The endpoint answered with success.", tone: "good" },
  exhausted: { label: "Given up", meaning: "Every attempt of the schedule failed. It can be sent again.", tone: "worse" },
  stopped: { label: "Stopped", meaning: "The endpoint was stopped before it was told.", tone: "neutral" },
};

const MESSAGE_KINDS: Record<string, string> = {
  weekly_digest: "Weekly digest",
  budget_alert: "Budget reached",
  anomaly_alert: "Surprising hour",
  bill_published: "Bill read",
  bill_failed: "Bill not readable",
  channel_disabled: "Channel stopped",
  deletion_requested: "Account closing",
  deletion_cancelled: "Account kept",
  deletion_done: "Account erased",
  confirm_recipient: "Question to a new address",
};

/** What a kind of message is called; an unknown one by its own name, readable. */
export function messageKind(kind: string): string {
  return MESSAGE_KINDS[kind] ?? readable(kind);
}

/** A stable name as words: `slack_channel.created` is `Slack channel created`. */
export function readable(name: string): string {
  const words = name.replaceAll(/[._-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const EVENT_KINDS: Record<string, string> = {
  "bill.published": "A bill was read",
  "bill.failed": "A bill could not be read",
  "budget.reached": "A budget reached one of its thresholds",
  "anomaly.found": "An hour or a day cost surprisingly much, or costs keep to another level",
  "key.created": "A key was created",
  "key.revoked": "A key was revoked",
  "export.done": "An export can be downloaded",
  "webhook.test": "Somebody sent a test",
};

export function eventKind(name: string): string {
  return EVENT_KINDS[name] ?? readable(name);
}

/** Which kinds an endpoint is told, in few words. */
export function kindsInWords(kinds: readonly string[]): string {
  if (kinds.length === 0) return "every kind";
  return kinds.length <= 2 ? kinds.join(", ") : `${kinds.length} kinds`;
}

/** What somebody is told, in words. */
export function wishesInWords({ digest, alerts }: { digest: boolean; alerts: boolean }): string {
  if (digest && alerts) return "the weekly digest and alerts";
  if (digest) return "the weekly digest";
  return alerts ? "alerts" : "nothing";
}
