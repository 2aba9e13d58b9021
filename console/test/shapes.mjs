// What every file of fixtures needs: times that end now, ids, pages, and sums that are exact to the millionth.
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export const at = (ms) => new Date(Date.now() + ms).toISOString();
export const dayAt = (ms) => at(ms).slice(0, 10);
export const id = (prefix, number) => `${prefix}_${String(number).padStart(32, "0")}`;
export const page = (items) => ({ items, next_cursor: null });

/** The month `back` months ago, as `2026-09`. */
export function monthBack(back) {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7);
}

/** Decimal text as whole millionths, so that sums of fixtures add up to the digit. */
export function micros(decimal) {
  const [, sign, whole, fraction = ""] = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(decimal);
  const size = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
  return sign ? -size : size;
}

export function text(value) {
  const size = value < 0n ? -value : value;
  const plain = `${size / 1_000_000n}.${String(size % 1_000_000n).padStart(6, "0")}`.replace(/\.?0+$/, "");
  return value < 0n ? `-${plain}` : plain;
}

export const sum = (texts) => text(texts.reduce((all, one) => all + micros(one), 0n));

/** `whole` in parts of these weights, the last one what is left: they add up. */
export function parts(whole, weights) {
  const total = weights.reduce((all, one) => all + BigInt(one), 0n);
  let left = micros(whole);
  return weights.map((weight, number) => {
    const part = number === weights.length - 1 ? left : (micros(whole) * BigInt(weight)) / total;
    left -= part;
    return text(part);
  });
}
