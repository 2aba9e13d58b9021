// A month charged back, with every kind of row; the rows add up to the bill and what is on no bill.
import { monthBack, parts, sum } from "./shapes.mjs";

const LABELS = [
  ["key_01", "team", "Checkout"],
  ["key_01", "cost-centre", "4711"],
  ["key_02", "team", "Support"],
  ["key_02", "user", "ann@example.com"],
];
const SETTLED = "11312.764588";
const BESIDE = [
  ["unproxied", "1408.221905"],
  ["unmetered", "842.4"],
  ["tax", "196.07"],
  ["unknown", "21.14"],
  ["credit", "-250"],
];
const GROUPS = {
  team: [["Checkout", "Support", null], [58, 31, 11]],
  key: [["key_01", "key_02", "key_03"], [58, 31, 11]],
  user: [["ann@example.com", null], [31, 69]],
  tag: [["4711", null], [58, 42]],
};
const NAMES = { key_01: "checkout-agent", key_02: "support-triage", key_03: "nightly-evals" };

/** `undefined` where the path is another's. */
export function chargebackAnswer(world, path, { method, query, body }) {
  const items = world.empty ? [] : LABELS.map(([api_key_id, name, value]) => ({ api_key_id, name, value }));
  if (path === "/key-labels") return { items, names: world.empty ? [] : ["cost-centre", "team", "user"] };
  const ofKey = /^\/keys\/(\w+)\/labels$/.exec(path);
  if (ofKey && method === "PUT") return body;
  const month = /^\/months\/([\d-]+)\/chargeback$/.exec(path)?.[1];
  if (!month) return undefined;
  const by = query.get("by") ?? "team";
  const [groups, weights] = world.empty ? [[], []] : GROUPS[by];
  const settled = parts(SETTLED, weights);
  const estimated = parts("11901.02", weights);
  const calls = groups.map((group, number) => {
    const [provisional, unbilled] = number === 0 ? ["9.42", "18.220417"] : ["0", "0"];
    const amount = sum([settled[number], provisional, unbilled]);
    return { kind: "calls", group, name: by === "key" ? NAMES[group] : null, issuer: null, code: null, calls: 4_120 * weights[number], estimated: estimated[number], settled: settled[number], provisional, unbilled_calls: number === 0 ? 214 : 0, unbilled, unpriced_calls: number === 0 ? 3 : 0, amount };
  });
  const nothing = { group: null, name: null, calls: null, estimated: null, settled: null, provisional: null, unbilled_calls: null, unbilled: null, unpriced_calls: null };
  const beside = world.empty ? [] : BESIDE.map(([code, amount]) => ({ ...nothing, kind: "beside_calls", issuer: "aws", code, amount }));
  const rows = [...calls, ...beside];
  const amount = sum(rows.map((row) => row.amount));
  const notBilled = world.empty ? "0" : "27.640417";
  return {
    month,
    by,
    tag: query.get("tag"),
    measure: query.get("measure") ?? "unblended",
    is_final: false,
    totals: {
      calls: calls.reduce((all, row) => all + row.calls, 0),
      estimated: sum(estimated),
      settled: sum(settled),
      provisional: world.empty ? "0" : "9.42",
      unbilled: world.empty ? "0" : "18.220417",
      unpriced_calls: world.empty ? 0 : 3,
      amount,
      billed: sum([amount, `-${notBilled}`]),
      not_billed: notBilled,
    },
    items: rows,
    issuers: world.empty ? [] : [{ issuer: "aws", billed: sum([amount, `-${notBilled}`]), version: "bil_01", complete_through: `${monthBack(1)}-28`, settled_at: new Date().toISOString(), residuals: [] }],
    other_currencies: [],
  };
}
