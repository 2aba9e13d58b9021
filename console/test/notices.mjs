// Fixtures for whom is told, budgets, workflows and the account: every state that has a word of its own.
import { at, DAY, HOUR, id, page } from "./shapes.mjs";

const RECIPIENTS = [
  ["finance@acme.example", true, true, -9 * DAY, null, null],
  ["new.colleague@acme.example", true, false, null, null, null],
  ["left@acme.example", false, true, -80 * DAY, -DAY, "unsubscribed"],
  ["mistyped@acmee.example", true, true, null, -2 * HOUR, "bounced"],
].map(([email, digest, alerts, confirmed, stopped, stop_reason], number) => ({
  id: id("rcp", number),
  email,
  digest,
  alerts,
  created_at: at(-90 * DAY),
  confirmed_at: confirmed === null ? null : at(confirmed),
  stopped_at: stopped === null ? null : at(stopped),
  stop_reason,
}));

const CHANNELS = [
  { id: id("slk", 1), name: "#ai-spend", digest: true, alerts: true, created_at: at(-40 * DAY), stopped_at: null, stop_reason: null },
  { id: id("slk", 2), name: "#old-channel", digest: false, alerts: true, created_at: at(-70 * DAY), stopped_at: at(-3 * HOUR), stop_reason: "Slack answered 404: no_service" },
];

const ENDPOINTS = [
  { id: id("whk", 1), name: "finance-bot", host: "hooks.acme.example", kinds: [], created_at: at(-20 * DAY), failing_since: null, stopped_at: null, stop_reason: null },
  { id: id("whk", 2), name: "siem", host: "in.siem.example", kinds: ["key.created", "key.revoked", "bill.failed"], created_at: at(-20 * DAY), failing_since: at(-5 * HOUR), stopped_at: null, stop_reason: null },
  { id: id("whk", 3), name: "old-sink", host: "gone.example", kinds: ["bill.published"], created_at: at(-60 * DAY), failing_since: at(-6 * DAY), stopped_at: at(-DAY), stop_reason: "no delivery succeeded for five days" },
];

const DELIVERIES = [
  ["budget.reached", "pending", 3, 503, "upstream_status", '{"error":"try later"}', 212],
  ["key.created", "delivered", 1, 200, null, "ok", 48],
  ["bill.published", "exhausted", 8, null, "connect_timeout", null, 10_000],
].map(([kind, state, attempts, last_status, last_code, last_answer, last_millis], number) => ({
  event_id: id("evt", number),
  kind,
  state,
  attempts,
  last_status,
  last_code,
  last_answer,
  last_millis,
  created_at: at(-number * HOUR - 60_000),
  last_at: at(-number * HOUR - 30_000),
  next_at: state === "pending" ? at(9 * 60_000) : null,
  settled_at: state === "pending" ? null : at(-number * HOUR),
}));

const MESSAGES = ["sent", "queued", "unknown", "refused", "suppressed", "expired"].map((state, number) => ({
  id: id("msg", number),
  kind: ["weekly_digest", "confirm_recipient", "budget_alert", "anomaly_alert", "bill_published", "bill_failed"][number],
  state,
  attempts: number,
  created_at: at(-number * 5 * HOUR - 50_000),
  expires_at: at(2 * DAY),
  settled_at: state === "queued" ? null : at(-number * 5 * HOUR),
  problem: state === "refused" ? "the mail server said 550 5.1.1 no such user" : null,
  recipient_id: number === 3 ? null : id("rcp", number % 2),
  slack_channel_id: number === 3 ? id("slk", 1) : null,
}));

