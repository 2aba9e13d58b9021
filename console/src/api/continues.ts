// Whether this browser's sign-in can be continued, and by which session it was last: remembered for all its tabs, so
// that nobody asks in vain, and no two tabs use the same token.

const KEY = "costlens.continues";

interface Remembered {
  until: string;
  session: string;
}

function read(): Remembered | null {
  try {
    const value: unknown = JSON.parse(window.localStorage.getItem(KEY) ?? "null");
    if (typeof value !== "object" || value === null) return null;
    const { until, session } = value as Record<string, unknown>;
    return typeof until === "string" && typeof session === "string" ? { until, session } : null;
  } catch {
    return null;
  }
}

/** A number that changes with every session of the sign-in; `null` where it cannot be continued. */
export function continuedUntil(now = Date.now()): number | null {
  const remembered = read();
  if (!remembered || Date.parse(remembered.until) <= now) return null;
  return Date.parse(remembered.session);
}

/** Until when the sign-in can be continued, and when its session ends; `null` forgets it. */
export function rememberContinues(until: string | null, session = ""): void {
  try {
    if (until === null) window.localStorage.removeItem(KEY);
    else window.localStorage.setItem(KEY, JSON.stringify({ until, session } satisfies Remembered));
  } catch {
    // Without storage people sign in every hour.
  }
}
