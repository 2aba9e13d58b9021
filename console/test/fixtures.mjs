// A small, believable ledger for pictures and browser checks: the same every time but for the day it ends on.
import { id as made } from "./shapes.mjs";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A seeded generator of numbers in [0, 1). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    let value = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    value = (value ^ (value >>> 15)) >>> 0;
    return value / 4_294_967_296;
  };
}

export const KEYS = [
  ["key_01", "checkout-agent", "4f2c"],
  ["key_02", "support-triage", "a81d"],
  ["key_03", "nightly-evals", "0b9e"],
  ["key_04", "old-prototype", "91aa"],
].map(([id, name, hint], at) => ({
  id,
  name,
  hint,
  hangup_policy: at === 2 ? "abort" : "drain",
  stream_usage: "inject",
  durability: at === 0 ? "database" : "spool",
  created_at: new Date(Date.now() - (40 - at * 6) * DAY).toISOString(),
  revoked_at: at === 3 ? new Date(Date.now() - 3 * DAY).toISOString() : null,
  last_used_at: at === 2 ? null : new Date(Date.now() - at * 7 * HOUR - 40_000).toISOString(),
  scopes: at === 2 ? ["proxy"] : ["proxy", "requests.read", "spend.read", "bills.read"],
  expires_at: at === 1 ? new Date(Date.now() + 19 * DAY).toISOString() : null,
  zero_retention: at === 2,
  rolled_at: at === 0 ? new Date(Date.now() - 5 * HOUR).toISOString() : null,
  previous_until: at === 0 ? new Date(Date.now() + 19 * HOUR).toISOString() : null,
  // One was made by somebody who left, one by the operator's program.
  shown_to: [made("usr", 2), made("usr", 99), made("usr", 2), null][at],
}));

export const PROVIDERS = [
  ["openai", "OpenAI", "openai", "https://api.openai.com/v1", true],
  ["anthropic", "Anthropic", "anthropic", "https://api.anthropic.com", true],
  ["mistral", "Mistral", "openai", "https://api.mistral.ai/v1", true],
  ["custom", "OpenAI-compatible", "openai", null, false],
].map(([name, display_name, dialect, default_base_url, needs_secret]) => ({ name, display_name, dialect, default_base_url, needs_secret }));

export const CONNECTIONS = [
  { id: "con_01", provider: "openai", name: "openai", has_secret: true, base_url: null, models: [], created_at: new Date(Date.now() - 30 * DAY).toISOString(), disabled_at: null },
  { id: "con_02", provider: "anthropic", name: "anthropic-eu", has_secret: true, base_url: null, models: ["claude-sonnet-4-5", "claude-haiku-4-5"], created_at: new Date(Date.now() - 22 * DAY).toISOString(), disabled_at: null },
  { id: "con_03", provider: "custom", name: "bedrock-us", has_secret: true, base_url: "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", models: [], created_at: new Date(Date.now() - 90 * DAY).toISOString(), disabled_at: null },
  { id: "con_04", provider: "custom", name: "bedrock-eu", has_secret: true, base_url: "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1", models: [], created_at: new Date(Date.now() - 60 * DAY).toISOString(), disabled_at: null },
];

/** Prices per million tokens as decimal text with two places, so that whole numbers can carry the arithmetic. */
const MODELS = [
  { provider: "openai", name: "gpt-4o", rates: { fresh_input: "2.50", cache_read: "1.25", output: "10.00" }, weight: 5 },
  { provider: "openai", name: "gpt-4o-mini", rates: { fresh_input: "0.15", cache_read: "0.08", output: "0.60" }, weight: 6 },
  { provider: "anthropic", name: "claude-sonnet-4-5", rates: { fresh_input: "3.00", cache_read: "0.30", cache_write_5m: "3.75", output: "15.00" }, weight: 5 },
  { provider: "anthropic", name: "claude-haiku-4-5", rates: { fresh_input: "1.00", cache_read: "0.10", cache_write_5m: "1.25", output: "5.00" }, weight: 3 },
  { provider: "mistral", name: "mistral-large-latest", rates: { fresh_input: "2.00", output: "6.00" }, weight: 2 },
  { provider: "custom", name: "in-house-llama", rates: null, weight: 1 },
];

const EMPTY_USAGE = { fresh_input: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 0, reasoning: 0, audio_input: 0, audio_output: 0, web_searches: 0 };

function plain(units, scale) {
  const digits = units.toString().padStart(scale + 1, "0");
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, "");
}