const BUDGETS = [
  ["Everything", "9000", "4819.034517", "53.5", "month", [50, 80, 100], null],
  ["Customer support", "2500", "2165.03", "86.6", "month", [50, 80, 100], null],
  ["CI and tooling", "1000", "1441.2", "144.1", "week", [80, 100, 200], null],
  ["In-house models", "100", null, null, "day", [100], null],
  ["Prototype", "50", null, null, "week", [50, 100], -12 * DAY],
].map(([name, amount, spent, percent, period, thresholds, ended], number) => ({
  id: id("bud", number),
  name,
  amount,
  spent,
  percent,
  period,
  thresholds,
  api_key_id: number === 1 ? "key_02" : null,
  provider: number === 3 ? "openai" : null,
  model: number === 3 ? "in-house-llama" : null,
  created_at: at(-30 * DAY),
  ended_at: ended === null ? null : at(ended),
  includes_unproxied: number === 0,
  estimated: number === 0 ? "5012.77" : spent,
  period_start: at(-12 * DAY),
  unpriced_requests: number === 3 ? 212 : 0,
}));

const JOBS = ["running", "retrying", "dead", "scheduled", "done", "cancelled", "waiting", "ready"].map((state, number) => ({
  id: `01a2150c-6a3f-70a6-829f-${String(number).padStart(12, "0")}`,
  queue: ["bill-ingestion.v1", "message.v1", "webhook.v1", "digest.v1", "bill-ingestion.v1", "message.v1", "erasure.v1", "event.v1"][number],
  state,
  key: id("upl", number),
  attempts: number + 1,
  max_attempts: 20,
  cancel_requested: false,
  created_at: at(-number * HOUR - 40_000),
  run_at: at(state === "scheduled" || state === "retrying" ? 11 * 60_000 : -number * HOUR),
  started_at: state === "scheduled" ? null : at(-number * HOUR),
  done_at: ["dead", "done", "cancelled"].includes(state) ? at(-number * HOUR + 4_000) : null,
  error: state === "retrying" ? "the mail server asked to wait" : state === "dead" ? "the endpoint did not answer in ten seconds" : null,
  error_class: state === "retrying" ? "throttled" : state === "dead" ? "transient" : null,
  error_code: state === "retrying" ? "mail_deferred" : state === "dead" ? "connect_timeout" : null,
  progress: state === "running" ? { step: "reading", lines_read: 1_200_000 } : null,
}));

const STORY = [
  { at: at(-2 * HOUR), attempt: 1, error: "the endpoint did not answer in ten seconds", error_class: "transient", error_code: "connect_timeout", ran_ms: 10_004 },
  { at: at(-HOUR), attempt: null, error: "the network is mended", error_class: null, error_code: "retried", ran_ms: null },
];

const detailsOf = (job) => ({ workflow: job, story: job.state === "dead" ? STORY : [], fields: ["event", "endpoint", "tenant"], expires_at: at(3 * DAY), trace: id("req", 7) });

const AUDIT = [
  ["closure.cancelled", "session:ses_1", {}, id("era", 1)],
  ["budget.created", "session:ses_1", { amount: "2500", thresholds: [50, 80, 100] }, id("bud", 1)],
  ["recipient.unsubscribed", "link", {}, id("rcp", 2)],
  ["workflow.retried", "operator:command-line", { reason: "the network is mended" }, null],
].map(([action, actor, change, target], number) => ({ id: id("aud", number), action, actor, change, target, at: at(-number * 7 * HOUR - 20_000), request_id: null }));

const SLACK = {
  text: "Acme Corp",
  blocks: [
    { type: "header", text: { type: "plain_text", text: "Acme Corp: Week 47" } },
    { type: "section", text: { type: "mrkdwn", text: "AI spend this week\n*$1,607.85*  ·  +16%" } },
    { type: "section", fields: ["Requests\n*184,302*", "Failed\n*1,047*", "Unpriced\n*212*"].map((text) => ({ type: "mrkdwn", text })) },
    { type: "section", text: { type: "mrkdwn", text: "*Day by day*\n```Mon 16 Nov  $231.41  ███████\nTue 17 Nov  $254.01  ████████```" } },
    { type: "context", elements: [{ type: "mrkdwn", text: "Days are in UTC. <https://costlens.example/|Open the console>" }] },
  ],
};
const MAIL =
  '<!DOCTYPE html><html lang="en"><head><meta name="color-scheme" content="light dark" /><title>Week 47</title><style>.a{color:red}</style></head><body style="margin:0;background-color:#f3f4f6;font-family:sans-serif"><h1 style="padding:24px;color:#111827">Acme Corp: Week 47</h1></body></html>';

