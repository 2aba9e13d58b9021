// A settled month whose sums add up: estimated over the calls' reasons to settled, over the bill's own to the bill.
import { seeded } from "./fixtures.mjs";
import { at, DAY, HOUR, micros, monthBack, page, parts, sum, text } from "./shapes.mjs";

const ESTIMATED = "11482.370188";
const CALLS = [
  ["discount", "-574.118509", 0],
  ["long_context", "219.46", 41_220_118],
  ["price", "143.05", 118_400_000],
  ["cache_ttl", "122.904417", 32_774_511],
  ["routing", "-84.1133", 560_755_333],
  ["tier", "-61.52", 24_608_000],
  ["aborted_streams", "38.214417", 2_547_627],
  ["unit_change", "12.288", 4_096_000],
  ["lag", "9.42", 3_140_000],
  ["unknown", "3.81", 1_270_000],
  ["rounding", "-0.000412", 0],
];
const UNPROXIED = "1408.221905";

/** What the bill has beside the calls; an amber month has more without a reason. */
const outside = (amber) => [
  ["unproxied", UNPROXIED, 469_407_301],
  ["unmetered", "842.40", 0],
  ["credit", "-250", 0],
  ["tax", "196.07", 0],
  ["unknown", amber ? "412.77" : "21.14", amber ? 137_590_000 : 7_046_666],
  ["rounding", "0.003201", 0],
];

const size = (value) => (micros(value) < 0n ? value.slice(1) : value);
const percent = (part, whole) => text((micros(part) * 100n * 1_000_000n) / micros(whole));

const USERS = [
  ["arn:aws:sts::111122223333:assumed-role/checkout-agent/i-0a1b2c3d4e5f60718", "111122223333", "us-east-1", "claude-sonnet-4-5", 1_204_118_033, 100, 52],
  ["arn:aws:iam::111122223333:role/support-triage", "111122223333", "eu-central-1", "claude-haiku-4-5", 918_220_417, 71, 27],
  ["arn:aws:iam::444455556666:user/notebook-of-a-colleague", "444455556666", "us-west-2", "claude-opus-4-5", 301_774_120, 0, 0],
  ["", "444455556666", "us-east-1", "amazon.nova-pro-v1:0", 118_204_337, 62, 14],
  ["arn:aws:iam::777788889999:role/nightly-evals", "777788889999", "us-east-1", "llama3-3-70b-instruct", 74_220_101, 100, 7],
];

const PRICES = [
  ["claude-sonnet-4-5", "output", "standard", "regional", true, "22.5", "16.5", "differs", 31_204_118],
  ["amazon.nova-pro-v1:0", "fresh_input", "standard", "regional", false, "0.0008", "0.8", "unit", 84_220_118],
  ["claude-opus-4-5", "cache_write_1h", "standard", "global", false, "10", null, "unlisted", 2_117_330],
  ["claude-haiku-4-5", "fresh_input", "standard", "regional", false, "1.045", "1.1", "discount", 410_220_118],
  ["claude-haiku-4-5", "output", "standard", "regional", false, "5.225", "5.5", "discount", 52_004_771],
  ["claude-sonnet-4-5", "fresh_input", "standard", "global", false, "3", "3", "agrees", 560_755_333],
  ["claude-sonnet-4-5", "cache_read", "standard", "regional", false, "0.33", "0.33", "agrees", 804_118_220],
  ["llama3-3-70b-instruct", "output", "batch", "regional", false, "0.36", "0.36", "agrees", 9_220_471],
];

const GROUPS = {
  model: [["claude-sonnet-4-5", "claude-haiku-4-5", "amazon.nova-pro-v1:0", "llama3-3-70b-instruct"], [71, 19, 7, 3]],
  key: [["key_01", "key_02", "key_03"], [58, 31, 11]],
  connection: [["con_03", "con_04"], [83, 17]],
};

