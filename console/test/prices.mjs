// The operator's catalogue of prices: what was fetched, what waits for a word, what was published and corrected.
import { at, DAY, HOUR, id, page } from "./shapes.mjs";

const NOTHING = { added: [], added_count: 0, changed: [], changed_count: 0, moved: [], moved_count: 0, removed: [], removed_count: 0, review: [] };
const JUMP = { price_id: "openai/gpt-5.2", class: "output", row: "standard", old: "10", new: "100" };
const FIGURES = {
  ...NOTHING,
  changed: [JUMP, { price_id: "anthropic/claude-haiku-4-5", class: "cache_write_1h", row: "standard", old: null, new: "2" }],
  changed_count: 2,
  added: ["openai/gpt-5.2-mini", "mistral/mistral-medium-3.2", "amazon/nova-2-pro"],
  added_count: 3,
  removed: ["openai/gpt-4-32k"],
  removed_count: 1,
  moved: [{ provider: "openai", name: "gpt-latest", old: "openai/gpt-5.1", new: "openai/gpt-5.2" }],
  moved_count: 1,
};
const SOURCE = "https://prices.example.com/catalogue.json";

const REVIEWS = [
  ["needs_review", null, { ...FIGURES, review: [{ model: "openai/gpt-5.2", why: "jump", change: JUMP }, { model: "openai/gpt-4-32k", why: "vanished", change: null }] }],
  ["approved", 6, { ...NOTHING, changed: [JUMP], changed_count: 1, review: [{ model: "openai/gpt-5.2", why: "jump", change: JUMP }] }],
  ["superseded", null, { ...NOTHING, added: ["mistral/pixtral"], added_count: 1 }],
].map(([state, version, changes], number) => ({ id: id("prv", number + 1), state, version, changes, base_version: 6 - number, source: SOURCE, sha256: "9f2c".repeat(16), fetched_at: at(-number * 5 * DAY - HOUR), decided_at: state === "needs_review" ? null : at(-number * 5 * DAY) }));

const VERSIONS = [7, 6, 5].map((version, number) => ({ version, published_at: at(-number * 6 * DAY - 2 * HOUR), review_id: version === 6 ? id("prv", 2) : null, source: SOURCE, sha256: "9f2c".repeat(16), changes: number === 0 ? FIGURES : { ...NOTHING, added: ["mistral/pixtral"], added_count: 1 } }));

const CORRECTIONS = [
  ["previewed", "anthropic/claude-sonnet-4-5", "The long-context price was a tenth too low"],
  ["running", "openai/gpt-4o", "Cached input was priced as fresh"],
  ["done", "mistral/mistral-large-latest", "The vendor's page was read wrongly"],
].map(([state, price_id, reason], number) => ({ id: id("prc", number + 1), state, price_id, provider: price_id.split("/")[0], reason, price_version: 7 - number, from: at(-(20 + number * 9) * DAY), to: at(-(6 + number * 9) * DAY), asked_at: at(-number * 3 * DAY - HOUR), asked_by: "operator:command-line", confirmed_at: state === "previewed" ? null : at(-number * 3 * DAY), ended_at: state === "done" ? at(-5 * DAY) : null }));

const SUMS = { seen: 184_302, changed: 12_044, old_cost: "1204.118033", new_cost: "1324.529836", tenants: 14, tenants_done: 14 };

/** `undefined` where the path is another's. */
export function pricesAnswer(world, path) {
  if (path === "/operator/prices")
    return world.empty
      ? { newest_version: 0, price_version: 0, checked_at: null, good_at: null, outcome: null, problem: null, source: null }
      : { newest_version: 7, price_version: 7, checked_at: at(-20 * 60_000), good_at: at(-6 * HOUR), outcome: "needs_review", problem: null, source: SOURCE };
  if (path === "/operator/price-reviews") return page(world.empty ? [] : REVIEWS);
  if (path === "/operator/price-versions") return page(world.empty ? [] : VERSIONS);
  if (path === "/operator/price-corrections") return page(world.empty ? [] : CORRECTIONS);
  const correction = CORRECTIONS.find((one) => path === `/operator/price-corrections/${one.id}`);
  if (correction) return { correction, preview: SUMS, done: correction.state === "running" ? { ...SUMS, changed: 4_112, tenants_done: 5 } : SUMS };
  return undefined;
}
