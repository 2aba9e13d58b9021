// Exact decimals as the API sends them: strings. Nothing here passes through a binary float, so a receipt that is
// added up in the browser adds up to the same digits as in the ledger.

export interface Decimal {
  /** The digits as one whole number, sign included. */
  readonly units: bigint;
  /** How many of the digits stand behind the point. */
  readonly scale: number;
}

const PLAIN = /^([+-])?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Reads a decimal, plain or in E-notation; `null` for anything else. */
export function parseDecimal(text: string): Decimal | null {
  const match = PLAIN.exec(text.trim());
  if (!match) return null;
  const [, sign, whole = "", fraction = "", exponent] = match;
  let units = BigInt(whole + fraction);
  if (sign === "-") units = -units;
  const scale = fraction.length - Number(exponent ?? "0");
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 };
}

/** The decimal written with at least `scale` places behind the point. */
function widen(value: Decimal, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { units: widen(a, scale) + widen(b, scale), scale };
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { units: a.units * b.units, scale: a.scale + b.scale };
}

/** Divides by a power of ten, which is always exact. */
export function shift(value: Decimal, places: number): Decimal {
  return { units: value.units, scale: value.scale + places };
}

export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  const scale = Math.max(a.scale, b.scale);
  const difference = widen(a, scale) - widen(b, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Rounds half away from zero to `places` behind the point. */
export function round(value: Decimal, places: number): Decimal {
  if (value.scale <= places) return { units: widen(value, places), scale: places };
  const divisor = 10n ** BigInt(value.scale - places);
  const magnitude = value.units < 0n ? -value.units : value.units;
  const rounded = (magnitude + divisor / 2n) / divisor;
  return { units: value.units < 0n ? -rounded : rounded, scale: places };
}

/** Plain digits without an exponent; all places kept. */
export function toText(value: Decimal): string {
  const negative = value.units < 0n;
  const digits = (negative ? -value.units : value.units).toString().padStart(value.scale + 1, "0");
  const whole = digits.slice(0, digits.length - value.scale);
  const fraction = value.scale > 0 ? `.${digits.slice(-value.scale)}` : "";
  return `${negative ? "-" : ""}${whole}${fraction}`;
}

/** Plain digits without trailing zeros behind the point. */
export function toShortText(value: Decimal): string {
  const text = toText(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** The exact sum; `null` if one of the texts is no decimal. */
export function sum(texts: Iterable<string>): Decimal | null {
  let total: Decimal = { units: 0n, scale: 0 };
  for (const text of texts) {
    const value = parseDecimal(text);
    if (!value) return null;
    total = add(total, value);
  }
  return total;
}

/** The exact quotient `a / b`, rounded to `places`; `null` when `b` is zero. */
export function divide(a: Decimal, b: Decimal, places: number): Decimal | null {
  if (b.units === 0n) return null;
  const extra = places + 2 + b.scale;
  const units = (a.units * 10n ** BigInt(extra)) / b.units;
  return round({ units, scale: a.scale + extra - b.scale }, places);
}

/** For bar widths and charts only: the nearest float. */
export function toFloat(text: string | null | undefined): number {
  const value = text === null || text === undefined ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : 0;
}
