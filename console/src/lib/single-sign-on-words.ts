// Plain words for single sign-on: how far a domain is, and who is not linked yet.
import type { SingleSignOnDomain } from "@/api/types";
import { ROLES } from "./people-words";
import type { Word } from "./words";

export const DOMAIN_STATES: Record<SingleSignOnDomain["state"], Word> = {
  pending: { label: "Not proven", meaning: "Its record was not seen, so nobody comes by it.", tone: "neutral" },
  proven: { label: "Proven", meaning: "Its record was seen when it was last looked for.", tone: "good" },
  failing: { label: "Record gone", meaning: "It counts for 72 hours after its record was last seen.", tone: "worse" },
};

/** What somebody may become who comes unasked: never who runs the account. */
export const NEWCOMERS = ROLES.filter(({ value }) => value !== "admin" && value !== "owner");

/** What members who are not linked must do; `null` where there are none. */
export function unlinkedInWords(count: number, required: boolean): string | null {
  if (count === 0) return null;
  const who = count === 1 ? "One member" : `${count} members`;
  const how = "by password when they come by single sign-on, or in their profile";
  return required
    ? `${who} with an address in your domains came in another way so far. They link themselves ${how}; who has no password cannot come in until this is required no longer.`
    : `${who} with an address in your domains came in another way so far. They can link themselves ${how}. Let those without a password do so before you require it.`;
}
