// A bill's days in words. Both ends are UTC days and belong to it.
import { fullDay } from "@/lib/time";

/** `1 Jun 2024 to 30 Jun 2024`. */
export function daysInWords(first: string | null | undefined, last: string | null | undefined): string {
  if (!first) return "days not told";
  const from = fullDay(first, "UTC");
  const to = last ? fullDay(last, "UTC") : from;
  return from === to ? from : `${from} to ${to}`;
}
