// Everybody's work, for whoever runs the service: queues, jobs, schedules, erasures, and what operators did.
import { useQuery } from "@tanstack/react-query";
import { ScrollText, Workflow as Icon } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { BY_CURSOR, operatorStatsQuery } from "@/api/queries";
import { CLASSES, JOB_CLASSES, queueName } from "@/lib/job-words";
import { duration } from "@/lib/time";
import { AuditTable } from "@/screens/account/audit-table";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { DeadLetterDialogs, type DeadLetterAct } from "./dead-letters";
import { Erasures } from "./erasures";
import { JobTable, StateChoice } from "./job-table";
import { Prices } from "./prices";
import { Schedules } from "./schedules";
import { OPERATOR_VIEWS, type OperatorView, type WorkflowsSearch } from "./search";

const LABELS: Record<OperatorView, string> = { jobs: "Jobs", schedules: "Schedules", prices: "Prices", erasures: "Erasures", events: "What operators did" };

export interface OperatorProps {
  view: OperatorView;
  search: WorkflowsSearch;
  onChange: (next: Partial<WorkflowsSearch>) => void;
  onOpen: (id: string) => void;
}

export function Operator({ view, search, onChange, onOpen }: OperatorProps) {
  return (
    <Tabs label="The operator's view" value={view} tabs={OPERATOR_VIEWS.map((value) => ({ value, label: LABELS[value] }))} onChange={(all) => onChange({ all })}>
      <div className="flex flex-col gap-4 pt-4">
        {view === "jobs" ? (
          <>
            <Queues onQueue={(queue) => onChange({ queue, state: undefined })} />
            <Jobs search={search} onChange={onChange} onOpen={onOpen} />
          </>
        ) : null}
        {view === "schedules" ? <Schedules /> : null}
        {view === "prices" ? <Prices /> : null}
        {view === "erasures" ? <Erasures /> : null}
        {view === "events" ? <Events /> : null}
      </div>
    </Tabs>
  );
}

