// The states of a screen that has nothing to show yet: loading, empty, broken. Each says what to do next.
import { CircleAlert, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { asApiError } from "@/api/problem";
import { Button } from "./button";
import { CopyButton } from "./copy";
import { cx } from "./cx";
import { Note } from "./note";

export function Skeleton({ className }: { className?: string }) {
  return <div className={cx("skeleton", className)} aria-hidden />;
}

const SAMPLE_ROWS = ["a", "b", "c", "d", "e", "f", "g", "h"];

export function SkeletonRows({ rows = 6, label }: { rows?: number; label: string }) {
  return (
    <div role="status" aria-label={label} className="divide-y">
      {SAMPLE_ROWS.slice(0, rows).map((row) => (
        <div key={row} className="flex items-center gap-4 px-4 py-3">
          <Skeleton className="h-3.5 w-24" />
          <Skeleton className="h-3.5 flex-1" />
          <Skeleton className="h-3.5 w-16" />
        </div>
      ))}
    </div>
  );
}

export function Problem({ error, retry, what }: { error: unknown; retry?: () => void; what?: string }) {
  const problem = asApiError(error);
  return (
    <div role="alert" className="flex flex-col items-start gap-2 p-4 text-base">
      <p className="flex items-center gap-2 font-medium text-worse">
        <CircleAlert className="size-4 shrink-0" aria-hidden />
        {what ? `${what}: ${problem.title}` : problem.title}
      </p>
      {problem.detail ? <p className="max-w-prose text-muted">{problem.detail}</p> : null}
      <div className="flex flex-wrap items-center gap-2">
        {retry ? (
          <Button size="small" onClick={retry} icon={<RotateCw className="size-3.5" aria-hidden />}>
            Try again
          </Button>
        ) : null}
        {problem.requestId ? (
          <span className="flex items-center gap-1 text-xs text-muted">
            Request id <code className="font-mono">{problem.requestId}</code>
            <CopyButton text={problem.requestId} label="Copy the request id" />
          </span>
        ) : null}
      </div>
    </div>
  );
}

/** What keeps something that goes on by itself from its end, and what to do about it. */
export function ProblemNote({ problem, isFailing }: { problem: { code: string; detail: string; remedy: string }; isFailing: boolean }) {
  return (
    <div role={isFailing ? "alert" : "status"} className="mt-3">
      <Note tone={isFailing ? "worse" : "neutral"} title={problem.detail}>
        <p className="text-muted [overflow-wrap:anywhere]">{problem.remedy}</p>
        <p className="mt-1 font-mono text-xs text-muted">{problem.code}</p>
      </Note>
    </div>
  );
}

export function Empty({ icon, title, children, action }: { icon: ReactNode; title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-14 text-center">
      <div className="mb-1 grid size-11 place-items-center rounded-xl bg-accent-soft text-accent-ink [&_svg]:size-5" aria-hidden>
        {icon}
      </div>
      <h2 className="text-[0.9375rem] font-semibold">{title}</h2>
      <div className="max-w-md text-muted">{children}</div>
      {action ? <div className="mt-3 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  );
}
