// The four figures at the top. Each says where it comes from and how sure it is.
import type { ReactNode } from "react";
import type { Series, SpendSums } from "@/api/types";
import { Spark } from "@/charts/spark";
import { parseDecimal, toFloat } from "@/lib/decimal";
import { perThousand, share } from "@/lib/money";
import { SOURCE_WORDS } from "@/lib/words";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Card } from "@/ui/card";
import { Skeleton } from "@/ui/states";
import { proxySpend, type Spend } from "./use-spend";

function Kpi({ label, badge, value, note, spark }: { label: string; badge?: ReactNode; value: ReactNode; note: ReactNode; spark?: ReactNode }) {
  return (
    <Card className="flex min-w-0 flex-col px-3.5 py-3 sm:px-4">
      <div className="flex items-center gap-2 text-sm text-muted">
        <h2 className="truncate">{label}</h2>
        {badge}
      </div>
      <div className="mt-1 flex items-end justify-between gap-2">
        <p className="num truncate text-xl font-semibold leading-8 tracking-tight sm:text-2xl">{value}</p>
        <span className="hidden shrink-0 sm:block">{spark}</span>
      </div>
      <p className="mt-0.5 min-h-5 text-sm text-muted">{note}</p>
    </Card>
  );
}

export function KpiSkeletons() {
  return (
    <div role="status" aria-label="Loading the figures" className="grid grid-cols-2 gap-3 xl:grid-cols-4">
      {["a", "b", "c", "d"].map((name) => (
        <Card key={name} className="px-4 py-3">
          <Skeleton className="h-4 w-28" />
          <Skeleton className="mt-2.5 h-7 w-24" />
          <Skeleton className="mt-2.5 h-4 w-36" />
        </Card>
      ))}
    </div>
  );
}

function byBucket(points: readonly { start: string; value: number }[]): number[] {
  const values = new Map<string, number>();
  for (const { start, value } of points) values.set(start, (values.get(start) ?? 0) + value);
  return [...values.keys()].toSorted().map((start) => values.get(start) ?? 0);
}

function shape(spend: Spend): number[] {
  return byBucket(spend.points.map(({ start, amount }) => ({ start, value: toFloat(amount) })));
}

function calls(series: Series): number[] {
  return byBucket(series.points.map(({ start, sums }) => ({ start, value: sums.requests })));
}

/** What has to be said about how sure the amount is. */
function certainty({ cost, estimated_cost: guessed, requests }: SpendSums): string {
  if (requests === 0) return "no call in this time";
  if (!cost) return "no call has a known price";
  if (!guessed || parseDecimal(guessed)?.units === 0n) return "every token reported by a provider";
  return `${share(guessed, cost)} of it from counted tokens`;
}

export function Kpis({ proxy, bills, hasBills }: { proxy: Series; bills: readonly Spend[] | undefined; hasBills: boolean }) {
  const { total } = proxy;
  const priced = total.requests - total.unpriced_requests;
  const unit = total.cost ? perThousand(total.cost, priced) : null;
  const [firstBill] = bills ?? [];
  return (
    <div className="grid grid-cols-2 gap-3 xl:grid-cols-4">
      <Kpi
        label="Proxy"
        badge={<WordBadge word={SOURCE_WORDS.proxy} />}
        value={total.requests > 0 && !total.cost ? <Amount value={null} /> : <Amount value={total.cost ?? "0"} currency={proxy.currency} />}
        note={certainty(total)}
        spark={<Spark values={shape(proxySpend(proxy))} />}
      />
      <Kpi
        label="AI on the bill"
        badge={<WordBadge word={SOURCE_WORDS.bill} />}
        value={
          firstBill ? (
            bills?.map((bill) => <Amount key={bill.currency} value={bill.total} currency={bill.currency} className="mr-3" />)
          ) : (
            <span className="text-muted">–</span>
          )
        }
        note={firstBill ? "charged by the provider" : hasBills ? "no imported bill covers these days" : "no bill imported yet"}
        spark={firstBill ? <Spark values={shape(firstBill)} color="var(--bill)" /> : null}
      />
      <Kpi
        label="Requests"
        value={total.requests.toLocaleString("en-US")}
        note={<Exceptions sums={total} />}
        spark={<Spark values={calls(proxy)} />}
      />
      <Kpi
        label="Per 1,000 requests"
        value={unit === null ? <span className="text-muted">–</span> : <Amount value={unit} currency={proxy.currency} />}
        note={unit === null ? "no priced request in this time" : "over the priced requests"}
      />
    </div>
  );
}

function Exceptions({ sums }: { sums: SpendSums }) {
  const parts = [
    ...(sums.failed_requests > 0 ? [`${sums.failed_requests.toLocaleString("en-US")} not completed`] : []),
    ...(sums.unpriced_requests > 0 ? [`${sums.unpriced_requests.toLocaleString("en-US")} unpriced, in no amount`] : []),
  ];
  if (parts.length === 0) return sums.requests > 0 ? "all completed and priced" : "none in this time";
  return <span className={sums.unpriced_requests > 0 ? "text-caution" : undefined}>{parts.join(", ")}</span>;
}
