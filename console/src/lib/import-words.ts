// What became of a log that was handed in, in a sentence.
import type { ImportReport } from "@/api/types";

const calls = (count: number) => `${count.toLocaleString("en-US")} ${count === 1 ? "call" : "calls"}`;

/** How many calls are new, known and refused, and how many of those are not named. */
export function importedInWords({ taken, known, refused, refusals }: ImportReport): string {
  const parts = [`${calls(taken)} taken`];
  if (known > 0) parts.push(`${known.toLocaleString("en-US")} known already`);
  if (refused > 0) {
    const unnamed = refused - refusals.length;
    parts.push(`${refused.toLocaleString("en-US")} refused${unnamed > 0 ? `, the first ${refusals.length} of them below` : ""}`);
  }
  return `${parts.join("; ")}.`;
}
