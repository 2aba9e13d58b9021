// Plain words for the audit log: who acted, and what was done.
import { readable } from "./notice-words";

const ACTS: Record<string, string> = {
  "session.opened": "Signed in",
  "session.ended": "Signed out",
  "closure.requested": "Asked to close the account",
  "closure.cancelled": "Kept the account",
  "recipient.asked": "Asked an address again",
  "recipient.confirmed": "An address said yes",
  "recipient.unsubscribed": "An address unsubscribed",
  "slack_channel.tested": "Sent a test to a Slack channel",
  "webhook_endpoint.tested": "Sent a test to a webhook",
  "webhook_delivery.retried": "Sent an event again",
  "webhook_secret.rolled": "Rolled a webhook's secret",
  "privacy.updated": "Changed what is kept of prompts and answers",
  "bodies.viewed": "Read a prompt and its answer",
  "bodies.refused": "Was refused a prompt and its answer",
  "bodies.purged": "Prompts and answers past their time were removed",
  "bodies.destroyed": "Destroyed what was kept of a key's prompts",
  "support_grant.created": "Let the operator read prompts and answers",
  "support_grant.revoked": "Took the operator's leave back",
  "erasure.late": "An erasure is late",
};

/** What was done, as a sentence without its subject. */
export function actInWords(action: string): string {
  return ACTS[action] ?? readable(action);
}

/** Who did it. */
export function actorInWords(actor: string): string {
  const [kind, id = ""] = actor.split(":");
  switch (kind) {
    case "session":
      return "Somebody signed in";
    case "key":
      return "A key";
    case "operator":
      return id === "command-line" ? "The operator, at the command line" : "The operator";
    case "link":
      return "Somebody with a link of a mail";
    case "schedule":
      return "A schedule";
    default:
      return actor;
  }
}

function valueInWords(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(valueInWords).join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What changed, as `digest: true, kinds: key.created key.revoked`; parts that are no plain values as JSON. */
export function changeInWords(change: unknown): string {
  if (typeof change !== "object" || change === null) return "";
  return Object.entries(change)
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${valueInWords(value)}`)
    .join(", ");
}
