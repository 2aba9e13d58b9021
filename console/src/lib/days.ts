// Days in words. Both ends are UTC days and belong to them.
import { fullDay } from "./time";

/** `1 Jun 2024 to 30 Jun 2024`. */
export function daysInWords(first: string | null | undefined, last: string | null | undefined): string {
  if (!first) return "days not told";
  const from = fullDay(first, "UTC");
  const to = last ? fullDay(last, "UTC") : from;
  return from === to ? from : `${from} to ${to}`;
}

/** The day before; the API's ranges end with a day that is no longer in them. */
export function dayBefore(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) - 86_400_000).toISOString().slice(0, 10);
}
