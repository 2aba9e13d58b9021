// Turns spend points into the stacks of a chart: every bucket of the span, the largest groups by name, the rest
// together. Floats are for the picture only; amounts that are read come from exact sums.
import { add, parseDecimal, toFloat, toShortText } from "./decimal";

/** What one group cost in one bucket; an amount that is not known is no point. */
export interface SpendPoint {
  start: string;
  group: string;
  amount: string;
}

export interface Stack {
  group: string;
  /** One value per bucket, for the height of the bar. */
  values: number[];
  /** One exact amount per bucket, for reading. */
  amounts: string[];
  total: string;
}

export const OTHER = "Other";
const SHOWN = 7;

function plus(a: string, b: string): string {
  const left = parseDecimal(a);
  const right = parseDecimal(b);
  return left && right ? toShortText(add(left, right)) : a;
}

/** The stacks, largest first, `Other` last. */
export function stacksOf(points: readonly SpendPoint[], buckets: readonly string[], shown = SHOWN): Stack[] {
  const place = new Map(buckets.map((start, at) => [Date.parse(start), at]));
  const byGroup = new Map<string, Stack>();
  for (const point of points) {
    const at = place.get(Date.parse(point.start));
    if (at === undefined) continue;
    let stack = byGroup.get(point.group);
    if (!stack) {
      stack = { group: point.group, values: [], amounts: buckets.map(() => "0"), total: "0" };
      byGroup.set(point.group, stack);
    }
    stack.amounts[at] = plus(stack.amounts[at] ?? "0", point.amount);
    stack.total = plus(stack.total, point.amount);
  }
  // What came as the rest is the last, however much it is.
  const others = byGroup.get(OTHER);
  byGroup.delete(OTHER);
  const ranked = [...byGroup.values()].toSorted((a, b) => toFloat(b.total) - toFloat(a.total));
  const named = ranked.slice(0, ranked.length > shown + 1 || others ? shown : ranked.length);
  const rest = [...ranked.slice(named.length), ...(others ? [others] : [])];
  if (rest.length > 0) {
    const other: Stack = { group: OTHER, values: [], amounts: buckets.map(() => "0"), total: "0" };
    for (const stack of rest) {
      other.amounts = other.amounts.map((amount, at) => plus(amount, stack.amounts[at] ?? "0"));
      other.total = plus(other.total, stack.total);
    }
    named.push(other);
  }
  for (const stack of named) stack.values = stack.amounts.map(toFloat);
  return named;
}

/** The colour of a group by its rank; one hue per place, grey for the rest. */
export function seriesColor(rank: number, group: string): string {
  return group === OTHER ? "var(--series-8)" : `var(--series-${(rank % 7) + 1})`;
}
