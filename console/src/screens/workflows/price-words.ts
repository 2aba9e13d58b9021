// Plain words for the price catalogue: how a review or correction is, and what a document changes.
import type { PriceChanges, PriceCorrection, PriceReview } from "@/api/types";
import type { Word } from "@/lib/words";

export const REVIEW_STATES: Record<PriceReview["state"], Word> = {
  needs_review: { label: "Look at it", meaning: "It is published when somebody says so, and not before.", tone: "caution" },
  approved: { label: "Published", meaning: "Somebody looked at it and published it.", tone: "good" },
  refused: { label: "Refused", meaning: "Somebody looked at it and refused it.", tone: "neutral" },
  superseded: { label: "Overtaken", meaning: "A newer document came before anybody decided.", tone: "neutral" },
};

export const CORRECTION_STATES: Record<PriceCorrection["state"], Word> = {
  previewing: { label: "Counting", meaning: "What it would do is being counted; nothing changes.", tone: "neutral" },
  previewed: { label: "Counted", meaning: "It waits for your word; nothing has changed.", tone: "caution" },
  running: { label: "Running", meaning: "Calls get the corrected price.", tone: "caution" },
  done: { label: "Done", meaning: "Every call has the corrected price, and keeps its first one in its receipt.", tone: "good" },
  cancelled: { label: "Cancelled", meaning: "Nothing was changed.", tone: "neutral" },
};

const WHY: Record<PriceChanges["review"][number]["why"], string> = {
  jump: "five times or more",
  vanished: "calls use it, and it has no price any more",
  rate_vanished: "calls use it, and a rate is gone",
  moved: "its name goes to another entry, at another price",
  outlier: "new, and like no other price",
};

function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** What a document changes, as `3 new models, 1 figure`. */
export function changesInWords({ added_count: added, removed_count: removed, changed_count: changed, moved_count: moved }: Pick<PriceChanges, "added_count" | "removed_count" | "changed_count" | "moved_count">): string {
  const parts = [
    added > 0 ? counted(added, "new model", "new models") : null,
    removed > 0 ? counted(removed, "model gone", "models gone") : null,
    changed > 0 ? counted(changed, "figure", "figures") : null,
    moved > 0 ? counted(moved, "name moved", "names moved") : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? "no figure" : parts.join(", ");
}

/** One reason to look, as `openai/gpt-4o output: 10 → 50 (five times or more)`. */
export function reasonInWords({ why, model, change }: PriceChanges["review"][number]): string {
  const other = change && change.price_id !== model ? ` to ${change.price_id}` : "";
  const figure = change ? `${other} ${change.class.replaceAll("_", " ")}, ${change.row}: ${change.old ?? "none"} → ${change.new ?? "none"}` : "";
  return `${model}${figure} (${WHY[why]})`;
}

/** A day as the API takes it, `2026-11-01`; `null` for anything else. */
export function dayStart(text: string): string | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text.trim())) return null;
  const time = new Date(`${text.trim()}T00:00:00Z`);
  return Number.isNaN(time.getTime()) || time.toISOString().slice(0, 10) !== text.trim() ? null : time.toISOString();
}