function Queues({ onQueue }: { onQueue: (queue: string) => void }) {
  const stats = useQuery({ ...operatorStatsQuery(), refetchInterval: 5_000 });
  const queues = stats.data?.queues ?? [];
  return (
    <Card className="overflow-clip">
      <CardHead title="Queues" note="Those with unfinished work or dead letters" />
      {stats.isPending ? <SkeletonRows rows={2} label="Loading the queues" /> : null}
      {stats.isError ? <Problem error={stats.error} retry={() => void stats.refetch()} /> : null}
      {stats.data && queues.length === 0 ? <p className="px-4 pb-4 text-muted">Nothing is waiting, and nothing has given up.</p> : null}
      {queues.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Queue</Th>
              <Th end>Dead</Th>
              <Th end>Ready</Th>
              <Th end>Running</Th>
              <Th end>Later</Th>
              <Th end>Waiting</Th>
              <Th end>Oldest ready</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {queues.map((queue) => (
              <tr key={queue.queue} className="hover:bg-sunken">
                <Td className="whitespace-nowrap">
                  <button type="button" onClick={() => onQueue(queue.queue)} className="rounded text-left hover:text-accent-ink hover:underline" title={queueName(queue.queue)}>
                    <span className="font-mono text-xs">{queue.queue}</span>
                  </button>
                </Td>
                <Td end className={queue.dead > 0 ? "font-semibold text-worse" : undefined}>
                  {queue.dead.toLocaleString("en-US")}
                </Td>
                <Td end>{queue.ready.toLocaleString("en-US")}</Td>
                <Td end>{queue.running.toLocaleString("en-US")}</Td>
                <Td end>{queue.scheduled.toLocaleString("en-US")}</Td>
                <Td end>{queue.waiting.toLocaleString("en-US")}</Td>
                <Td end className="whitespace-nowrap text-muted">
                  {queue.oldest_ready_ms === null || queue.oldest_ready_ms === undefined ? "–" : duration(queue.oldest_ready_ms)}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}

function Jobs({ search, onChange, onOpen }: Omit<OperatorProps, "view">) {
  const { state, queue, error_class, tenant_id } = search;
  const [act, setAct] = useState<DeadLetterAct | null>(null);
  const filters = { state, queue, error_class, tenant_id };
  const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined));
  const jobs = api.useInfiniteQuery("get", "/api/v1/operator/jobs", { params: { query: { limit: 50, ...given } } }, { ...BY_CURSOR, refetchInterval: 5_000 });
  const items = jobs.data?.pages.flatMap((page) => page.items) ?? [];
  const isFiltered = Object.keys(given).length > 0;
  return (
    <Card className="overflow-clip">
      <div className="flex flex-wrap items-center gap-2 border-b px-4 py-2.5">
        <StateChoice value={state} onChange={(next) => onChange({ state: next })} />
        <TextFilter key={`queue ${queue ?? ""}`} label="Queue" value={queue} shape={/^[\w.-]{1,200}$/} placeholder="message.v1" onChange={(next) => onChange({ queue: next })} />
        <Choose
          label="Last failure"
          prefix="Failure"
          value={error_class ?? "any"}
          marked={error_class !== undefined}
          options={[{ value: "any" as const, label: "any" }, ...CLASSES.map((one) => ({ value: one, label: JOB_CLASSES[one].label, note: JOB_CLASSES[one].meaning }))]}
          onChange={(next) => onChange({ error_class: next === "any" ? undefined : next })}
        />
        <TextFilter key={`tenant ${tenant_id ?? ""}`} label="Tenant" value={tenant_id} shape={/^ten_[0-9a-f]{32}$/} placeholder="ten_…" onChange={(next) => onChange({ tenant_id: next })} />
        {isFiltered ? (
          <Button weight="quiet" size="small" onClick={() => onChange({ state: undefined, queue: undefined, error_class: undefined, tenant_id: undefined })}>
            Clear
          </Button>
        ) : null}
        <span className="ml-auto flex gap-2">
          <Button size="small" onClick={() => setAct("redrive")}>
            Redrive
          </Button>
          <Button size="small" weight="danger" onClick={() => setAct("discard")}>
            Discard
          </Button>
        </span>
      </div>
      {jobs.isPending ? <SkeletonRows label="Loading the jobs" /> : null}
      {jobs.isError && !jobs.data ? <Problem error={jobs.error} retry={() => void jobs.refetch()} /> : null}
      {jobs.data && items.length === 0 ? (
        <Empty icon={<Icon />} title={isFiltered ? "No job fits" : "No job yet"}>
          {isFiltered ? "Nothing fits these filters; new jobs that fit appear by themselves." : "The first schedule that ticks puts one here."}
        </Empty>
      ) : null}
      {items.length > 0 ? <JobTable rows={items.map(({ job, tenant_id: tenantId }) => ({ job, tenantId: tenantId ?? null }))} onOpen={onOpen} /> : null}
      <More shown={items.length} {...jobs} />
      <DeadLetterDialogs act={act} which={{ queue, error_class, tenant_id }} onClose={() => setAct(null)} />
    </Card>
  );
}

interface TextFilterProps {
  label: string;
  value: string | undefined;
  shape: RegExp;
  placeholder: string;
  onChange: (value: string | undefined) => void;
}

/** Filters when it is left or entered, and never by what the API would refuse. */
function TextFilter({ label, value, shape, placeholder, onChange }: TextFilterProps) {
  const [typed, setTyped] = useState(value ?? "");
  const isWrong = typed.trim() !== "" && !shape.test(typed.trim());
  const apply = () => {
    const text = typed.trim();
    if (isWrong || text === (value ?? "")) return;
    onChange(text === "" ? undefined : text);
  };
  return (
    <input
      aria-label={label}
      aria-invalid={isWrong || undefined}
      value={typed}
      placeholder={`${label}: ${placeholder}`}
      onChange={(event) => setTyped(event.target.value)}
      onBlur={apply}
      onKeyDown={(event) => (event.key === "Enter" ? apply() : undefined)}
      className={`h-8 w-44 rounded-lg border bg-surface px-2.5 text-sm shadow-pop ${isWrong ? "border-worse" : value ? "border-accent" : "border-line-strong"}`}
      autoComplete="off"
      spellCheck={false}
    />
  );
}

function Events() {
  const events = api.useInfiniteQuery("get", "/api/v1/operator/events", { params: { query: { limit: 50 } } }, BY_CURSOR);
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="overflow-clip">
      {events.isPending ? <SkeletonRows label="Loading what operators did" /> : null}
      {events.isError && !events.data ? <Problem error={events.error} retry={() => void events.refetch()} /> : null}
      {events.data && items.length === 0 ? (
        <Empty icon={<ScrollText />} title="No operator has acted">
          Each retry, cancelling, redrive, discarding and pause stands here with its reason.
        </Empty>
      ) : null}
      {items.length > 0 ? <AuditTable items={items} /> : null}
      <More shown={items.length} {...events} />
    </Card>
  );
}
