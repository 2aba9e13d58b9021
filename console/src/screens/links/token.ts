// The token of this page's address. It stays there, so that a reload keeps it, and it is sent only after a click:
// programs that look at mails open links, too.
import { useLocation } from "@tanstack/react-router";
import { tokenInHash } from "@/lib/link-token";

export function useLinkToken(): string | null {
  const { hash } = useLocation();
  return tokenInHash(hash.startsWith("#") ? hash : `#${hash}`);
}

/** What a link that leads nowhere says, by what it was for. */
export const NOWHERE = {
  confirm: "It may be incomplete, older than seven days, or the address was removed meanwhile. Whoever added you can send another.",
  unsubscribe: "It may be incomplete. Copy the whole link from the mail, or use the mail program's own way to unsubscribe.",
  keep: "It may be incomplete, or the account is gone already.",
} as const;
