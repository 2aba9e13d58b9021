// Jobs as a table: what, how far, when. The operator's has the tenant, too.
import type { JobState, Workflow } from "@/api/types";
import { JOB_STATES, progressInWords, queueName, STATES } from "@/lib/job-words";
import { WordBadge } from "@/ui/badge";
import { Choose } from "@/ui/choose";
import { Moment } from "@/ui/moment";
import { Table, Td, Th } from "@/ui/table";

export interface JobRow {
  job: Workflow;
  /** Whose it is; `undefined` in the tenant's own list, `null` for the service's own work. */
  tenantId?: string | null;
}

export function StateChoice({ value, onChange }: { value: JobState | undefined; onChange: (state: JobState | undefined) => void }) {
  return (
    <Choose
      label="State"
      prefix="State"
      value={value ?? "every"}
      marked={value !== undefined}
      options={[{ value: "every" as const, label: "every" }, ...STATES.map((state) => ({ value: state, label: JOB_STATES[state].label, note: JOB_STATES[state].meaning }))]}
      onChange={(next) => onChange(next === "every" ? undefined : next)}
    />
  );
}

/** When a job ended, or when it goes on. */
function When({ job }: { job: Workflow }) {
  if (job.done_at) return <Moment at={job.done_at} />;
  if (job.state === "running" && job.started_at) return <Moment at={job.started_at} />;
  if (job.state === "waiting") return "parked";
  return <Moment at={job.run_at} ahead />;
}

export function JobTable({ rows, onOpen }: { rows: JobRow[]; onOpen: (id: string) => void }) {
  const withTenant = rows.some(({ tenantId }) => tenantId !== undefined);
  return (
    <Table>
      <thead>
        <tr>
          <Th>Work</Th>
          <Th>State</Th>
          {withTenant ? <Th className="hidden md:table-cell">Tenant</Th> : null}
          <Th end className="hidden sm:table-cell">
            Attempts
          </Th>
          <Th className="hidden lg:table-cell">Asked for</Th>
          <Th end>When</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {rows.map(({ job, tenantId }) => (
          <tr key={job.id} className="align-top hover:bg-sunken">
            <Td className="min-w-0 py-2.5">
              <button type="button" onClick={() => onOpen(job.id)} className="block rounded text-left font-medium hover:text-accent-ink hover:underline">
                {queueName(job.queue)}
              </button>
              {job.error && job.state !== "done" ? (
                <span className="block max-w-prose break-words text-xs text-worse">{job.error}</span>
              ) : (
                <span className="block max-w-28 truncate text-xs text-muted sm:max-w-md" title={job.key ?? undefined}>
                  {progressInWords(job.progress) || job.key || job.queue}
                </span>
              )}
            </Td>
            <Td className="whitespace-nowrap py-2.5">
              <WordBadge word={JOB_STATES[job.state]} />
              {job.cancel_requested && !job.done_at ? <span className="block text-xs text-muted">asked to stop</span> : null}
            </Td>
            {withTenant ? (
              <Td className="hidden max-w-40 truncate py-2.5 text-muted md:table-cell" title={tenantId ?? undefined}>
                {tenantId ? <span className="font-mono text-xs">{tenantId}</span> : "the service"}
              </Td>
            ) : null}
            <Td end className="hidden py-2.5 sm:table-cell">
              {job.attempts} of {job.max_attempts}
            </Td>
            <Td className="hidden py-2.5 text-muted lg:table-cell">
              <Moment at={job.created_at} />
            </Td>
            <Td end className="py-2.5 text-muted">
              <When job={job} />
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
