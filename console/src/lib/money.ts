// How amounts are written. The short form rounds for reading, the exact form never does, and two currencies are
// never added: a sum over several currencies is a list with one line each.
import { add, type Decimal, divide, parseDecimal, round, toShortText, toText } from "./decimal";

const SIGNS: Record<string, string> = { USD: "$", EUR: "€", GBP: "£", JPY: "¥" };
const ONE: Decimal = { units: 1n, scale: 0 };
const CENT: Decimal = { units: 1n, scale: 2 };

function magnitude(value: Decimal): Decimal {
  return value.units < 0n ? { ...value, units: -value.units } : value;
}

function isBelow(a: Decimal, b: Decimal): boolean {
  const scale = Math.max(a.scale, b.scale);
  return a.units * 10n ** BigInt(scale - a.scale) < b.units * 10n ** BigInt(scale - b.scale);
}

function withSeparators(plain: string): string {
  const [whole = "0", fraction] = plain.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

function withSign(plain: string, currency: string, negative: boolean): string {
  const sign = SIGNS[currency];
  const minus = negative ? "−" : "";
  return sign ? `${minus}${sign}${plain}` : `${minus}${currency} ${plain}`;
}

function atLeastTwoPlaces(plain: string): string {
  const [whole, fraction = ""] = plain.split(".");
  return `${whole}.${fraction.padEnd(2, "0")}`;
}

/** Rounded for reading: cents from a dollar up, four places from a cent up, three significant digits below. */
export function shortMoney(text: string, currency = "USD"): string {
  const value = parseDecimal(text);
  if (!value) return text;
  const size = magnitude(value);
  const negative = value.units < 0n;
  if (size.units === 0n) return withSign("0.00", currency, false);
  if (!isBelow(size, ONE)) return withSign(withSeparators(toText(round(size, 2))), currency, negative);
  if (!isBelow(size, CENT)) {
    return withSign(atLeastTwoPlaces(toShortText(round(size, 4))), currency, negative);
  }
  const leading = size.scale - size.units.toString().length;
  return withSign(toShortText(round(size, leading + 3)), currency, negative);
}

/** Every digit, with separators; at least cents. */
export function exactMoney(text: string, currency = "USD"): string {
  const value = parseDecimal(text);
  if (!value) return text;
  const plain = atLeastTwoPlaces(toShortText(magnitude(value)));
  return withSign(withSeparators(plain), currency, value.units < 0n);
}

/** The same with its sign, for what is a difference: `+$1.20`, `−$1.20`. */
export function signedMoney(text: string, currency = "USD"): string {
  const value = parseDecimal(text);
  const short = shortMoney(text, currency);
  return value && value.units > 0n ? `+${short}` : short;
}

/** `after` less `before`, exactly; `null` where one of them is no number. */
export function difference(after: string, before: string): string | null {
  const [a, b] = [parseDecimal(after), parseDecimal(before)];
  return a && b ? toShortText(add(a, { ...b, units: -b.units })) : null;
}

/** A number that is no money, with separators and every digit. */
export function groupedNumber(text: string): string {
  const value = parseDecimal(text);
  if (!value) return text;
  return `${value.units < 0n ? "−" : ""}${withSeparators(toShortText(magnitude(value)))}`;
}

export interface Amount {
  amount: string;
  currency: string;
}

/** One exact sum per currency, in the order in which the currencies first occur. */
export function sumByCurrency(amounts: Iterable<Amount>): Amount[] {
  const totals = new Map<string, Decimal>();
  for (const { amount, currency } of amounts) {
    const value = parseDecimal(amount);
    if (!value) continue;
    const before = totals.get(currency);
    totals.set(currency, before ? add(before, value) : value);
  }
  return [...totals].map(([currency, total]) => ({ currency, amount: toShortText(total) }));
}

/** `part` as a share of `whole`, in per cent with one place: `12.4 %`; a dash where there is no whole. */
export function share(part: string, whole: string): string {
  const a = parseDecimal(part);
  const b = parseDecimal(whole);
  const quotient = a && b ? divide({ units: a.units * 100n, scale: a.scale }, b, 1) : null;
  if (!quotient) return "–";
  if (quotient.units === 0n && a && a.units !== 0n) return "< 0.1 %";
  return `${toText(quotient)} %`;
}

/** The exact cost per thousand, rounded to six places; `null` when there is nothing to divide by. */
export function perThousand(amount: string, count: number): string | null {
  const value = parseDecimal(amount);
  if (!value || count === 0) return null;
  const quotient = divide({ units: value.units * 1000n, scale: value.scale }, { units: BigInt(count), scale: 0 }, 6);
  return quotient ? toShortText(quotient) : null;
}
