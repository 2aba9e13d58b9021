// How far a budget is: a bar, with a tick at each threshold.
import type { Budget } from "@/api/types";
import { meterOf } from "@/lib/budget";
import { cx } from "@/ui/cx";

const FILLS: Record<string, string> = { good: "bg-accent", caution: "bg-[var(--series-3)]", worse: "bg-worse" };

export function BudgetMeter({ budget }: { budget: Pick<Budget, "percent" | "thresholds" | "name"> }) {
  const { filled, marks, tone } = meterOf(budget);
  const told = budget.percent ? `${budget.percent} percent spent` : "what is spent is not known";
  const thresholds = marks.map(({ percent, reached }) => `${percent} %${reached ? " reached" : ""}`).join(", ");
  // A label has no room beside a near one; the later of the two stays.
  const labelled = marks.filter(({ at }, place) => (marks[place + 1]?.at ?? 200) - at >= 12);
  return (
    <div className="mt-2" role="img" aria-label={`${budget.name}: ${told}; thresholds ${thresholds}`}>
      <div className="relative h-2.5 overflow-hidden rounded-full bg-sunken">
        <span className={cx("block h-full rounded-full", FILLS[tone])} style={{ width: `${filled}%` }} />
        {marks.map(({ percent, at }) => (
          <span key={percent} className="absolute inset-y-0 w-0.5 -translate-x-full bg-surface" style={{ left: `${at}%` }} />
        ))}
      </div>
      <div className="relative mt-1 h-4 text-[0.6875rem] text-muted">
        {labelled.map(({ percent, at, reached }) => (
          <span
            key={percent}
            className={cx("num absolute whitespace-nowrap", at > 92 ? "-translate-x-full" : "-translate-x-1/2", reached && "font-semibold text-ink")}
            style={{ left: `${at}%` }}
          >
            {percent} %
          </span>
        ))}
      </div>
    </div>
  );
}
