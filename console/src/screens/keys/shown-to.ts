// Who saw a key's secret, beside who belongs here.
import type { Key, Member } from "@/api/types";

/** Whether the secret was shown to somebody who is no member any more. Nobody knows before the members are here. */
export function hasLeft(key: Pick<Key, "shown_to">, members: readonly Pick<Member, "user_id">[] | undefined): boolean {
  return Boolean(key.shown_to && members && !members.some(({ user_id }) => user_id === key.shown_to));
}

/** The keys that still work and whose secret this member saw. */
export function knownTo(keys: readonly Key[], member: string, now: number): Key[] {
  return keys.filter((key) => key.shown_to === member && !key.revoked_at && !(key.expires_at && Date.parse(key.expires_at) <= now));
}

/** The same in a sentence; nothing where there are none. */
export function knownKeysInWords(keys: readonly Pick<Key, "name">[]): string {
  const [first, ...rest] = keys;
  if (!first) return "";
  const names = rest.length === 0 ? `“${first.name}”` : `“${first.name}” and ${rest.length === 1 ? "one more" : `${rest.length} more`}`;
  return `The member knows the secret of ${names}: roll ${rest.length === 0 ? "it" : "them"}.`;
}
