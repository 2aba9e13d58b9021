// The overview: what AI cost in a stretch of time, from both sources, and where it went.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { api } from "@/api/client";
import { billsQuery, useKeyNames } from "@/api/queries";
import type { Bill } from "@/api/types";
import { spanOf } from "@/lib/range";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Segments } from "@/ui/segments";
import { Problem, Skeleton, SkeletonRows } from "@/ui/states";
import { Breakdown } from "./breakdown";
import { FirstSteps } from "./first-steps";
import { KpiSkeletons, Kpis } from "./kpis";
import { Latest } from "./latest";
import { RangePicker } from "./range-picker";
import type { Group, OverviewSearch, Source } from "./search";
import { SpendChart } from "./spend-chart";
import { billSpend, proxySpend, type Spend, useSpend } from "./use-spend";

const SOURCE_OPTIONS: { value: Source; label: string }[] = [
  { value: "both", label: "Both" },
  { value: "proxy", label: "Proxy" },
  { value: "bill", label: "Bill" },
];
const GROUP_OPTIONS: { value: Group; label: string }[] = [
  { value: "model", label: "model" },
  { value: "provider", label: "provider" },
  { value: "key", label: "key" },
];

const NO_BILLS: Spend[] = [];

function useIsEmpty(bills: readonly Bill[] | undefined): boolean {
  const first = useQuery(
    api.queryOptions(
      "get",
      "/api/v1/requests",
      { params: { query: { limit: 1 } } },
      { refetchInterval: (query) => (query.state.data?.items.length ? false : 2_000), placeholderData: keepPreviousData },
    ),
  );
  return bills?.length === 0 && first.data?.items.length === 0;
}

/** The days of the newest bill that counts, where the shown days have none of it. */
function daysOf(bills: readonly Bill[]): { from: string; to: string } | null {
  const newest = bills.find((bill) => !bill.superseded_at && bill.first_day && bill.last_day);
  return newest?.first_day && newest.last_day ? { from: newest.first_day, to: newest.last_day } : null;
}

export function OverviewScreen() {
  const search = useSearch({ from: "/member/" });
  const navigate = useNavigate({ from: "/" });
  const { zone } = usePreferences();
  const now = useNow(60_000);
  const span = useMemo(() => spanOf(search, now), [search, now]);
  const source = search.source ?? "both";
  const by = search.by ?? "model";
  const bills = useQuery(billsQuery());
  const isEmpty = useIsEmpty(bills.data?.items);
  const { proxy, bill, breakdown } = useSpend(span, source, by);
  const billed = useMemo(() => (bill.data ? billSpend(bill.data.points) : undefined), [bill.data]);
  const proxied = useMemo(() => (proxy.data ? proxySpend(proxy.data) : undefined), [proxy.data]);
  const keyName = useKeyNames();
  const nameOf = (group: string) => (by === "key" && source !== "bill" ? keyName(group) : group === "" ? "not told" : group);
  const change = (next: OverviewSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });

  if (isEmpty) {
    return (
      <>
        <PageHead title="Overview" />
        <FirstSteps />
      </>
    );
  }

  const elsewhere = billed?.length === 0 ? daysOf(bills.data?.items ?? []) : null;
  return (
    <>
      <PageHead title="Overview" note={`${span.label}, ${span.interval === "day" ? "UTC days" : `hours in ${zone}`}`}>
        <RangePicker
          value={search}
          now={now}
          onChange={({ range, from, to }) => change({ range, from, to })}
        />
      </PageHead>
      {proxy.data ? (
        <Kpis proxy={proxy.data} bills={billed} hasBills={(bills.data?.items.length ?? 0) > 0} />
      ) : proxy.isError ? null : (
        <KpiSkeletons />
      )}
      <Card className="mt-3">
        <CardHead title="Spend over time">
          <Segments label="Source" value={source} options={SOURCE_OPTIONS} onChange={(next) => change({ source: next })} />
        </CardHead>
        {proxy.isError && !proxy.data ? <Problem error={proxy.error} retry={() => void proxy.refetch()} what="Spend" /> : null}
        {bill.isError && !bill.data && !proxy.isError ? <Problem error={bill.error} retry={() => void bill.refetch()} what="The bill" /> : null}
        {proxy.isPending ? (
          <div role="status" aria-label="Loading the chart" className="p-4">
            <Skeleton className="h-72" />
          </div>
        ) : null}
        {proxied ? (
          <SpendChart span={span} source={source} by={by} proxy={proxied} bills={billed ?? NO_BILLS} nameOf={nameOf} />
        ) : null}
        {elsewhere && source !== "proxy" ? (
          <p className="border-t px-4 py-2.5 text-sm text-muted">
            Your newest bill covers {elsewhere.from} to {elsewhere.to}.{" "}
            <Link to="/" search={{ ...elsewhere, source, by }} className="font-medium text-accent-ink hover:underline">
              Show those days
            </Link>
          </p>
        ) : null}
      </Card>
      <div className="mt-3 grid items-start gap-3 xl:grid-cols-[minmax(0,1fr)_22rem]">
        <Card className="min-w-0 pb-1">
          <CardHead title="Where it went" note="through the proxy">
            <Choose label="Group" prefix="by" value={by} options={GROUP_OPTIONS} onChange={(next) => change({ by: next })} />
          </CardHead>
          {breakdown.isPending ? <SkeletonRows label="Loading the breakdown" /> : null}
          {breakdown.isError && !breakdown.data ? (
            <Problem error={breakdown.error} retry={() => void breakdown.refetch()} />
          ) : null}
          {breakdown.data ? (
            <Breakdown items={breakdown.data.items} by={by} range={search} nameOf={(group) => (by === "key" ? keyName(group) : group)} />
          ) : null}
        </Card>
        <Latest />
      </div>
    </>
  );
}
