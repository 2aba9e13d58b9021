// The vendors whose own cost reports are read: how each is, and which bill counts for a month.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronLeft, Plus, ReceiptText } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { invoiceSourcesQuery } from "@/api/queries";
import type { InvoiceSource } from "@/api/types";
import { monthName } from "@/lib/aws-words";
import { INVOICE_STATE_WORDS, VENDOR_NAMES } from "@/lib/invoice-words";
import { ago } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Empty, Problem, ProblemNote, SkeletonRows } from "@/ui/states";
import { ConnectDialog, KeyDialog } from "./key-dialogs";

export function VendorsScreen() {
  const sources = useQuery({
    ...invoiceSourcesQuery(),
    refetchInterval: ({ state }) => ((state.data?.items ?? []).some((one) => one.state === "pending") ? 2_000 : 30_000),
  });
  const [adding, setAdding] = useState(false);
  const items = sources.data?.items ?? [];
  return (
    <>
      <Link to="/bills" className="mb-2 inline-flex items-center gap-1 rounded text-sm font-medium text-muted hover:text-ink">
        <ChevronLeft className="size-4" aria-hidden /> Bills
      </Link>
      <PageHead title="Vendors" note="What OpenAI and Anthropic say themselves that you owe, for calls that never touch AWS.">
        <Button weight="primary" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
          Connect a vendor
        </Button>
      </PageHead>
      {sources.isPending ? (
        <Card>
          <SkeletonRows rows={4} label="Loading the vendors" />
        </Card>
      ) : null}
      {sources.isError ? (
        <Card>
          <Problem error={sources.error} retry={() => void sources.refetch()} />
        </Card>
      ) : null}
      {sources.data && items.length === 0 ? (
        <Card>
          <Empty
            icon={<ReceiptText />}
            title="No vendor connected"
            action={
              <Button weight="primary" onClick={() => setAdding(true)}>
                Connect the first vendor
              </Button>
            }
          >
            With an admin key of your organisation its cost report is read once a day, and each month becomes a bill.
          </Empty>
        </Card>
      ) : null}
      <ul className="grid grid-cols-1 gap-3">
        {items.map((source) => (
          <Source key={source.id} source={source} />
        ))}
      </ul>
      <ConnectDialog open={adding} onOpenChange={setAdding} />
    </>
  );
}

/** What may be done with a source, each by its own address. */
const ACTS = {
  test: "/api/v1/invoice-sources/{id}/test",
  pause: "/api/v1/invoice-sources/{id}/pause",
  resume: "/api/v1/invoice-sources/{id}/resume",
} as const;

const again = () => void queryClient.invalidateQueries({ queryKey: invoiceSourcesQuery().queryKey });

function Act({ id, act, children }: { id: string; act: keyof typeof ACTS; children: string }) {
  const run = api.useMutation("post", ACTS[act], { onSuccess: again });
  return (
    <>
      <Button size="small" busy={run.isPending} onClick={() => run.mutate({ params: { path: { id } } })}>
        {children}
      </Button>
      {run.error ? <Problem error={run.error} /> : null}
    </>
  );
}

function Source({ source }: { source: InvoiceSource }) {
  const { zone } = usePreferences();
  const now = useNow(10_000);
  const [dialog, setDialog] = useState<"key" | "end" | null>(null);
  const isOver = source.state === "revoked";
  return (
    <li className="rounded-card border bg-surface p-4 shadow-pop">
      <div className="flex flex-wrap items-center gap-3">
        <div className="min-w-0 flex-[1_1_16rem]">
          <h2 className="font-semibold [overflow-wrap:anywhere]">
            {VENDOR_NAMES[source.vendor]} <span className="font-normal">{source.name}</span>
          </h2>
          <p className="font-mono text-xs text-muted [overflow-wrap:anywhere]">
            {isOver ? "no key" : `key …${source.key_hint}`}
            {source.organisation ? `, ${source.organisation}` : ""}
          </p>
        </div>
        <WordBadge word={INVOICE_STATE_WORDS[source.state]} />
        {isOver ? null : (
          <div className="flex flex-wrap gap-2">
            {source.state === "paused" ? (
              <Act id={source.id} act="resume">
                Resume
              </Act>
            ) : (
              <>
                <Act id={source.id} act="test">
                  Read now
                </Act>
                <Act id={source.id} act="pause">
                  Pause
                </Act>
              </>
            )}
            <Button size="small" onClick={() => setDialog("key")}>
              Replace key
            </Button>
            <Button weight="danger" size="small" onClick={() => setDialog("end")}>
              End
            </Button>
          </div>
        )}
      </div>
      {source.problem && !isOver ? (
        <ProblemNote problem={source.problem} isFailing={source.state === "failing"} />
      ) : null}
      <Months source={source} />
      <p className="mt-3 text-xs text-muted">
        {source.revoked_at && isOver ? `Ended ${ago(source.revoked_at, now, zone)}` : source.fetched_at ? `Read ${ago(source.fetched_at, now, zone)}` : "Not read yet"}.
      </p>
      <KeyDialog source={source} open={dialog === "key"} onOpenChange={(open) => setDialog(open ? "key" : null)} />
      <EndDialog source={source} open={dialog === "end"} onOpenChange={(open) => setDialog(open ? "end" : null)} />
    </li>
  );
}

function Months({ source }: { source: InvoiceSource }) {
  const { zone } = usePreferences();
  const now = useNow(30_000);
  if (source.months.length === 0) return null;
  return (
    <ul className="-mx-4 mt-3 divide-y border-t text-sm">
      {source.months.map((month) => (
        <li key={month.month} className="flex flex-wrap items-baseline gap-x-3 px-4 py-2">
          {month.bill_id ? (
            <Link to="/bills/$billId" params={{ billId: month.bill_id }} className="rounded font-medium hover:underline">
              {monthName(month.month)}
            </Link>
          ) : (
            <span className="font-medium">{monthName(month.month)}</span>
          )}
          <span className="text-muted">
            {month.changed_at ? `changed ${ago(month.changed_at, now, zone)}` : "nothing billed so far"}
          </span>
          {month.problem ? (
            <span className="basis-full">
              <span className="text-worse">{month.problem.detail}</span> <span className="text-muted">{month.problem.remedy}</span>
            </span>
          ) : null}
        </li>
      ))}
    </ul>
  );
}

function EndDialog({ source, open, onOpenChange }: { source: InvoiceSource; open: boolean; onOpenChange: (open: boolean) => void }) {
  const end = api.useMutation("delete", "/api/v1/invoice-sources/{id}", {
    onSuccess: () => {
      again();
      onOpenChange(false);
    },
  });
  return (
    <Confirm
      open={open}
      onOpenChange={(next) => {
        if (!next) end.reset();
        onOpenChange(next);
      }}
      title={`End reading ${source.name}?`}
      action="End it"
      busy={end.isPending}
      error={end.error}
      onConfirm={() => end.mutate({ params: { path: { id: source.id } } })}
    >
      The key is destroyed here; delete it at {VENDOR_NAMES[source.vendor]}, too. The months that were read stay.
    </Confirm>
  );
}
