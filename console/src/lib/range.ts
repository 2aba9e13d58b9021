// The stretch of time a screen looks at. It lives in the URL, either as a name that moves with the clock or as two
// UTC days, so that a link shows a colleague the same days.

export const RANGES = ["24h", "7d", "30d", "90d", "month"] as const;
export type RangeName = (typeof RANGES)[number];

export const RANGE_LABELS: Record<RangeName, string> = {
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
  "30d": "Last 30 days",
  "90d": "Last 90 days",
  month: "This month",
};

export interface RangeSearch {
  range?: RangeName;
  /** First UTC day, `YYYY-MM-DD`. */
  from?: string;
  /** Last UTC day, included. */
  to?: string;
}

export interface Span {
  from: string;
  to: string;
  interval: "hour" | "day";
  label: string;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
const DAY_TEXT = /^\d{4}-\d{2}-\d{2}$/;

function isDay(value: unknown): value is string {
  return typeof value === "string" && DAY_TEXT.test(value) && !Number.isNaN(Date.parse(value));
}

/** What of a query string is a range; anything else is left out. */
export function readRange(search: Record<string, unknown>): RangeSearch {
  const { range, from, to } = search;
  if (isDay(from) && isDay(to) && from <= to) return { from, to };
  return RANGES.includes(range as RangeName) ? { range: range as RangeName } : {};
}

function startOfDay(time: number): number {
  return Math.floor(time / DAY) * DAY;
}

function stamp(time: number): string {
  return new Date(time).toISOString().replace(".000Z", "Z");
}

/** The span as the API takes it: from inclusive, to exclusive, on whole hours or days. */
export function spanOf(search: RangeSearch, now: number): Span {
  if (search.from && search.to) {
    const from = Date.parse(search.from);
    const to = Date.parse(search.to) + DAY;
    return {
      from: stamp(from),
      to: stamp(to),
      interval: to - from <= 2 * DAY ? "hour" : "day",
      label: search.from === search.to ? search.from : `${search.from} to ${search.to}`,
    };
  }
  const range = search.range ?? "30d";
  const label = RANGE_LABELS[range];
  if (range === "24h") {
    const to = Math.floor(now / HOUR) * HOUR + HOUR;
    return { from: stamp(to - 24 * HOUR), to: stamp(to), interval: "hour", label };
  }
  const to = startOfDay(now) + DAY;
  if (range === "month") {
    const today = new Date(now);
    return { from: stamp(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1)), to: stamp(to), interval: "day", label };
  }
  const days = range === "7d" ? 7 : range === "90d" ? 90 : 30;
  return { from: stamp(to - days * DAY), to: stamp(to), interval: "day", label };
}

/** Every bucket of a span, so that a day without spend is an empty place and not a missing one. */
export function bucketsOf(span: Span): string[] {
  const step = span.interval === "hour" ? HOUR : DAY;
  const end = Date.parse(span.to);
  const buckets: string[] = [];
  for (let at = Date.parse(span.from); at < end && buckets.length < 2400; at += step) buckets.push(stamp(at));
  return buckets;
}
