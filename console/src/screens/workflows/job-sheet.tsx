// One job: how far it is, what it works on (names alone), and what went wrong before.
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import type { WorkflowDetails } from "@/api/types";
import { isOpen, JOB_CLASSES, JOB_STATES, progressInWords, queueName } from "@/lib/job-words";
import { duration, fullTime } from "@/lib/time";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Sheet } from "@/ui/dialog";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Problem, Skeleton } from "@/ui/states";
import { ReasonDialog } from "./reason-dialog";

export function JobSheet({ id, asOperator, onClose }: { id: string | undefined; asOperator: boolean; onClose: () => void }) {
  return (
    <Sheet open={id !== undefined} onClose={onClose} title="Workflow" description={id ? <span className="font-mono text-xs">{id}</span> : undefined}>
      {id ? asOperator ? <OperatorJob key={id} id={id} /> : <OwnJob key={id} id={id} /> : null}
    </Sheet>
  );
}

const EVERY_MS = 3_000;

function OwnJob({ id }: { id: string }) {
  const job = useQuery(api.queryOptions("get", "/api/v1/workflows/{id}", { params: { path: { id } } }, { refetchInterval: EVERY_MS }));
  if (job.isPending) return <Skeleton className="h-64" />;
  if (job.isError) return <Problem error={job.error} retry={() => void job.refetch()} />;
  return <Job details={job.data} />;
}

function OperatorJob({ id }: { id: string }) {
  const job = useQuery(api.queryOptions("get", "/api/v1/operator/jobs/{id}", { params: { path: { id } } }, { refetchInterval: EVERY_MS }));
  if (job.isPending) return <Skeleton className="h-64" />;
  if (job.isError) return <Problem error={job.error} retry={() => void job.refetch()} />;
  const { details, tenant_id: tenantId, crashes } = job.data;
  return (
    <Job
      details={details}
      facts={
        <>
          <dt className="text-muted">Tenant</dt>
          <dd className="break-all font-mono text-xs leading-5">{tenantId ?? "the service's own work"}</dd>
          {crashes > 0 ? (
            <>
              <dt className="text-muted">Crashes</dt>
              <dd className="num text-worse">its worker died {crashes} times while it ran</dd>
            </>
          ) : null}
        </>
      }
      actions={<Actions id={id} state={details.workflow.state} />}
    />
  );
}

type Act = "retry" | "cancel" | "discard";

const ACTS: Record<Act, { label: string; title: string; what: string; danger: boolean }> = {
  retry: { label: "Retry", title: "Bring this job back?", what: "It is due at once, with all its attempts.", danger: false },
  cancel: { label: "Cancel", title: "Cancel this job?", what: "One that runs is asked to stop at its next safe point.", danger: true },
  discard: { label: "Discard", title: "Put this dead letter away?", what: "It is never tried again. This cannot be undone.", danger: true },
};

function actsOf(state: WorkflowDetails["workflow"]["state"]): Act[] {
  if (state === "dead") return ["retry", "discard"];
  return isOpen(state) ? ["cancel"] : [];
}

function Actions({ id, state }: { id: string; state: WorkflowDetails["workflow"]["state"] }) {
  const [act, setAct] = useState<Act | null>(null);
  const onSuccess = () => {
    void queryClient.invalidateQueries();
    setAct(null);
  };
  const retry = api.useMutation("post", "/api/v1/operator/jobs/{id}/retry", { onSuccess });
  const cancel = api.useMutation("post", "/api/v1/operator/jobs/{id}/cancel", { onSuccess });
  const discard = api.useMutation("post", "/api/v1/operator/jobs/{id}/discard", { onSuccess });
  const acting = { retry, cancel, discard };
  const offered = actsOf(state);
  if (offered.length === 0) return null;
  return (
    <div className="mt-4 flex gap-2">
      {offered.map((one) => (
        <Button key={one} size="small" weight={ACTS[one].danger ? "danger" : "plain"} onClick={() => setAct(one)}>
          {ACTS[one].label}
        </Button>
      ))}
      <ReasonDialog
        open={act !== null}
        title={act ? ACTS[act].title : ""}
        description={act ? ACTS[act].what : ""}
        action={act ? ACTS[act].label : ""}
        danger={act ? ACTS[act].danger : false}
        busy={act ? acting[act].isPending : false}
        error={act ? acting[act].error : null}
        onClose={() => {
          if (act) acting[act].reset();
          setAct(null);
        }}
        onReason={(reason) => (act ? acting[act].mutate({ params: { path: { id } }, body: { reason } }) : undefined)}
      />
    </div>
  );
}

