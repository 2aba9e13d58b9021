// What could be saved, what the month will cost, and what happened: what follows from the facts of bills and calls.
import { Link } from "@tanstack/react-router";
import { PiggyBank } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { BY_CURSOR } from "@/api/queries";
import type { Forecast, Recommendation } from "@/api/types";
import { dayBefore, daysInWords } from "@/lib/days";
import { confidenceWord, figureInWords, happenedInWords, isDifference, subjectInWords } from "@/lib/insight-words";
import { monthInWords } from "@/lib/settlement-words";
import { PageHead } from "@/shell/page";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Button, buttonLook } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

export function SavingsScreen() {
  return (
    <>
      <PageHead title="Savings" note="Only what the facts prove, looked at every night and after each bill." />
      <Forecasts />
      <Recommendations />
      <Happened />
    </>
  );
}

function Forecasts() {
  const calls = api.useQuery("get", "/api/v1/forecast", { params: { query: { source: "calls" } } });
  const bills = api.useQuery("get", "/api/v1/forecast", { params: { query: { source: "bills" } } });
  const all = [
    ...(calls.data?.items ?? []).map((forecast) => ({ what: "calls", forecast })),
    ...(bills.data?.items ?? []).map((forecast) => ({ what: "bills", forecast })),
  ];
  const leftOut = bills.data?.left_out ?? [];
  if (all.length === 0) return null;
  return (
    <>
      <ul className="mb-4 grid gap-3 md:grid-cols-2">
        {all.map(({ what, forecast }) => (
          <li key={`${what} ${forecast.currency}`} className="rounded-card border bg-surface p-4 shadow-pop">
            <ForecastCard what={what} forecast={forecast} />
          </li>
        ))}
      </ul>
      {leftOut.length > 0 ? (
        <p className="mb-4 text-sm text-muted [overflow-wrap:anywhere]">
          No part of the forecast by bills: {leftOut.join(", ")}. These accounts’ bills end more than a week before the newest.
        </p>
      ) : null}
    </>
  );
}

function ForecastCard({ what, forecast }: { what: string; forecast: Forecast }) {
  const amount = (value: string) => <Amount value={value} currency={forecast.currency} />;
  const { month, thirty_days: thirty } = forecast;
  return (
    <>
      <h2 className="font-semibold">
        {monthInWords(month.from)} <span className="font-normal text-muted">by {what}</span>
      </h2>
      <p className="mt-1 text-xl font-semibold tracking-tight">{amount(month.estimate.middle)}</p>
      <p className="text-sm text-muted">
        {amount(month.estimate.low)} to {amount(month.estimate.high)} in four of five cases; {amount(month.so_far)} so far
        {Number(month.committed) === 0 ? null : <>, {amount(month.committed)} to come is committed</>}
      </p>
      <p className="mt-2 text-sm text-muted">
        Thirty days, {daysInWords(thirty.from, dayBefore(thirty.to))}: {amount(thirty.estimate.middle)} ({amount(thirty.estimate.low)} to{" "}
        {amount(thirty.estimate.high)})
      </p>
      <p className="mt-1 text-xs text-muted">By {forecast.history_days} days of history</p>
    </>
  );
}

