// The tenant's own jobs, newest first, by state.
import { Workflow as Icon } from "lucide-react";
import { api } from "@/api/client";
import { BY_CURSOR } from "@/api/queries";
import type { JobState } from "@/api/types";
import { JOB_STATES } from "@/lib/job-words";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { JobTable, StateChoice } from "./job-table";

export function OwnJobs({ state, onState, onOpen }: { state: JobState | undefined; onState: (state: JobState | undefined) => void; onOpen: (id: string) => void }) {
  const query = { limit: 50, ...(state ? { state } : {}) };
  const jobs = api.useInfiniteQuery("get", "/api/v1/workflows", { params: { query } }, { ...BY_CURSOR, refetchInterval: 5_000 });
  const items = jobs.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="overflow-clip">
      <div className="flex flex-wrap items-center gap-2 border-b px-4 py-2.5">
        <StateChoice value={state} onChange={onState} />
      </div>
      {jobs.isPending ? <SkeletonRows label="Loading the workflows" /> : null}
      {jobs.isError && !jobs.data ? <Problem error={jobs.error} retry={() => void jobs.refetch()} /> : null}
      {jobs.data && items.length === 0 ? (
        <Empty
          icon={<Icon />}
          title={state ? `Nothing is ${JOB_STATES[state].label.toLowerCase()}` : "No work yet"}
          action={state ? <Button onClick={() => onState(undefined)}>Show every state</Button> : undefined}
        >
          {state
            ? JOB_STATES[state].meaning
            : "What Costlens does later for this account stands here: a bill that is read, a mail that goes out, a webhook that is delivered. Each says how far it is and what went wrong."}
        </Empty>
      ) : null}
      {items.length > 0 ? <JobTable rows={items.map((job) => ({ job }))} onOpen={onOpen} /> : null}
      <More shown={items.length} {...jobs} />
    </Card>
  );
}