const CLOSURE = { erasure_id: id("era", 1), state: "grace", requested_at: at(-2 * DAY), erase_at: at(5 * DAY - HOUR), deadline_at: at(28 * DAY) };

const CERTIFICATE = {
  number: id("era", 2),
  requested_at: at(-20 * DAY),
  begun_at: at(-13 * DAY),
  erased_at: at(-12 * DAY),
  deadline_at: at(10 * DAY),
  steps: { keys: { destroyed: 3 }, rows: { requests: 184_302, bills: 4 }, files: { removed: 12 }, look: { tables: 41, left: 0 } },
  tag: "9f2c".repeat(16),
};

/** An export in each state that has a word of its own. */
const EXPORTS = [
  ["running", { rows: 1_204_000, permille: 379 }],
  ["queued", {}],
  ["done", { rows: 2_412_077, permille: 1000, size_bytes: 214_700_000, sha256: "9f2c".repeat(16), expires_at: at(6 * DAY) }],
  ["failed", { problem: { code: "export_too_large", detail: "the file would have more than the 1073741824 bytes that it may have; ask for a shorter period" } }],
  ["expired", { rows: 17, permille: 1000, size_bytes: 1_204, sha256: "9f2c".repeat(16), expires_at: at(-DAY) }],
].map(([state, more], number) => ({
  id: id("exp", number),
  what: number === 2 ? "focus" : number % 2 === 1 ? "hourly_spend" : "requests",
  format: number % 2 === 1 ? "jsonl" : "csv",
  filter: { from: at(-30 * DAY), to: at(0), api_key_id: null, connection_id: null, provider: number === 3 ? "openai" : null, model: null, outcome: null },
  state,
  rows: 0,
  permille: 0,
  file_name: `costlens-requests-20261124-0000000${number}.csv.gz`,
  size_bytes: null,
  sha256: null,
  problem: null,
  created_at: at(-number * DAY - 60_000),
  finished_at: null,
  expires_at: null,
  ...more,
}));

/** Ninety days of a part: mostly well, with an outage, a slow day and some days that nobody looked at. */
function daysOf(trouble) {
  return Array.from({ length: 90 }, (_, number) => {
    const day = { day: at((number - 89) * DAY).slice(0, 10), ok_minutes: 1440, degraded_minutes: 0, down_minutes: 0, unknown_minutes: 0 };
    if (number < 5) return { ...day, ok_minutes: 0, unknown_minutes: 1440 };
    if (number === 60) return { ...day, ok_minutes: 1400, unknown_minutes: 40 };
    return trouble && number === 71 ? { ...day, ok_minutes: 1433, down_minutes: 7 } : trouble && number === 80 ? { ...day, ok_minutes: 1420, degraded_minutes: 20 } : day;
  });
}

const STATUS = {
  state: "degraded",
  at: at(0),
  components: [
    { component: "api", state: "ok", checked_at: at(-20_000), uptime_percent: "100", days: daysOf(false) },
    { component: "database", state: "ok", checked_at: at(-20_000), uptime_percent: "100", days: daysOf(false) },
    { component: "jobs", state: "unknown", checked_at: null, uptime_percent: "100", days: daysOf(false) },
    { component: "proxy/eu", state: "degraded", checked_at: at(-20_000), uptime_percent: "99.977", days: daysOf(true) },
  ],
  incidents: [{ id: "01a2150c-6a3f-70a6-829f-00000000000a", component: "proxy/eu", started_at: at(-18 * DAY), ended_at: at(-18 * DAY + 7 * 60_000) }],
};

