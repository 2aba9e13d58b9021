// One question, one button, one answer: what every link of a mail leads to.
import { CircleCheck } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "@/api/problem";
import { Button } from "@/ui/button";
import { Note } from "@/ui/note";
import { Problem } from "@/ui/states";

export interface LinkActionProps {
  token: string | null;
  /** What is asked, before the click. */
  children: ReactNode;
  action: string;
  /** What a link says that leads nowhere. */
  nowhere: string;
  busy: boolean;
  error: unknown;
  /** What stands here once it is done. */
  done: ReactNode;
  onAct: (token: string) => void;
}

export function LinkAction({ token, children, action, nowhere, busy, error, done, onAct }: LinkActionProps) {
  if (done) {
    return (
      <div role="status" className="mt-3 flex items-start gap-3">
        <CircleCheck className="size-5 shrink-0 text-accent-ink" aria-hidden />
        <div className="min-w-0">{done}</div>
      </div>
    );
  }
  const isNowhere = token === null || (error instanceof ApiError && error.code === "link_invalid");
  if (isNowhere) {
    return (
      <Note tone="worse" title="This link leads nowhere" className="mt-4">
        {nowhere}
      </Note>
    );
  }
  return (
    <>
      <div className="mt-2 text-muted">{children}</div>
      {error ? (
        <div className="mt-3 rounded-lg bg-worse-soft">
          <Problem error={error} />
        </div>
      ) : null}
      <Button weight="primary" className="mt-4 w-full" busy={busy} onClick={() => onAct(token)}>
        {action}
      </Button>
    </>
  );
}