function priceOf(model, usage) {
  if (!model.rates) {
    return { cost: null, cost_basis: "unpriced", price: { price_id: null, source: null, effective: null, formula: null, repriced: null, note: "No price is known for the model in-house-llama." } };
  }
  let units = 0n;
  const terms = [];
  for (const [kind, rate] of Object.entries(model.rates)) {
    if (!usage[kind]) continue;
    units += BigInt(usage[kind]) * BigInt(rate.replace(".", ""));
    terms.push(`${usage[kind]} ${kind} × $${rate.replace(/\.?0+$/, "")}/M`);
  }
  return {
    cost: plain(units, 8),
    cost_basis: "exact",
    price: { price_id: `${model.provider}/${model.name}`, source: `${model.provider} price list`, effective: "2026-03-01", formula: terms.join(" + "), repriced: null, note: null },
  };
}

/** What differs where a call never passed the proxy. */
function imported(origin, number) {
  return {
    connection_id: null,
    endpoint: origin === "litellm" ? "acompletion" : "chat",
    first_byte_ms: null,
    streamed: false,
    status: null,
    body: "none",
    caller_request_id: null,
    provider_request_id: null,
    claim: {
      source_id: origin === "litellm" ? `chatcmpl-${number.toString(36)}` : "5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174",
      imported_at: new Date(Date.now() - 3 * HOUR).toISOString(),
      claimed_cost: origin === "litellm" ? "0.0125" : null,
      user: "u-7",
      end_user: null,
      team: origin === "litellm" ? "Search" : null,
      service: origin === "litellm" ? null : "shop-assistant",
      tags: origin === "litellm" ? ["litellm_key_alias:ci", "checkout"] : ["environment:production"],
    },
  };
}

/** One call; `at` places it in time. */
export function makeRequest(random, number, at) {
  const total = MODELS.reduce((sum, model) => sum + model.weight, 0);
  let pick = random() * total;
  const model = MODELS.find((one) => (pick -= one.weight) < 0) ?? MODELS[0];
  const key = KEYS[Math.floor(random() * 3)];
  const luck = random();
  const outcome = luck < 0.03 ? "failed" : luck < 0.06 ? "client_gone" : luck < 0.07 ? "interrupted" : "completed";
  const cached = model.rates?.cache_read && random() < 0.6 ? Math.floor(2000 + random() * 9000) : 0;
  const output = outcome === "failed" ? 0 : Math.floor(40 + random() * 1400);
  const usage = {
    ...EMPTY_USAGE,
    fresh_input: outcome === "failed" ? 0 : Math.floor(120 + random() * 3000),
    cache_read: outcome === "failed" ? 0 : cached,
    cache_write_5m: model.rates?.cache_write_5m && cached && random() < 0.4 && outcome !== "failed" ? Math.floor(500 + random() * 2000) : 0,
    output,
    reasoning: random() < 0.2 ? Math.floor(output * 0.6) : 0,
  };
  const priced = priceOf(model, usage);
  if (outcome === "failed") Object.assign(priced, { cost: "0", cost_basis: "exact", price: { ...priced.price, formula: null, note: "The provider refused the call and counts no tokens." } });
  if (priced.cost !== null && (outcome === "client_gone" || outcome === "interrupted")) priced.cost_basis = "estimated";
  const origin = outcome === "completed" && number % 9 === 0 ? (number % 2 === 0 ? "litellm" : "otlp") : "proxy";
  const duration = Math.floor(300 + output * 9 * (0.6 + random()));
  return {
    id: `req_${String(number).padStart(8, "0")}`,
    started_at: new Date(at).toISOString(),
    duration_ms: duration,
    first_byte_ms: Math.floor(180 + random() * 500),
    provider: model.provider,
    endpoint: model.provider === "anthropic" ? "/v1/messages" : "/v1/chat/completions",
    model_requested: model.name,
    model_served: model.name === "gpt-4o" ? "gpt-4o-2024-11-20" : model.name,
    service_tier: model.provider === "openai" ? "default" : null,
    streamed: random() < 0.7,
    status: outcome === "failed" ? 429 : 200,
    outcome,
    error_code: outcome === "failed" ? "rate_limited" : null,
    usage,
    currency: "USD",
    ...priced,
    body: number % 3 === 0 ? "none" : "sealed",
    api_key_id: key.id,
    connection_id: model.provider === "openai" ? "con_01" : "con_02",
    caller_request_id: random() < 0.3 ? `order-${number}` : null,
    provider_request_id: `req_${number.toString(36)}`,
    origin,
    region: null,
    response_id: `chatcmpl-${number.toString(36)}`,
    claim: null,
    ...(origin === "proxy" ? {} : imported(origin, number)),
  };
}

