// The percents of a budget at which a word is said, as a person types them.

/** How many a budget has at most, and the highest of them. */
const MOST = 10;
const HIGHEST = 1000;

export type Thresholds = { percents: number[]; problem?: undefined } | { percents?: undefined; problem: string };

/** Reads `50, 80 %, 100` in any order; whole percents of 1 to 1000, each once. */
export function readThresholds(text: string): Thresholds {
  const words = text.split(/[\s,;%]+/).filter(Boolean);
  const odd = words.find((word) => !/^\d{1,4}$/.test(word) || Number(word) < 1 || Number(word) > HIGHEST);
  if (odd !== undefined) return { problem: `“${odd}” is not a whole percent of 1 to ${HIGHEST}.` };
  const percents = [...new Set(words.map(Number))].toSorted((a, b) => a - b);
  if (percents.length === 0) return { problem: "Name at least one percent, such as 80." };
  if (percents.length > MOST) return { problem: `A budget has at most ${MOST} of them.` };
  return { percents };
}
