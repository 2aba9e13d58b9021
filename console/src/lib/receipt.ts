// A receipt's formula, read back into lines, so that anyone can check the sum. The formula is text written by the
// pricing code: `1000 fresh_input × $2.5/M + 200 output × $10/M`, with what picked the price before it where that
// is not the ordinary one (`flex, input above 272000: …`). What cannot be read is shown as it stands.
import { add, compare, type Decimal, multiply, parseDecimal, shift, toShortText } from "./decimal";

export interface ReceiptLine {
  /** How many units. */
  count: string;
  /** What was counted, e.g. `fresh_input`. */
  what: string;
  /** The price as quoted. */
  rate: string;
  /** How many units the price is quoted for. */
  per: "million" | "thousand" | "one";
  /** The exact product. */
  amount: string;
}

export interface Receipt {
  /** What picked the price, e.g. `flex`; empty for the ordinary one. */
  terms: string;
  lines: ReceiptLine[];
  total: string;
  /** Whether the lines add up to the cost to the last digit. */
  addsUp: boolean;
}

const TERM = /^([\d_,]+)\s+([a-z][a-z0-9_ ]*?)\s*[×x*]\s*\$?([\d.]+(?:[eE]-?\d+)?)\s*(?:\/\s*(M|K|1M|1K|1))?$/i;
const NOTHING = "nothing used";
const PLACES = { million: 6, thousand: 3, one: 0 } as const;

function unitOf(text: string | undefined): ReceiptLine["per"] {
  if (text === undefined) return "one";
  if (/m$/i.test(text)) return "million";
  return /k$/i.test(text) ? "thousand" : "one";
}

/** The formula as lines; `null` where one of its terms is in no known form. */
export function readFormula(formula: string, cost: string): Receipt | null {
  const lines: ReceiptLine[] = [];
  let total: Decimal = { units: 0n, scale: 0 };
  const [, terms = "", used = ""] = /^(?:([^×]*?):\s+)?(.*)$/s.exec(formula.trim()) ?? [];
  for (const term of used === NOTHING ? [] : used.split(/\s\+\s/)) {
    const match = TERM.exec(term.trim());
    if (!match) return null;
    const count = (match[1] ?? "").replace(/[_,]/g, "");
    const per = unitOf(match[4]);
    const quantity = parseDecimal(count);
    const rate = parseDecimal(match[3] ?? "");
    if (!quantity || !rate) return null;
    const amount = shift(multiply(quantity, rate), PLACES[per]);
    total = add(total, amount);
    lines.push({ count, what: (match[2] ?? "").trim(), rate: match[3] ?? "", per, amount: toShortText(amount) });
  }
  const expected = parseDecimal(cost);
  return { terms, lines, total: toShortText(total), addsUp: expected !== null && compare(total, expected) === 0 };
}

/** That a call was priced later than it was recorded, for the line below its sum. */
export function repricedInWords({ price_version: version, first_basis: basis }: { price_version: number; first_basis: string }, at: string): string {
  const by = version === 0 ? "the prices that came with the program" : `price version ${version}`;
  return basis === "unpriced" ? `Had no price at first; priced on ${at} by ${by}.` : `Priced anew on ${at} by ${by}, because the published price was corrected.`;
}
