// How a call ended, as a dot with words.
import type { RequestRow } from "@/api/types";
import { OUTCOME_WORDS } from "@/lib/words";
import { cx } from "@/ui/cx";

const DOTS = { good: "bg-accent", neutral: "bg-muted", caution: "bg-caution", worse: "bg-worse", bill: "bg-bill" } as const;

export function OutcomeDot({ outcome, status }: { outcome: RequestRow["outcome"]; status?: number | null }) {
  const word = OUTCOME_WORDS[outcome];
  const said = status ? `${word.label}, status ${status}` : word.label;
  return <span role="img" aria-label={said} title={said} className={cx("size-2 shrink-0 rounded-full", DOTS[word.tone])} />;
}