/** What the API answers to a reading of these pages; `undefined` where the path is another's. */
export function noticesAnswer(world, path) {
  const list = (items) => (world.empty ? [] : items);
  if (path === "/settings") return { time_zone: "Europe/Berlin", digest_weekday: "monday", digest_hour: 9, next_digest_at: at(4 * DAY) };
  if (path === "/recipients") return { items: list(RECIPIENTS), mail_configured: !world.empty };
  if (path === "/slack-channels") return { items: list(CHANNELS) };
  if (path === "/webhook-endpoints") return { items: list(ENDPOINTS) };
  if (/^\/webhook-endpoints\/\w+\/deliveries$/.test(path)) return page(list(DELIVERIES));
  if (path === "/event-kinds") return { items: ["bill.published", "bill.failed", "budget.reached", "anomaly.found", "key.created", "key.revoked", "webhook.test"].map((name) => ({ name })) };
  if (path === "/message-kinds") return { items: [{ name: "weekly_digest", slack: true }, { name: "confirm_recipient", slack: false }] };
  if (/^\/message-kinds\/\w+\/preview$/.test(path)) return { kind: "weekly_digest", subject: "Acme Corp: $1,607.85 on AI (+16%)", html: MAIL, text: "Acme Corp\nWeek 47\n\nAI spend this week: $1,607.85 (+16%)", slack: SLACK };
  if (path === "/messages") return page(list(MESSAGES));
  if (path === "/exports") return page(list(EXPORTS));
  if (path === "/budgets") return { items: list(BUDGETS) };
  if (path === "/workflows") return page(list(JOBS));
  const job = JOBS.find((one) => path.endsWith(one.id));
  if (job && path.startsWith("/workflows/")) return detailsOf(job);
  if (job) return { details: detailsOf(job), tenant_id: id("ten", 1), crashes: 2 };
  if (path === "/operator/jobs") return page(list(JOBS).map((one) => ({ job: one, tenant_id: id("ten", 1), crashes: 0, priority: 0 })));
  if (path === "/operator/stats") return { queues: list([{ queue: "message.v1", ready: 12, running: 2, scheduled: 4, waiting: 0, dead: 0, oldest_ready_ms: 812 }, { queue: "webhook.v1", ready: 0, running: 0, scheduled: 1, waiting: 0, dead: 37, oldest_ready_ms: null }]) };
  if (path === "/operator/redrive/preview") return { jobs: 37 };
  if (path === "/operator/schedules") {
    const schedule = { cron: "*/10 * * * *", time_zone: "UTC", last_tick_at: at(-4 * 60_000) };
    return { items: [{ ...schedule, name: "budgets", queue: "budgets.v1", paused: false, next_tick_at: at(6 * 60_000) }, { ...schedule, name: "digests", queue: "digest.v1", paused: true, next_tick_at: null }] };
  }
  if (path === "/operator/erasures") return { items: list([{ id: id("era", 1), state: "grace", requested_at: at(-2 * DAY), erase_at: at(5 * DAY), deadline_at: at(28 * DAY), begun_at: null, alarmed_day: null, evidence: {} }, { id: id("era", 3), state: "erasing", requested_at: at(-31 * DAY), erase_at: at(-24 * DAY), deadline_at: at(-DAY), begun_at: at(-24 * DAY), alarmed_day: 30, evidence: {} }]) };
  if (path === "/operator/events" || path === "/audit-events") return page(list(AUDIT));
  if (path === "/audit/head") return { seq: 1204, hash: "9f2c".repeat(16), pruned_seq: 0, pruned_hash: "0".repeat(64) };
  if (path === "/audit/verification") return { verified: true, events: 1204, to_seq: 1204, to_hash: "9f2c".repeat(16), next_after: null, fault: null };
  if (path === "/account/closure") return { closure: world.closing ? CLOSURE : null };
  return undefined;
}

/** What it answers to links of mails and to certificates, which need no session. */
export function publicAnswer(path, token) {
  if (path === `/erasures/${CERTIFICATE.number}/certificate`) return CERTIFICATE;
  if (path === "/status") return STATUS;
  if (path === "/recipients/confirm" && token === "good-token-0123456789") return { tenant_name: "Acme Corp", digest: true, alerts: false };
  return undefined;
}