/** The calls of the last hours, newest first. */
export function makeRequests(count) {
  const random = seeded(42);
  const rows = [];
  let at = Date.now() - 4_000;
  for (let number = count; number > 0; number -= 1) {
    rows.push(makeRequest(random, number, at));
    at -= Math.floor(2_000 + random() * 90_000);
  }
  return rows;
}

function sumsOf(size, requests, unpriced, rank) {
  const priced = requests > unpriced;
  return {
    requests,
    estimated_requests: Math.floor(requests / 40),
    unpriced_requests: unpriced,
    failed_requests: Math.floor(requests / 70),
    cost: priced ? size.toFixed(8) : null,
    estimated_cost: priced ? (size * 0.03).toFixed(8) : null,
    usage: {
      ...EMPTY_USAGE,
      fresh_input: requests * 930,
      cache_read: rank % 2 ? 0 : requests * 2300,
      cache_write_5m: rank === 2 ? requests * 340 : 0,
      output: requests * 210,
    },
  };
}

export function makeSeries(from, to, interval, groupBy) {
  const random = seeded(7);
  const step = interval === "hour" ? HOUR : DAY;
  const groups =
    groupBy === "none" ? [null] : groupBy === "provider" ? ["openai", "anthropic", "mistral"] : groupBy === "key" ? KEYS.slice(0, 3).map((key) => key.id) : MODELS.slice(0, 5).map((model) => model.name);
  const points = [];
  let [whole, calls, unpricedCalls] = [0, 0, 0];
  for (let start = Date.parse(from); start < Math.min(Date.parse(to), Date.now()); start += step) {
    const weekday = new Date(start).getUTCDay();
    const calm = weekday === 0 || weekday === 6 ? 0.4 : 1;
    for (const [rank, group] of groups.entries()) {
      const size = (interval === "hour" ? 0.09 : 2) * calm * (0.8 + random() * 0.5) * (groupBy === "none" ? 9 : 4 / (rank + 1.2));
      const requests = Math.floor(size * 61);
      const unpriced = rank === 0 ? Math.floor(requests / 90) : 0;
      points.push({ start: new Date(start).toISOString(), group, sums: sumsOf(size, requests, unpriced, rank) });
      [whole, calls, unpricedCalls] = [whole + size, calls + requests, unpricedCalls + unpriced];
    }
  }
  return { from, to, interval, currency: "USD", points, total: sumsOf(whole, calls, unpricedCalls, 0) };
}

export function makeBillSeries(from, to, groupBy) {
  const random = seeded(11);
  const groups = groupBy ? ["Claude Sonnet 4.5", "Claude Haiku 4.5", "Amazon Nova Pro"] : [null];
  const points = [];
  for (let day = Date.parse(from); day < Math.min(Date.parse(to), Date.now() - DAY); day += DAY) {
    for (const [rank, group] of groups.entries()) {
      const cost = (14 + random() * 6) / (groupBy ? rank + 1.6 : 1);
      points.push({ day: new Date(day).toISOString().slice(0, 10), group, currency: "USD", cost: cost.toFixed(6) });
    }
  }
  return { points };
}

export function makeBreakdown(by) {
  const names = by === "provider" ? ["openai", "anthropic", "mistral", "custom"] : by === "key" ? KEYS.slice(0, 3).map((key) => key.id) : MODELS.map((model) => model.name);
  const items = names.map((group, rank) => {
    const requests = Math.floor(9000 / (rank + 1));
    const unpriced = group === "custom" || group === "in-house-llama" ? requests : rank === 1 ? 12 : 0;
    return { group, sums: sumsOf(214.37 / (rank + 1.3), requests, unpriced, rank) };
  });
  return { currency: "USD", items };
}

/** What the AI of a bill costs by each measure; a bill may not tell the list price. */
function costsOf(billed, list = (Number(billed) * 1.25).toFixed(6)) {
  const times = (factor) => (Number(billed) * factor).toFixed(6);
  return { unblended: billed, net_unblended: times(0.94), amortised: times(0.97), net_amortised: times(0.91), list };
}

