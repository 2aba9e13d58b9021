// How far a budget is, for its meter and its words. Percents come from the ledger as exact decimals.
import type { Budget } from "@/api/types";
import { compare, parseDecimal, toFloat } from "./decimal";
import type { Tone } from "./words";

export interface Meter {
  /** How much of the meter is filled, 0 to 100. */
  filled: number;
  /** Where each threshold stands on the meter, 0 to 100. */
  marks: { percent: number; at: number; reached: boolean }[];
  tone: Tone;
}

/** The scale ends at the amount, or at the highest of threshold and spending beyond it. */
export function meterOf(budget: Pick<Budget, "percent" | "thresholds">): Meter {
  const spent = toFloat(budget.percent);
  const end = Math.max(100, spent, ...budget.thresholds);
  const exact = budget.percent ? parseDecimal(budget.percent) : null;
  const reached = (percent: number) => exact !== null && compare(exact, { units: BigInt(percent), scale: 0 }) >= 0;
  const marks = budget.thresholds.map((percent) => ({ percent, at: (percent / end) * 100, reached: reached(percent) }));
  const tone = reached(100) ? "worse" : marks.some((mark) => mark.reached) ? "caution" : "good";
  return { filled: Math.min(100, Math.max(0, (spent / end) * 100)), marks, tone };
}

/** Whether a budget may count what is billed around the proxy, and what is said of it: bills tell of UTC days, and of all calls. */
export function canCountUnproxied(period: Budget["period"], isNarrowed: boolean): { can: boolean; note: string } {
  if (isNarrowed) return { can: false, note: "For a budget of every call alone." };
  if (period === "day") return { can: false, note: "For a budget of a week or a month: bills tell of UTC days." };
  return { can: true, note: "Once a month is settled." };
}

/** What a budget counts, in words. */
export function scopeInWords(budget: Pick<Budget, "api_key_id" | "provider" | "model" | "includes_unproxied">, keyName: (id: string) => string): string {
  const parts = [
    budget.api_key_id ? `key ${keyName(budget.api_key_id)}` : null,
    budget.provider ? `provider ${budget.provider}` : null,
    budget.model ? `model ${budget.model}` : null,
  ].filter((part) => part !== null);
  if (parts.length > 0) return parts.join(", ");
  return budget.includes_unproxied ? "every call, and what is billed around the proxy" : "every call";
}
