// How the service is and was, for everybody: no sign-in. Each part with its state and a bar for each of 90 days.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "@/api/client";
import type { Status } from "@/api/types";
import { barsInWords, dayInWords, dayState, lasted, partName, STATUS_HEADLINES, STATUS_WORDS } from "@/lib/status";
import { fullTime } from "@/lib/time";
import { useNow, useTitle } from "@/shell/hooks";
import { Mark } from "@/shell/logo";
import { WordBadge } from "@/ui/badge";
import { Card, CardHead } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Problem, Skeleton } from "@/ui/states";

type Component = Status["components"][number];
type State = Status["state"];

export function StatusScreen() {
  useTitle("Status");
  const { data, error, isPending, refetch } = useQuery({ ...api.queryOptions("get", "/api/v1/status"), refetchInterval: 30_000, retry: false });
  return (
    <main className="mx-auto min-h-dvh w-full max-w-3xl px-4 py-8">
      <Link to="/" className="mb-6 inline-flex items-center gap-3 rounded-lg" aria-label="Costlens">
        <Mark className="size-9" />
        <span className="text-lg font-semibold tracking-tight">Costlens</span>
      </Link>
      <h1 className="sr-only">Status of the service</h1>
      {isPending ? <Skeleton className="h-64" /> : null}
      {error && !data ? (
        <Card>
          <Problem error={error} what="The status cannot be read" retry={() => void refetch()} />
        </Card>
      ) : null}
      {data ? <Told status={data} stale={Boolean(error)} /> : null}
    </main>
  );
}

const BANNERS: Record<State, string> = {
  ok: "bg-accent-soft text-accent-ink",
  unknown: "bg-sunken text-muted",
  degraded: "bg-caution-soft text-caution",
  down: "bg-worse-soft text-worse",
};

function Told({ status, stale }: { status: Status; stale: boolean }) {
  const now = useNow(30_000);
  return (
    <>
      <div className={cx("rounded-card px-5 py-4", BANNERS[status.state])} role="status">
        <p className="text-lg font-semibold">{STATUS_HEADLINES[status.state]}</p>
        <p className="num text-sm">
          {fullTime(status.at, "UTC")} UTC{stale ? ". The service does not answer now; this is what it last said." : ""}
        </p>
      </div>
      {status.components.length === 0 ? (
        <p className="mt-4 text-muted">No probe has looked at this service yet.</p>
      ) : (
        <Card className="mt-4 divide-y">
          {status.components.map((component) => (
            <Part key={component.component} component={component} />
          ))}
        </Card>
      )}
      <Legend />
      <Card className="mt-6">
        <CardHead title="Incidents" note="90 days" />
        {status.incidents.length === 0 ? (
          <p className="px-4 pb-4 text-sm text-muted">None. One is opened when a part fails for three minutes in a row.</p>
        ) : (
          <ul className="divide-y">
            {status.incidents.map((incident) => (
              <li key={incident.id} className="flex flex-wrap items-baseline gap-x-3 px-4 py-2.5 text-sm">
                <span className="font-medium">{partName(incident.component).label}</span>
                <span className="num text-muted">{fullTime(incident.started_at, "UTC")} UTC</span>
                <span className={cx("num ml-auto", incident.ended_at ? "text-muted" : "font-medium text-worse")}>
                  {lasted(incident.started_at, incident.ended_at, now)}
                </span>
              </li>
            ))}
          </ul>
        )}
      </Card>
    </>
  );
}

const BARS: Record<State, string> = { ok: "bg-accent", degraded: "bg-caution", down: "bg-worse", unknown: "bg-line-strong" };
/** Told by height, too, for those who do not tell the colours apart. */
const HEIGHTS: Record<State, string> = { ok: "h-8", degraded: "h-6", down: "h-4", unknown: "h-1.5" };

function Part({ component }: { component: Component }) {
  const { label, note } = partName(component.component);
  const troubled = component.days.filter((day) => day.down_minutes + day.degraded_minutes > 0).toReversed();
  return (
    <section className="px-4 py-3.5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="font-semibold">{label}</h2>
        <WordBadge word={STATUS_WORDS[component.state]} />
        <span className="num ml-auto text-sm text-muted">
          {component.uptime_percent ? `${component.uptime_percent} % of known minutes` : "nothing known yet"}
        </span>
      </div>
      <p className="text-xs text-muted">{note}</p>
      <div role="img" aria-label={barsInWords(component.days)} className="mt-2 flex h-8 items-end gap-px">
        {component.days.map((day, place) => {
          const state = dayState(day);
          return (
            <span
              key={day.day}
              title={dayInWords(day)}
              // A phone has room for the last thirty.
              className={cx("min-w-0 flex-1 rounded-sm", BARS[state], HEIGHTS[state], place < component.days.length - 30 && "hidden sm:block")}
            />
          );
        })}
      </div>
      <div className="mt-1 flex justify-between text-xs text-muted" aria-hidden>
        <span className="hidden sm:inline">90 days ago</span>
        <span className="sm:hidden">30 days ago</span>
        <span>today, UTC</span>
      </div>
      {troubled.length > 0 ? (
        <details className="mt-1 text-sm">
          <summary className="cursor-pointer rounded text-muted">Days in numbers</summary>
          <ul className="num mt-1 max-h-48 overflow-y-auto text-muted">
            {troubled.map((day) => (
              <li key={day.day}>{dayInWords(day)}</li>
            ))}
          </ul>
        </details>
      ) : null}
    </section>
  );
}

function Legend() {
  const entries: [State, string][] = [
    ["ok", "all well"],
    ["degraded", "some minutes degraded"],
    ["down", "some minutes down"],
    ["unknown", "nobody looked"],
  ];
  return (
    <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 px-1 text-xs text-muted" aria-label="What the bars mean">
      {entries.map(([state, words]) => (
        <li key={state} className="inline-flex items-end gap-1.5">
          <span className={cx("w-1.5 rounded-sm", BARS[state], state === "ok" ? "h-4" : state === "degraded" ? "h-3" : state === "down" ? "h-2" : "h-1")} aria-hidden />
          {words}
        </li>
      ))}
    </ul>
  );
}