function monthOf(back, { amber = false } = {}) {
  const month = `${monthBack(back)}-01`;
  const last = new Date(Date.parse(`${monthBack(back - 1)}-01`) - DAY).toISOString().slice(0, 10);
  const beside = outside(amber);
  const settled = sum([ESTIMATED, ...CALLS.map(([, amount]) => amount)]);
  const billed = sum([settled, ...beside.map(([, amount]) => amount)]);
  const unknown = sum(["3.81", size(beside[4][1])]);
  const version = `bil_0${back}`;
  const shares = USERS.map((user) => user[6]);
  const settledBy = parts(settled, shares.filter((weight) => weight > 0));
  const around = parts(UNPROXIED, [0, 22, 65, 13, 0]);
  let next = 0;
  const coverage = USERS.map(([principal, account, region, model, tokens, through], number) => {
    const covered = shares[number] > 0 ? settledBy[next++] : "0";
    const unproxied = through === 100 ? "0" : around[number];
    return { principal, account, region, model, billed_tokens: tokens, covered_tokens: Math.floor((tokens * through) / 100), covered, unproxied, billed: sum([covered, unproxied]) };
  }).toSorted((a, b) => Number(b.unproxied) - Number(a.unproxied));
  const billed_tokens = coverage.reduce((all, one) => all + one.billed_tokens, 0);
  const covered_tokens = coverage.reduce((all, one) => all + one.covered_tokens, 0);
  const settlement = {
    month,
    measure: "net_unblended",
    version,
    bill_ids: [version],
    complete_through: back === 0 ? new Date(Date.now() - 2 * DAY).toISOString().slice(0, 10) : last,
    settled_at: at(-3 * HOUR - (back - 1) * 30 * DAY),
    calls: 412_087,
    absent_calls: 214,
    absent: "18.220417",
    estimated: ESTIMATED,
    settled,
    billed,
    billed_for_tokens: sum(coverage.map((one) => one.billed)),
    billed_tokens,
    covered: settled,
    covered_tokens,
    coverage_percent: percent(String(covered_tokens), String(billed_tokens)),
    unknown,
    is_amber: micros(unknown) * 100n > micros(billed),
    other_currencies: back === 1 ? ["EUR"] : [],
  };
  return { settlement, coverage, residuals: [...CALLS.map((one) => ["calls", ...one]), ...beside.map((one) => ["outside", ...one])].map(([side, code, amount, tokens]) => ({ side, code, amount, tokens })) };
}

function daysOf({ month, version, estimated, settled, billed, calls, unknown }) {
  const random = seeded(31);
  const weights = Array.from({ length: 14 }, (_, day) => (day % 7 > 4 ? 40 : 100) + Math.floor(random() * 30));
  const [estimates, settleds, bills] = [estimated, settled, billed].map((whole) => parts(whole, weights));
  return weights
    .map((weight, number) => {
      const missed = text(micros(settleds[number]) / BigInt(18 + Math.floor(random() * 90)));
      return {
        day: `${month.slice(0, 8)}${String(number + 1).padStart(2, "0")}`,
        version,
        calls: Math.floor((calls * weight) / 1_400),
        estimated: estimates[number],
        settled: settleds[number],
        billed: bills[number],
        missed,
        error_percent: percent(missed, settleds[number]),
        unknown: number === 5 ? unknown : "0",
        settled_at: at(-3 * HOUR),
      };
    })
    .toReversed();
}

function slicesOf({ estimated, settled, calls, month }, by) {
  const [groups, weights] = GROUPS[by] ?? [Array.from({ length: 14 }, (_, day) => `${month.slice(0, 8)}${String(day + 1).padStart(2, "0")}`), Array.from({ length: 14 }, (_, day) => 60 + day)];
  const [estimates, settleds] = [parts(estimated, weights), parts(settled, weights)];
  const whole = weights.reduce((all, one) => all + one, 0);
  return groups.map((group, number) => ({ group, calls: Math.floor((calls * weights[number]) / whole), estimated: estimates[number], settled: settleds[number], provisional: number === 0 ? "9.42" : "0" }));
}

/** `undefined` where the path is another's. */
export function settlementAnswer(world, path, { query }) {
  const settledCost = /^\/requests\/(\w+)\/settled-cost$/.exec(path);
  if (settledCost) {
    const row = world.requests.find((one) => one.id === settledCost[1]);
    const known = row?.provider === "anthropic" && row.cost !== null;
    return { request_id: settledCost[1], settled: known ? { month: `${monthBack(0)}-01`, state: "provisional", confidence: "likely", cost: text((micros(Number(row.cost).toFixed(6)) * 95n) / 100n), settled_at: at(-3 * HOUR) } : null };
  }
  if (!path.startsWith("/settlements")) return undefined;
  const months = world.empty ? [] : [monthOf(1, { amber: world.amber }), monthOf(2), ...(world.issuers ? [monthOf(1)] : [])];
  for (const [number, one] of months.entries()) Object.assign(one.settlement, { issuer: number === 2 ? "openai" : "aws", measure: query.get("measure") ?? "net_unblended" });
  if (path === "/settlements") return page(months.map((one) => one.settlement));
  const [, month, part] = /^\/settlements\/([\d-]+)(?:\/(\w+))?$/.exec(path) ?? [];
  const found = months.find(({ settlement }) => settlement.month === month && settlement.issuer === (query.get("issuer") ?? "aws"));
  if (!found) return undefined;
  const { settlement, residuals, coverage } = found;
  const { version } = settlement;
  if (part === "coverage") return { version, items: coverage };
  if (part === "breakdown") return { version, items: slicesOf(settlement, query.get("by")) };
  if (part === "prices") {
    const items = PRICES.map(([model, kind, tier, routing, long_context, billed_per_million, listed_per_million, finding, quantity], number) => ({
      model,
      kind,
      tier,
      routing,
      long_context,
      billed_per_million,
      listed_per_million,
      finding,
      quantity,
      charged: billed_per_million === null ? "0" : text((BigInt(quantity) * micros(billed_per_million)) / 1_000_000n),
      rows: 31 - number,
      first_day: month,
      last_day: settlement.complete_through,
    }));
    return { version, items };
  }
  return { settlement, residuals, days: daysOf(settlement) };
}
