// Plain words for the audit log: who acted, and what was done.
import { readable } from "./notice-words";

const ACTS: Record<string, string> = {
  "tenant.created": "Made the account",
  "sign_in_link.created": "Made a link to sign in by",
  "session.opened": "Signed in",
  "session.ended": "Signed out",
  "session.revoked": "Ended another sign-in",
  "session.switched": "Switched to this organisation",
  "session.refresh_reused": "A sign-in was used twice, and ended",
  "tenant.registered": "Registered the organisation",
  "tenant.changed": "Changed the organisation",
  "member.role_changed": "Gave a member another role",
  "member.removed": "Removed a member",
  "member.joined": "Became a member",
  "member.barred": "May not sign in for now",
  "member.admitted": "May sign in again",
  "invitation.created": "Invited somebody",
  "invitation.revoked": "Took an invitation back",
  "invitation.accepted": "Joined",
  "user.password_changed": "Changed the own password",
  "user.password_reset": "Set a new password by mail",
  "user.second_factor_added": "Set up a second factor",
  "user.second_factor_removed": "Switched the second factor off",
  "user.recovery_codes_replaced": "Made new recovery codes",
  "user.identity_linked": "Added a way to sign in",
  "user.identity_unlinked": "Removed a way to sign in",
  "single_sign_on.configured": "Set single sign-on up",
  "single_sign_on.changed": "Changed single sign-on",
  "single_sign_on.removed": "Removed single sign-on",
  "single_sign_on_domain.added": "Added a domain",
  "single_sign_on_domain.proven": "Proved a domain",
  "single_sign_on_domain.lost": "A domain lost its record, and counts no longer",
  "single_sign_on_domain.removed": "Removed a domain",
  "user.renamed": "Changed the own name",
  "session.refused": "Was not let in",
  "bill.uploaded": "Handed in a bill",
  "bill.imported": "Read in a bill",
  "bill.withdrawn": "Withdrew a bill",
  "candidate_rule.created": "Counted candidates as AI",
  "candidate_rule.ended": "Counted candidates as such again",
  "calls.imported": "Handed in calls",
  "closure.requested": "Asked to close the account",
  "closure.cancelled": "Kept the account",
  "anomaly.decided": "Said what to make of a surprise",
  "recommendation.dismissed": "Dismissed a recommendation",
  "export.created": "Asked for an export",
  "export.downloaded": "Downloaded an export",
  "export.cancelled": "Cancelled an export",
  "export.removed": "Removed an export's file",
  "recipient.asked": "Asked an address again",
  "recipient.confirmed": "An address said yes",
  "recipient.unsubscribed": "An address unsubscribed",
  "slack_channel.tested": "Sent a test to a Slack channel",
  "webhook_endpoint.tested": "Sent a test to a webhook",
  "webhook_delivery.retried": "Sent an event again",
  "webhook_secret.rolled": "Rolled a webhook's secret",
  "privacy.changed": "Changed what is kept of prompts and answers",
  "bodies.viewed": "Read a prompt and its answer",
  "bodies.refused": "Was refused a prompt and its answer",
  "bodies.purged": "Prompts and answers past their time were removed",
  "bodies.destroyed": "Destroyed what was kept of a key's prompts",
  "support_grant.created": "Let the operator read prompts and answers",
  "support_grant.revoked": "Took the operator's leave back",
  "erasure.late": "An erasure is late",
  "workflows.died": "Jobs died, and nobody looks after them",
  "audit.broken": "An audit is not as it was",
  "requests.repriced": "Priced calls later",
  "prices.need_review": "New prices must be looked at",
  "prices.stale": "The prices are stale",
  "prices.approved": "Published new prices",
  "prices.refused": "Refused new prices",
  "price_correction.previewed": "Counted a correction of a price",
  "price_correction.run": "Ran a correction of a price",
  "price_correction.cancelled": "Let a correction of a price be",
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
    case "user":
      return "A member";
    case "key":
      return "A key";
    case "operator":
      return id === "command-line" ? "The operator, at the command line" : "The operator";
    case "link":
      return "Somebody with a link of a mail";
    case "nobody":
      return "Somebody who was not let in";
    case "clerk":
      return "Clerk";
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

/** What a verification of the whole chain found. */
export interface Proof {
  events: number;
  /** The last event that is in order. */
  to: number;
  fault: { seq: number; what: string } | null;
}

/** What was found, as a sentence with its tone. */
export function proofInWords({ events, to, fault }: Proof): { tone: "good" | "worse" | "neutral"; text: string } {
  if (fault) {
    const good = to > 0 ? ` Up to event ${to} everything is in order.` : "";
    return { tone: "worse", text: `Not as it was written: ${fault.what}.${good}` };
  }
  if (events === 0) return { tone: "neutral", text: "There is no event to verify yet." };
  const all = events === 1 ? "The one event is" : `All ${events.toLocaleString("en")} events are`;
  return { tone: "good", text: `${all} as written, and in order.` };
}

/** Where the chain ends. */
export function headInWords(seq: number): string {
  return seq === 0 ? "No event yet." : `Up to event ${seq.toLocaleString("en")}:`;
}
