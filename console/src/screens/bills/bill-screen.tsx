// One bill: how much of it is AI, where that went, and what could not be placed.
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { billsQuery } from "@/api/queries";
import type { Bill } from "@/api/types";
import { fullTime } from "@/lib/time";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Segments } from "@/ui/segments";
import { Problem, Skeleton, SkeletonRows } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { BillBreakdown } from "./bill-breakdown";
import { Composition } from "./composition";
import { periodInWords } from "./period";
import { VIEWS } from "./search";
import { VIEW_LABELS } from "./views";

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

function BillOf({ bill }: { bill: Bill }) {
  const search = useSearch({ from: "/member/bills/$billId" });
  const navigate = useNavigate({ from: "/bills/$billId" });
  const { zone } = usePreferences();
  const [removing, setRemoving] = useState(false);
  const by = search.by ?? "service";
  const total = bill.totals.find(({ currency }) => currency === search.currency) ?? bill.totals[0];
  const change = (next: typeof search) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  return (
    <>
      <PageHead title={bill.filename} note={`${periodInWords(bill.period_start, bill.period_end)}, ${bill.lines.toLocaleString("en-US")} lines, ${bill.format}`}>
        <Badge tone="bill">Bill</Badge>
        {bill.totals.length > 1 && total ? (
          <Segments
            label="Currency"
            value={total.currency}
            options={bill.totals.map(({ currency }) => ({ value: currency, label: currency }))}
            onChange={(currency) => change({ currency })}
          />
        ) : null}
        <Button weight="danger" size="small" onClick={() => setRemoving(true)}>
          Remove
        </Button>
      </PageHead>
      {total ? (
        <>
          <Composition total={total} />
          {bill.totals.length > 1 ? (
            <p className="mt-2 text-sm text-muted">
              This bill is in {bill.totals.length} currencies. They are shown one at a time and never added up.
            </p>
          ) : null}
          <Card className="mt-3 overflow-clip">
            <div className="px-4 pt-1">
              <Tabs
                label="Break the AI cost down by"
                value={by}
                tabs={VIEWS.map((value) => ({ value, label: VIEW_LABELS[value] }))}
                onChange={(value) => change({ by: value })}
              >
                <div className="-mx-4">
                  <BillBreakdown billId={bill.id} by={by} currency={total.currency} />
                </div>
              </Tabs>
            </div>
          </Card>
        </>
      ) : (
        <Card className="p-6 text-muted">This file carries no cost, so there is nothing to break down.</Card>
      )}
      <p className="mt-3 text-xs text-muted">
        Imported {fullTime(bill.imported_at, zone)} {zone}
      </p>
      <RemoveBill bill={bill} open={removing} onOpenChange={setRemoving} />
    </>
  );
}

function RemoveBill({ bill, open, onOpenChange }: { bill: Bill; open: boolean; onOpenChange: (open: boolean) => void }) {
  const navigate = useNavigate();
  const remove = api.useMutation("delete", "/api/v1/bills/{id}", {
    onSuccess: async () => {
      await navigate({ to: "/bills" });
      await queryClient.invalidateQueries({ queryKey: billsQuery().queryKey });
    },
  });
  return (
    <Confirm
      open={open}
      onOpenChange={onOpenChange}
      title={`Remove “${bill.filename}”?`}
      action="Remove the bill"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { id: bill.id } } })}
    >
      Its figures leave the ledger and the overview. The file can be imported again.
    </Confirm>
  );
}
