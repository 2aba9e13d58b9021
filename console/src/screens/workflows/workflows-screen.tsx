// Durable work: the tenant's own jobs, and for whoever runs the service everybody's.
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { sessionQuery } from "@/api/queries";
import { PageHead } from "@/shell/page";
import { Card } from "@/ui/card";
import { Segments } from "@/ui/segments";
import { SkeletonRows } from "@/ui/states";
import { JobSheet } from "./job-sheet";
import { OwnJobs } from "./own-jobs";
import type { WorkflowsSearch } from "./search";

const Operator = lazy(() => import("./operator").then((module) => ({ default: module.Operator })));

export function WorkflowsScreen() {
  const search = useSearch({ from: "/member/workflows" });
  const navigate = useNavigate({ from: "/workflows" });
  const session = useQuery(sessionQuery());
  const isOperator = session.data?.operator === true;
  const all = isOperator ? search.all : undefined;
  const change = (next: Partial<WorkflowsSearch>) => void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  const open = (id: string | undefined) => void navigate({ search: (before) => ({ ...before, id }), resetScroll: false });
  return (
    <>
      <PageHead title="Workflows" note={all ? "Everybody's work, as the operator sees it." : "What happens later: bills that are read, messages that go out, erasures."}>
        {isOperator ? (
          <Segments
            label="Whose work"
            value={all ? "all" : "own"}
            options={[
              { value: "own", label: "This account" },
              { value: "all", label: "All tenants" },
            ]}
            onChange={(whose) => void navigate({ search: whose === "all" ? { all: "jobs" } : {}, replace: true })}
          />
        ) : null}
      </PageHead>
      {all ? (
        <Suspense
          fallback={
            <Card>
              <SkeletonRows label="Loading the operator's view" />
            </Card>
          }
        >
          <Operator view={all} search={search} onChange={change} onOpen={open} />
        </Suspense>
      ) : (
        <OwnJobs state={search.state} onState={(state) => change({ state })} onOpen={open} />
      )}
      <JobSheet id={search.id} asOperator={Boolean(all)} onClose={() => open(undefined)} />
    </>
  );
}
