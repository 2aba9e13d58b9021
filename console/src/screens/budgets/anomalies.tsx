// Hours and days that cost surprisingly more than their own past explains, why, and what people make of them.
import { Link } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { BY_CURSOR, useKeyNames } from "@/api/queries";
import type { Anomaly } from "@/api/types";
import { actInWords, actorInWords } from "@/lib/audit-words";
import { billVerdict, causeInWords, seriesInWords } from "@/lib/insight-words";
import { fullDay, hourOf } from "@/lib/time";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { Badge, WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

/** A sentence as a part of another. */
const inTheMiddle = (sentence: string) => sentence.charAt(0).toLowerCase() + sentence.slice(1);

/** The UTC day of an hour; the request list's ranges are whole days. */
function dayOf(hour: string): string {
  return new Date(hour).toISOString().slice(0, 10);
}

export function Anomalies() {
  const anomalies = api.useInfiniteQuery("get", "/api/v1/anomalies", { params: { query: { limit: 25 } } }, { ...BY_CURSOR, refetchInterval: 60_000 });
  const [deciding, setDeciding] = useState<Anomaly | null>(null);
  const items = anomalies.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="mt-4 overflow-clip">
      <CardHead title="Surprises" note="Newest first" />
      {anomalies.isPending ? <SkeletonRows rows={3} label="Loading the surprises" /> : null}
      {anomalies.isError && !anomalies.data ? <Problem error={anomalies.error} retry={() => void anomalies.refetch()} /> : null}
      {anomalies.data && items.length === 0 ? (
        <Empty icon={<Activity />} title="Nothing stood out">
          Each hour of calls and each day of bills is held against its own past. What cost surprisingly more stands here, with
          what made the difference.
        </Empty>
      ) : null}
      {items.length > 0 ? <AnomalyTable items={items} onDecide={setDeciding} /> : null}
      <More shown={items.length} {...anomalies} />
      <DecideDialog key={deciding?.id} deciding={deciding} onClose={() => setDeciding(null)} />
    </Card>
  );
}

