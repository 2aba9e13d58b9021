// Small hooks that more than one screen needs.
import { useEffect, useState } from "react";

/** The time, renewed every `everyMs`, so that relative times and moving ranges do not stand still. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** Sets the document's title while the screen is open. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Costlens`;
  }, [title]);
}
