// What follows from the facts: surprises with their parts, what could be saved, what the month will cost, what happened.
import { at, DAY, dayAt, HOUR, id, page, sum } from "./shapes.mjs";

const hour = (ms) => `${at(ms).slice(0, 13)}:00:00Z`;
const part = (cause, amount) => ({ cause, amount });
const driver = (by, name, expected, actual) => ({ by, name, expected, actual });

const ANOMALIES = [
  {
    series: "key:key_01",
    api_key_id: "key_01",
    hour: hour(-30 * HOUR),
    expected: "31.2",
    parts: [part("volume", "142.418"), part("tokens_per_request", "61.07"), part("mix", "9.4"), part("price", "-2.198")],
    drivers: [driver("model", "claude-sonnet-4-5", "24.1", "219.33"), driver("model", "claude-haiku-4-5", "7.1", "22.56"), driver("key", "key_01", "31.2", "241.89")],
    changes: [{ action: "key.created", at: at(-31 * HOUR), by: "session:ses_1", target: "key_01" }, { action: "budget.created", at: at(-32 * HOUR), by: "session:ses_1", target: null }],
  },
  {
    series: "bill:model:Claude Opus 4.5",
    cadence: "day",
    kind: "new_level",
    hour: `${dayAt(-4 * DAY)}T00:00:00Z`,
    expected: "118.4",
    parts: [part("volume", "301.774"), part("price", "42.1"), part("fees", "0.012")],
    drivers: [driver("principal", "arn:aws:iam::444455556666:user/notebook-of-a-colleague", "0", "298.2")],
    decision: { judgement: "acknowledged", by: "session:ses_2", at: at(-3 * DAY), reason: "The research team's evaluation; ends on Friday." },
  },
  { series: "total", on_bills: { verdict: "confirmed", billed: "79.2036", at: at(-DAY) }, hour: hour(-5 * 24 * HOUR), expected: "12.75", parts: [part("volume", "75.254")], drivers: [driver("model", "gpt-4o", "8", "80.1")], decision: { judgement: "dismissed", by: "session:ses_1", at: at(-115 * HOUR), reason: "A load test." } },
  { series: "bill:total", cadence: "day", hour: `${dayAt(-9 * DAY)}T00:00:00Z`, expected: "640.1", parts: [part("fees", "842.4"), part("volume", "-31.2")] },
  { series: "model:in-house-llama", on_bills: { verdict: "absent", billed: "0", at: at(-DAY) }, hour: hour(-20 * DAY), expected: "3.1", parts: [], contributors: [{ name: "checkout-agent", cost: "8.004" }, { name: "nightly-evals", cost: null }] },
].map((anomaly, number) => ({
  id: id("ano", number + 1),
  cadence: "hour",
  kind: "spike",
  detector: anomaly.cadence === "day" ? "log-level-day/1" : "log-level-hour/1",
  api_key_id: null,
  currency: "USD",
  actual: sum([anomaly.expected, ...(anomaly.parts.length > 0 ? anomaly.parts.map((one) => one.amount) : ["4.904"])]),
  contributors: [],
  drivers: [],
  changes: [],
  decision: null,
  on_bills: null,
  found_at: at(-HOUR),
  ...anomaly,
}));

const RECOMMENDATIONS = [
  ["idle_endpoint", "ml.g5.2xlarge in us-east-1 of 111122223333", "2174.40", "2174.40", "medium", "Delete these endpoints: they run every day and nobody calls them.", { hours: "1440", instances: "2", cost: "2174.40" }, null],
  ["global_routing", "claude-sonnet-4-5", "812.44", "8936.8442", "high", "Use the global profile, where data may be processed anywhere.", { tokens: "560755333", cost: "8936.8442", cost_global: "8124.404" }, null],
  ["cache_writes_unread", "claude-haiku-4-5 by arn:aws:sts::111122223333:assumed-role/support-triage-production-eu-central-1/i-0a1b2c3d4e5f60718", "301.2", "418.0331", "high", "Stop writing this cache: what is read from it saves less than writing it costs.", { written_tokens: "32774511", read_tokens: "1204118", cost: "418.0331" }, null],
  ["use_batch", "gpt-4o by nightly-evals", "96.1204", "192.2408", "low", "Send these calls as a batch: they run at fixed hours and cost half of it there.", { calls: "18204", hours_a_day: "2", cost: "192.2408" }, "nobody waits for these answers, and the vendor's batch costs half"],
].map(([kind, subject, monthly_saving, monthly_cost, confidence, advice, figures, assumption], number) => ({
  id: id("rec", number + 1),
  kind,
  subject,
  advice,
  currency: "USD",
  monthly_saving,
  monthly_cost,
  confidence,
  evidence: { from: dayAt(-30 * DAY), to: dayAt(0), filter: { model: subject }, figures, assumption },
  first_found_at: at(-12 * DAY),
  found_at: at(-5 * HOUR),
  dismissed_at: null,
  dismissed_by: null,
  dismissed_reason: null,
}));

const EVENTS = [
  ["shadow_use", -2, "arn:aws:iam::444455556666:user/notebook-of-a-colleague", "298.2"],
  ["month_restated", -2, "2026-10", "-250"],
  ["price_changed", -6, "claude-sonnet-4-5", "4.77"],
  ["new_model", -9, "claude-opus-4-5", "118.4"],
  ["first_provisioned_throughput", -9, "amazon.nova-pro-v1:0", "842.4"],
  ["cache_turned_off", -14, "claude-haiku-4-5 by support-triage", "31.018"],
  ["new_region", -20, "us-west-2", "0.0412"],
].map(([kind, ago, subject, amount], number) => ({ id: id("ine", number + 1), kind, day: dayAt(ago * DAY), subject, amount, currency: "USD", detail: {}, found_at: at(-number * HOUR) }));

function stretch(from, to, so_far, ahead, committed) {
  const [low, middle, high] = ahead.map((amount) => sum([so_far, amount]));
  return { from, to, so_far, estimate: { low, middle, high }, committed };
}

function forecast(source) {
  const now = new Date();
  const end = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString().slice(0, 10);
  const first = `${dayAt(0).slice(0, 7)}-01`;
  const isBill = source === "bills";
  return {
    currency: "USD",
    history_days: isBill ? 61 : 88,
    month: isBill ? stretch(first, end, "10204.4412", ["1402.1", "1610.77", "1981.4"], "410.2") : stretch(first, end, "4819.034517", ["640.2", "702.9", "811.04"], "0"),
    thirty_days: isBill ? stretch(dayAt(0), dayAt(30 * DAY), "0", ["10104.2", "12077.118", "14802.9"], "2460.4") : stretch(dayAt(0), dayAt(30 * DAY), "0", ["4480.9", "5207.33", "6190.2"], "0"),
    days: Array.from({ length: 30 }, (_, number) => ({ day: dayAt(number * DAY), estimate: { low: "149.36", middle: "173.57", high: "206.34" } })),
  };
}

/** `undefined` where the path is another's. */
export function insightAnswer(world, path, { query, method }) {
  const list = (items) => (world.empty ? [] : items);
  if (path === "/anomalies") return page(list(ANOMALIES));
  if (path === "/recommendations") return { items: list(RECOMMENDATIONS) };
  if (path === "/insight-events") return page(list(EVENTS));
  if (path === "/forecast" && method === "GET") return { items: list([forecast(query.get("source") ?? "calls")]), left_out: [] };
  return undefined;
}