function Job({ details, facts, actions }: { details: WorkflowDetails; facts?: ReactNode; actions?: ReactNode }) {
  const { zone } = usePreferences();
  const { workflow, story, fields, expires_at: expiresAt, trace } = details;
  const progress = progressInWords(workflow.progress);
  const time = (at: string) => `${fullTime(at, zone)} ${zone}`;
  return (
    <>
      <div className="flex flex-wrap items-center gap-2">
        <h2 className="text-base font-semibold">{queueName(workflow.queue)}</h2>
        <WordBadge word={JOB_STATES[workflow.state]} />
      </div>
      {workflow.error && workflow.state !== "done" ? (
        <Note tone={workflow.state === "dead" ? "worse" : "caution"} className="mt-3" title={workflow.error}>
          {workflow.error_class ? JOB_CLASSES[workflow.error_class].meaning : null}
          {workflow.error_code ? <code className="block font-mono text-xs">{workflow.error_code}</code> : null}
        </Note>
      ) : null}
      <dl className="mt-4 grid grid-cols-[6.5rem_minmax(0,1fr)] gap-y-1.5 text-sm">
        <dt className="text-muted">Queue</dt>
        <dd className="break-all font-mono text-xs leading-5">{workflow.queue}</dd>
        {workflow.key ? (
          <>
            <dt className="text-muted">Key</dt>
            <dd className="break-all font-mono text-xs leading-5">{workflow.key}</dd>
          </>
        ) : null}
        {facts}
        <dt className="text-muted">Attempts</dt>
        <dd className="num">
          {workflow.attempts} of {workflow.max_attempts}
        </dd>
        {progress ? (
          <>
            <dt className="text-muted">Progress</dt>
            <dd>{progress}</dd>
          </>
        ) : null}
        <dt className="text-muted">Asked for</dt>
        <dd className="num">{time(workflow.created_at)}</dd>
        <dt className="text-muted">Due</dt>
        <dd className="num">{time(workflow.run_at)}</dd>
        {workflow.started_at ? (
          <>
            <dt className="text-muted">Last begun</dt>
            <dd className="num">{time(workflow.started_at)}</dd>
          </>
        ) : null}
        {workflow.done_at ? (
          <>
            <dt className="text-muted">Ended</dt>
            <dd className="num">{time(workflow.done_at)}</dd>
          </>
        ) : null}
        {expiresAt ? (
          <>
            <dt className="text-muted">Of use until</dt>
            <dd className="num">{time(expiresAt)}</dd>
          </>
        ) : null}
        {trace ? (
          <>
            <dt className="text-muted">From request</dt>
            <dd className="flex min-w-0 items-center gap-1">
              <code className="min-w-0 truncate font-mono text-xs">{trace}</code>
              <CopyButton text={trace} label="Copy the request id" />
            </dd>
          </>
        ) : null}
        <dt className="text-muted">Works on</dt>
        <dd>
          {fields.length === 0 ? "nothing of its own" : null}
          {fields.map((field) => (
            <span key={field} className="mr-1.5 inline-block rounded bg-sunken px-1.5 font-mono text-xs leading-5">
              {field} = •••
            </span>
          ))}
          {fields.length > 0 ? <span className="block text-xs text-muted">The values are not shown.</span> : null}
        </dd>
      </dl>
      {actions}
      <h3 className="mt-6 font-semibold">Its story</h3>
      {story.length === 0 ? <p className="mt-1 text-sm text-muted">Nothing went wrong.</p> : null}
      <ol className="mt-2 divide-y border-y empty:hidden">
        {story.map((part) => (
          <li key={`${part.at} ${part.attempt ?? ""} ${part.error_code ?? ""}`} className="py-2.5 text-sm">
            <div className="flex flex-wrap items-center gap-x-2">
              <span className="font-medium">
                {part.attempt === null || part.attempt === undefined ? (part.error_code ?? "Something was done") : `Attempt ${part.attempt}`}
              </span>
              {part.error_class ? <WordBadge word={JOB_CLASSES[part.error_class]} /> : null}
              {part.attempt !== null && part.attempt !== undefined && part.error_code ? <code className="font-mono text-xs text-muted">{part.error_code}</code> : null}
              <span className="ml-auto text-xs text-muted">
                {part.ran_ms === null || part.ran_ms === undefined ? null : `ran ${duration(part.ran_ms)}, `}
                <Moment at={part.at} />
              </span>
            </div>
            {part.error ? <p className="mt-0.5 break-words text-muted">{part.error}</p> : null}
          </li>
        ))}
      </ol>
    </>
  );
}