function AnomalyTable({ items, onDecide }: { items: Anomaly[]; onDecide: (anomaly: Anomaly) => void }) {
  const { zone } = usePreferences();
  const keyName = useKeyNames();
  return (
    <Table>
      <thead>
        <tr>
          <Th>When ({zone})</Th>
          <Th className="hidden md:table-cell">Where</Th>
          <Th end>Cost</Th>
          <Th end className="hidden sm:table-cell">
            Expected
          </Th>
          <Th className="hidden md:table-cell">Why</Th>
          <Th end className="hidden sm:table-cell">
            <span className="sr-only">What to make of it</span>
          </Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((anomaly) => (
          <tr key={anomaly.id} className="align-top">
            <Td className="num py-2.5">
              <When anomaly={anomaly} zone={zone} />
              <div className="mt-0.5 text-sm md:hidden">
                <p className="[overflow-wrap:anywhere]">{seriesInWords(anomaly.series, keyName)}</p>
                {anomaly.kind === "new_level" ? (
                  <p>
                    <Badge tone="caution">New level</Badge>
                  </p>
                ) : null}
                <Why anomaly={anomaly} />
              </div>
            </Td>
            <Td className="hidden max-w-56 py-2.5 md:table-cell">
              <span className="block [overflow-wrap:anywhere]">
                {seriesInWords(anomaly.series, keyName)}
              </span>
              {anomaly.kind === "new_level" ? <Badge tone="caution">New level</Badge> : null}
            </Td>
            <Td end className="py-2.5 font-medium">
              <Amount value={anomaly.actual} currency={anomaly.currency} />
              <span className="block text-xs font-normal text-muted sm:hidden">
                <Amount value={anomaly.expected} currency={anomaly.currency} /> expected
              </span>
              <OnBills anomaly={anomaly} />
              <span className="mt-1 block sm:hidden">
                <Decision anomaly={anomaly} onDecide={onDecide} />
              </span>
            </Td>
            <Td end className="hidden py-2.5 text-muted sm:table-cell">
              <Amount value={anomaly.expected} currency={anomaly.currency} />
            </Td>
            <Td className="hidden py-2.5 md:table-cell">
              <Why anomaly={anomaly} />
            </Td>
            <Td end className="hidden py-2.5 sm:table-cell">
              <Decision anomaly={anomaly} onDecide={onDecide} />
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Decision({ anomaly, onDecide }: { anomaly: Anomaly; onDecide: (anomaly: Anomaly) => void }) {
  if (!anomaly.decision) {
    return (
      <Button size="small" weight="quiet" className="-my-1.5 -mr-2.5 max-sm:mt-1" onClick={() => onDecide(anomaly)}>
        Decide
      </Button>
    );
  }
  const { judgement, reason, by } = anomaly.decision;
  return <WordBadge word={{ label: judgement === "dismissed" ? "Dismissed" : "Acknowledged", meaning: `${reason} (${actorInWords(by)})`, tone: "neutral" }} />;
}

/** What the bills made of a surprise among calls. */
function OnBills({ anomaly }: { anomaly: Anomaly }) {
  if (!anomaly.on_bills) return null;
  const { verdict, billed } = anomaly.on_bills;
  return (
    <span className="mt-1 flex flex-col items-end gap-0.5 text-xs font-normal text-muted">
      {verdict === "absent" ? null : (
        <span>
          <Amount value={billed} /> billed
        </span>
      )}
      {verdict === "confirmed" ? null : <WordBadge word={billVerdict(verdict)} />}
    </span>
  );
}

function When({ anomaly, zone }: { anomaly: Anomaly; zone: string }) {
  const of = anomaly.cadence === "day" ? `${fullDay(anomaly.hour, "UTC")}${zone === "UTC" ? "" : " (UTC)"}` : `${fullDay(anomaly.hour, zone)}, ${hourOf(anomaly.hour, zone)}`;
  if (anomaly.series.startsWith("bill:")) return <span className="whitespace-nowrap font-medium">{of}</span>;
  return (
    <Link
      to="/requests"
      search={{
        from: dayOf(anomaly.hour),
        to: dayOf(anomaly.hour),
        ...(anomaly.api_key_id ? { api_key_id: anomaly.api_key_id } : {}),
      }}
      className="whitespace-nowrap rounded font-medium hover:text-accent-ink hover:underline"
      title="Show the requests of its day"
    >
      {of}
    </Link>
  );
}

/** The parts of the difference, or for an older find what it was made of. */
function Why({ anomaly }: { anomaly: Anomaly }) {
  if (anomaly.parts.length === 0) {
    return anomaly.contributors.map((part) => (
      <span key={part.name} className="mr-3 inline-block whitespace-nowrap">
        {part.name} <Amount value={part.cost} className="text-muted" />
      </span>
    ));
  }
  const models = anomaly.drivers.filter((driver) => driver.by === "model" && driver.name !== null).slice(0, 2);
  return (
    <>
      {anomaly.parts.map((part) => (
        <span key={part.cause} className="mr-3 inline-block whitespace-nowrap">
          {causeInWords(part.cause, part.amount)} <Amount value={part.amount} currency={anomaly.currency} signed className="text-muted" />
        </span>
      ))}
      {models.length > 0 ? <span className="block text-xs text-muted">mostly {models.map((model) => model.name).join(", ")}</span> : null}
      {anomaly.changes[0] ? (
        <span className="block text-xs text-muted">
          changed before: {inTheMiddle(actInWords(anomaly.changes[0].action))}
          {anomaly.changes.length > 1 ? ` and ${anomaly.changes.length - 1} more` : ""}
        </span>
      ) : null}
    </>
  );
}

function DecideDialog({ deciding, onClose }: { deciding: Anomaly | null; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const decide = api.useMutation("put", "/api/v1/anomalies/{id}/decision", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: ["get", "/api/v1/anomalies"] });
      onClose();
    },
  });
  const say = (judgement: "acknowledged" | "dismissed") => (event: FormEvent) => {
    event.preventDefault();
    if (deciding) decide.mutate({ params: { path: { id: deciding.id } }, body: { judgement, reason } });
  };
  const blank = reason.trim() === "";
  return (
    <Dialog
      open={deciding !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="What is to be made of it?"
      description="Acknowledge what somebody sees to, dismiss what is nothing. The reason stands in the audit."
    >
      <form onSubmit={say("acknowledged")} className="flex flex-col gap-4">
        <TextField label="Reason" value={reason} maxLength={500} onChange={(event) => setReason(event.target.value)} />
        {decide.error ? <Problem error={asApiError(decide.error)} /> : null}
        <div className="flex justify-end gap-2">
          <Button type="button" weight="quiet" busy={decide.isPending} disabled={blank} onClick={say("dismissed")}>
            Dismiss
          </Button>
          <Button type="submit" weight="primary" busy={decide.isPending} disabled={blank}>
            Acknowledge
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