function Recommendations() {
  const found = api.useQuery("get", "/api/v1/recommendations", { params: { query: { dismissed: false } } });
  const [dismissing, setDismissing] = useState<Recommendation | null>(null);
  const items = found.data?.items ?? [];
  return (
    <Card className="overflow-clip">
      <CardHead title="What could be saved" note="In thirty days, dearest first" />
      {found.isPending ? <SkeletonRows rows={3} label="Loading the recommendations" /> : null}
      {found.isError ? <Problem error={found.error} retry={() => void found.refetch()} /> : null}
      {found.data && items.length === 0 ? (
        <Empty
          icon={<PiggyBank />}
          title="Nothing that the facts prove"
          action={
            <Link to="/bills" className={buttonLook()}>
              Bills
            </Link>
          }
        >
          Each bill that comes is searched for idle endpoints, caches that cost more than they save, dearer routes of the same
          model, and more.
        </Empty>
      ) : null}
      <ul className="divide-y">
        {items.map((one) => (
          <li key={one.id} className="flex flex-wrap items-start gap-x-4 gap-y-1 px-4 py-3">
            <div className="min-w-0 flex-1 basis-72">
              <p className="flex flex-wrap items-center gap-2 font-medium">
                <Amount value={one.monthly_saving} currency={one.currency} />
                <span className="text-sm font-normal text-muted">
                  of <Amount value={one.monthly_cost} currency={one.currency} />
                </span>
                <WordBadge word={confidenceWord(one.confidence)} />
              </p>
              <p>{one.advice}</p>
              <p className="break-words text-sm text-muted">{one.subject}</p>
              <EvidenceLine evidence={one.evidence} currency={one.currency} />
            </div>
            <Button size="small" weight="quiet" className="max-sm:-ml-2.5" onClick={() => setDismissing(one)} aria-label={`Dismiss ${one.subject}`}>
              Dismiss
            </Button>
          </li>
        ))}
      </ul>
      <DismissDialog key={dismissing?.id} dismissing={dismissing} onClose={() => setDismissing(null)} />
    </Card>
  );
}

/** The question over facts that shows a recommendation, in one line. */
function EvidenceLine({ evidence, currency }: { evidence: unknown; currency: string }) {
  if (typeof evidence !== "object" || evidence === null) return null;
  const { from, to, figures, who, assumption } = evidence as {
    from?: string;
    to?: string;
    figures?: Record<string, string>;
    who?: string[];
    assumption?: string | null;
  };
  const told = Object.entries(figures ?? {}).map(([name, value]) => figureInWords(name, String(value), currency));
  return (
    <p className="break-words text-xs text-muted">
      {from && to ? `${daysInWords(from, dayBefore(to))}: ` : ""}
      {told.join(", ")}
      {who?.length ? `. ${who.join(", ")}` : ""}
      {assumption ? `. Assuming that ${assumption}.` : ""}
    </p>
  );
}

function DismissDialog({ dismissing, onClose }: { dismissing: Recommendation | null; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const dismiss = api.useMutation("put", "/api/v1/recommendations/{id}/dismissal", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: ["get", "/api/v1/recommendations"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (dismissing) dismiss.mutate({ params: { path: { id: dismissing.id } }, body: { reason } });
  };
  return (
    <Dialog
      open={dismissing !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="Dismiss the recommendation?"
      description="It is not listed again, also when it is found again. The reason stands in the audit."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField label="Reason" value={reason} maxLength={500} onChange={(event) => setReason(event.target.value)} />
        {dismiss.error ? <Problem error={asApiError(dismiss.error)} /> : null}
        <div className="flex justify-end">
          <Button type="submit" weight="primary" busy={dismiss.isPending} disabled={reason.trim() === ""}>
            Dismiss
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Happened() {
  const events = api.useInfiniteQuery("get", "/api/v1/insight-events", { params: { query: { limit: 25 } } }, BY_CURSOR);
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  if (items.length === 0) return null;
  return (
    <Card className="mt-4 overflow-clip">
      <CardHead title="What happened" note="Newest find first" />
      <Table>
        <thead>
          <tr>
            <Th>Day (UTC)</Th>
            <Th>What</Th>
            <Th className="hidden sm:table-cell">Of what</Th>
            <Th end>Amount</Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {items.map((event) => (
            <tr key={event.id} className="align-top">
              <Td className="num whitespace-nowrap py-2.5">{daysInWords(event.day, event.day)}</Td>
              <Td className="py-2.5">
                {happenedInWords(event.kind)}
                <span className="block text-xs text-muted [overflow-wrap:anywhere] sm:hidden">{subjectInWords(event.kind, event.subject)}</span>
              </Td>
              <Td className="hidden max-w-72 py-2.5 [overflow-wrap:anywhere] sm:table-cell" title={event.subject}>
                {subjectInWords(event.kind, event.subject)}
              </Td>
              <Td end className="py-2.5">
                <Amount value={event.amount} currency={event.currency} signed={isDifference(event.kind)} />
              </Td>
            </tr>
          ))}
        </tbody>
      </Table>
      <More shown={items.length} {...events} />
    </Card>
  );
}