export const BILLS = [
  {
    id: "bil_01",
    name: "cur2-acme-2026-10.snappy.parquet",
    format: "cur2",
    first_day: "2026-10-01",
    last_day: "2026-10-31",
    lines: 1_204_331,
    totals: [{ currency: "USD", total_cost: "84211.3372", ai_cost: "12904.118235", candidate_cost: "3120.55", ai_costs: costsOf("12904.118235"), ai_percent: "15.32", lines: 1_204_331 }],
    resources: [
      { resource_id: "arn:aws:sagemaker:us-east-1:111122223333:endpoint/ranking-v3", account: "111122223333", service: "sagemaker", currency: "USD", cost: "1140.22" },
      { resource_id: "i-0a1b2c3d4e5f60718", account: "444455556666", service: "ec2", currency: "USD", cost: "980.4" },
    ],
    unknown_line_types: ["PrivateRateDiscount"],
    withdrawable: true,
    superseded_at: null,
    withdrawn_at: null,
    given_up: [],
    imported_at: new Date(Date.now() - 3 * HOUR).toISOString(),
  },
  {
    id: "bil_02",
    name: "focus-two-currencies.csv.gz",
    format: "focus",
    first_day: "2026-09-01",
    last_day: "2026-09-30",
    lines: 48_112,
    totals: [
      { currency: "USD", total_cost: "9120.10", ai_cost: "1204.50", candidate_cost: "0", ai_costs: costsOf("1204.50", null), ai_percent: "13.2", lines: 40_000 },
      { currency: "EUR", total_cost: "2210.00", ai_cost: "310.2", candidate_cost: "12", ai_costs: costsOf("310.2", null), ai_percent: "14", lines: 8_112 },
    ],
    resources: [],
    unknown_line_types: [],
    withdrawable: true,
    superseded_at: null,
    withdrawn_at: null,
    given_up: [],
    imported_at: new Date(Date.now() - 2 * DAY).toISOString(),
  },
];

const candidate = (service, account_id, region, instance_type, accelerators, rule_id, cost, lines) => ({
  service,
  account_id,
  region,
  instance_type,
  accelerators,
  rule_id,
  currency: "USD",
  cost,
  lines,
});

export const CANDIDATES = [
  candidate("ec2", "444455556666", "us-east-1", "p5.48xlarge", "8 × H100", "cdr_01", "2410.55", 96),
  candidate("opensearch", "111122223333", "eu-central-1", null, "", null, "1940.1", 1_440),
  candidate("ec2", "111122223333", "us-west-2", "g5.12xlarge", "4 × A10G", null, "1180.45", 220),
];

export const CANDIDATE_RULES = [
  { id: "cdr_01", service: "ec2", account_id: "444455556666", region: null, instance_type: "p5.48xlarge", created_at: new Date(Date.now() - 9 * DAY).toISOString(), ended_at: null },
];

const VIEW_GROUPS = {
  service: ["bedrock", "sagemaker", "textract", "transcribe"],
  category: ["inference", "provisioned", "managed_api", "other"],
  principal: ["arn:aws:iam::111122223333:role/checkout", ""],
  model: ["Claude Sonnet 4.5", "Claude Haiku 4.5", "Amazon Nova Pro", "Llama 3.3 70B", "Titan Embeddings V2", ""],
  token_class: ["output", "fresh_input", "cache_write_5m", "cache_read", "provisioned_throughput"],
  account: ["111122223333", "444455556666", "777788889999"],
  region: ["us-east-1", "eu-central-1", "us-west-2"],
  accelerator: ["8 × H100", "1 × A10G", ""],
};

export function makeBillBreakdown(bill, by, measure) {
  const groups = VIEW_GROUPS[by];
  const weights = groups.map((_, at) => 1 / (at + 1.1) ** 1.5);
  const sum = weights.reduce((a, b) => a + b, 0);
  const counted = by === "model" || by === "token_class";
  const items = bill.totals.flatMap(({ currency, ai_cost, ai_costs }) =>
    groups.map((group, at) => {
      const used = (Number(ai_cost) * weights[at]) / sum;
      const whole = ai_costs[measure];
      const cost = whole === null ? null : (Number(whole) * weights[at]) / sum;
      return {
        group,
        currency,
        cost: cost === null ? null : cost.toFixed(6),
        tokens: counted ? String(Math.floor(used * 210_000)) : "0",
        unit_cost_per_million: counted && cost !== null ? ((cost * 1e6) / (used * 210_000)).toFixed(4) : null,
        lines: 900 - at * 70,
      };
    }),
  );
  return { items };
}
