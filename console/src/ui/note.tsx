// A word that stands out: what a person should know before going on.
import { CircleCheck, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

const LOOKS = {
  neutral: { look: "bg-sunken", icon: <Info className="size-4 text-muted" /> },
  good: { look: "bg-accent-soft", icon: <CircleCheck className="size-4 text-accent-ink" /> },
  caution: { look: "bg-caution-soft", icon: <TriangleAlert className="size-4 text-caution" /> },
  worse: { look: "bg-worse-soft", icon: <TriangleAlert className="size-4 text-worse" /> },
};

export function Note({ tone = "neutral", title, className, children }: { tone?: keyof typeof LOOKS; title?: ReactNode; className?: string; children?: ReactNode }) {
  const { look, icon } = LOOKS[tone];
  return (
    <div role="note" className={cx("flex items-start gap-2.5 rounded-lg px-3.5 py-2.5", look, className)}>
      <span className="shrink-0 pt-0.5" aria-hidden>
        {icon}
      </span>
      <div className="min-w-0 flex-1">
        {title ? <p className="font-medium [overflow-wrap:anywhere]">{title}</p> : null}
        {children ? <div className="text-sm">{children}</div> : null}
      </div>
    </div>
  );
}
