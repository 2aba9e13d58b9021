// Where somebody was who leaves for whoever vouches, so that it comes back there: in this tab, for as long as a trip lasts.

const KEY = "costlens.place-before";
const LASTS_MS = 10 * 60 * 1_000;

type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export function rememberPlace(kept: Kept, place: string, now: number): void {
  kept.setItem(KEY, JSON.stringify({ place, until: now + LASTS_MS }));
}

/** The place, once; nothing where the trip took too long, or where it is none of ours. */
export function placeBefore(kept: Kept, now: number): string | undefined {
  const text = kept.getItem(KEY);
  kept.removeItem(KEY);
  if (text === null) return undefined;
  try {
    const { place, until } = JSON.parse(text) as { place?: unknown; until?: unknown };
    const ours = typeof place === "string" && /^\/(?![/\\])/.test(place);
    return ours && typeof until === "number" && now < until ? place : undefined;
  } catch {
    return undefined;
  }
}
