// Vendors' own cost reports in each state that has a word of its own.
import { at, DAY, HOUR, id, monthBack, page } from "./shapes.mjs";

const month = (back, changed, more = {}) => ({ month: monthBack(back), bill_id: "bil_01", changed_at: at(changed), read_at: at(-3 * HOUR), problem: null, ...more });

const SOURCES = [
  { vendor: "anthropic", name: "Acme", state: "active", key_hint: "x7Qd", organisation: "Acme Corp", months: [month(0, -3 * HOUR), month(1, -24 * DAY), month(2, -54 * DAY)] },
  {
    vendor: "openai",
    name: "Acme research and evaluation",
    state: "failing",
    key_hint: "9fKe",
    organisation: "org-8f2c41aa0b9e4f2c",
    problem: { code: "key_refused", detail: "OpenAI refused the admin key.", remedy: "Make a new admin key at the vendor and replace this one by it." },
    months: [
      month(0, 0, { bill_id: null, changed_at: null }),
      month(1, -26 * DAY, { problem: { code: "report_unreadable", detail: "The report of October has an amount that is no number.", remedy: "Nothing to do: it is read again. If it stays, tell us." } }),
    ],
  },
  { vendor: "openai", name: "Labs", state: "pending", key_hint: "2bTz", organisation: null, fetched_at: null, months: [] },
  { vendor: "anthropic", name: "Acme EU", state: "paused", key_hint: "k0Lm", organisation: "Acme EU GmbH", fetched_at: at(-20 * DAY), months: [month(1, -22 * DAY)] },
  { vendor: "openai", name: "Before the merger", state: "revoked", key_hint: "", organisation: "org-1d", fetched_at: at(-90 * DAY), revoked_at: at(-88 * DAY), months: [] },
].map((source, number) => ({ id: id("ivs", number + 1), problem: null, created_at: at(-100 * DAY), fetched_at: at(-3 * HOUR), next_fetch_at: at(21 * HOUR), revoked_at: null, ...source }));

/** `undefined` where the path is another's. */
export function vendorsAnswer(world, path) {
  if (path === "/invoice-sources") return page(world.empty ? [] : SOURCES);
  return undefined;
}
