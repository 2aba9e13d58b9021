// Tokens of links. They stand behind the `#`, which never travels to a server's log.

/** The token in a whole link, in a fragment, or by itself; `null` where there is none. */
export function tokenIn(text: string): string | null {
  const inLink = /[#&?]t=([^&\s]+)/.exec(text);
  if (inLink?.[1]) return decoded(inLink[1]);
  const bare = text.trim();
  return /^[A-Za-z0-9_.~-]{16,}$/.test(bare) ? bare : null;
}

/** The token behind an address' `#`; `null` where none stands there. */
export function tokenInHash(hash: string): string | null {
  const found = /^#(?:.*&)?t=([^&\s]+)/.exec(hash);
  return found?.[1] ? decoded(found[1]) : null;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
