// One bill: how much of it is AI, where that went, and what could not be placed.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import type { Bill, BillTotal } from "@/api/types";
import { monthInWords } from "@/lib/settlement-words";
import { fullTime } from "@/lib/time";
import { SOURCE_WORDS, type Word } from "@/lib/words";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Amount } from "@/ui/amount";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Confirm } from "@/ui/dialog";
import { Segments } from "@/ui/segments";
import { Problem, Skeleton, SkeletonRows } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { BillBreakdown } from "./bill-breakdown";
import { Candidates } from "./candidates";
import { Composition } from "./composition";
import { DriftOf } from "./drift";
import { FORMAT_NAMES } from "./names";
import { daysInWords } from "@/lib/days";
import { Resources } from "./resources";
import { type BillMeasure, VIEWS } from "./search";
import { MEASURE_OPTIONS, MEASURE_WORDS, VIEW_LABELS } from "./views";

export function BillScreen() {
  const { billId } = useParams({ from: "/member/bills/$billId" });
  const bill = useQuery(api.queryOptions("get", "/api/v1/bills/{id}", { params: { path: { id: billId } } }, { staleTime: 60_000 }));
  return (
    <>
      <Link to="/bills" className="mb-2 inline-flex items-center gap-1 rounded text-sm font-medium text-muted hover:text-ink">
        <ChevronLeft className="size-4" aria-hidden /> Bills
      </Link>
      {bill.isPending ? (
        <div role="status" aria-label="Loading the bill">
          <Skeleton className="h-7 w-64" />
          <Skeleton className="mt-4 h-32" />
          <Card className="mt-3">
            <SkeletonRows label="Loading the breakdown" />
          </Card>
        </div>
      ) : null}
      {bill.isError ? (
        <Card>
          <Problem error={bill.error} retry={() => void bill.refetch()} what="This bill" />
        </Card>
      ) : null}
      {bill.data ? <BillOf bill={bill.data} /> : null}
    </>
  );
}

const REPLACED: Word = {
  label: "Replaced",
  meaning: "A newer delivery of the same month counts in its place; this one is kept to look at.",
  tone: "neutral",
};

const WITHDRAWN: Word = {
  label: "Withdrawn",
  meaning: "Somebody took it back: it counts in no sum any more, and is kept to look at.",
  tone: "neutral",
};

function standing({ superseded_at, withdrawn_at }: Bill): Word {
  if (withdrawn_at) return WITHDRAWN;
  return superseded_at ? REPLACED : SOURCE_WORDS.bill;
}

/** Takes a bill back: the wrong file, or a part in the place of the whole. */
function Withdraw({ bill }: { bill: Bill }) {
  const [asking, setAsking] = useState(false);
  const withdraw = api.useMutation("delete", "/api/v1/bills/{id}", {
    onSuccess: () => {
      setAsking(false);
      // Whatever is added up from bills is another sum now.
      void queryClient.invalidateQueries();
    },
  });
  return (
    <>
      <Button onClick={() => setAsking(true)}>Withdraw</Button>
      <Confirm
        open={asking}
        onOpenChange={(open) => {
          if (!open) withdraw.reset();
          setAsking(open);
        }}
        title={`Withdraw “${bill.name}”?`}
        action="Withdraw the bill"
        busy={withdraw.isPending}
        error={withdraw.error}
        onConfirm={() => withdraw.mutate({ params: { path: { id: bill.id } } })}
      >
        It counts in no sum any more, and its months are settled anew by what else counts. A bill in whose place it counted does not
        count again: upload that once more.
      </Confirm>
    </>
  );
}

/** What the chosen cost is, and how much the AI of the bill comes to by it. */
function MeasureNote({ total, measure }: { total: BillTotal; measure: BillMeasure }) {
  const cost = total.ai_costs[measure];
  return (
    <p className="text-sm text-muted">
      {MEASURE_WORDS[measure].meaning}{" "}
      {cost === null || cost === undefined ? (
        "Of this bill it is unknown, which is not zero: the bill does not tell it, or was read before it was kept."
      ) : (
        <>
          The AI comes to <Amount value={cost} currency={total.currency} />.
        </>
      )}
    </p>
  );
}

function BillOf({ bill }: { bill: Bill }) {
  const search = useSearch({ from: "/member/bills/$billId" });
  const navigate = useNavigate({ from: "/bills/$billId" });
  const { zone } = usePreferences();
  const by = search.by ?? "service";
  const measure = search.measure ?? "unblended";
  const total = bill.totals.find(({ currency }) => currency === search.currency) ?? bill.totals[0];
  const change = (next: typeof search) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  return (
    <>
      <PageHead title={bill.name}
        note={`${daysInWords(bill.first_day, bill.last_day)}, ${bill.lines.toLocaleString("en-US")} lines, ${FORMAT_NAMES[bill.format]}`}
      >
        <WordBadge word={standing(bill)} />
        {bill.totals.length > 1 && total ? (
          <Segments
            label="Currency"
            value={total.currency}
            options={bill.totals.map(({ currency }) => ({ value: currency, label: currency }))}
            onChange={(currency) => change({ currency })}
          />
        ) : null}
        {bill.withdrawable ? <Withdraw bill={bill} /> : null}
      </PageHead>
      {bill.given_up.length > 0 ? (
        <p className="mt-2 text-sm text-muted">
          No longer counted as this file has it, but as the connected AWS account delivers it: {bill.given_up.map(monthInWords).join(", ")}.
        </p>
      ) : null}
      {total ? (
        <>
          <Composition billId={bill.id} total={total} />
          {bill.totals.length > 1 ? (
            <p className="mt-2 text-sm text-muted">
              This bill is in {bill.totals.length} currencies. They are shown one at a time and never added up.
            </p>
          ) : null}
          <div className="mt-4 flex flex-wrap items-center gap-x-3 gap-y-1.5">
            <Choose label="Cost" prefix="Cost" value={measure} options={MEASURE_OPTIONS} onChange={(next) => change({ measure: next })} />
            <MeasureNote total={total} measure={measure} />
          </div>
          <Card className="mt-2 overflow-clip">
            <div className="px-4 pt-1">
              <Tabs
                label="Break the AI cost down by"
                value={by}
                tabs={VIEWS.map((value) => ({ value, label: VIEW_LABELS[value] }))}
                onChange={(value) => change({ by: value })}
              >
                <div className="-mx-4">
                  <BillBreakdown billId={bill.id} by={by} measure={measure} total={total} />
                </div>
              </Tabs>
            </div>
          </Card>
          <Candidates billId={bill.id} currency={total.currency} isCounting={!bill.superseded_at} />
          <DriftOf billId={bill.id} currency={total.currency} />
          <Resources bill={bill} currency={total.currency} />
        </>
      ) : (
        <Card className="p-6 text-muted">This file carries no cost, so there is nothing to break down.</Card>
      )}
      <p className="mt-3 text-xs text-muted">
        Imported {fullTime(bill.imported_at, zone)} {zone}.
        {bill.unknown_line_types.length > 0
          ? ` Line-item types without a rule of their own, kept as billed: ${bill.unknown_line_types.join(", ")}.`
          : ""}
      </p>
    </>
  );
}
