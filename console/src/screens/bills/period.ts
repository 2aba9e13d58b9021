// A bill's time in words.
import { fullDay } from "@/lib/time";

/** `1 Jun 2024 to 30 Jun 2024`; the end is exclusive in the ledger and the last day here. */
export function periodInWords(start: string | null | undefined, end: string | null | undefined): string {
  if (!start) return "time not told";
  if (!end) return `from ${fullDay(start, "UTC")}`;
  const last = new Date(Date.parse(end) - 1000).toISOString();
  const [from, to] = [fullDay(start, "UTC"), fullDay(last, "UTC")];
  return from === to ? from : `${from} to ${to}`;
}
