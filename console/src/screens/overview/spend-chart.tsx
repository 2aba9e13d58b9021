// Spend over time from both sources. A source keeps its colour and its label everywhere: what we priced ourselves
// is an estimate, what the provider charged is the bill, and they are never stacked on each other.
import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import type { Bars } from "@/charts/spend-bars";
import { exactMoney } from "@/lib/money";
import { bucketsOf, type Span } from "@/lib/range";
import { OTHER, seriesColor, stacksOf } from "@/lib/stacks";
import { fullDay, hourOf, shortDay } from "@/lib/time";
import { SOURCE_WORDS } from "@/lib/words";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Skeleton } from "@/ui/states";
import type { Group, Source } from "./search";
import type { Spend } from "./use-spend";

const SpendBars = lazy(() => import("@/charts/spend-bars"));

export interface SpendChartProps {
  span: Span;
  source: Source;
  by: Group;
  proxy: Spend;
  /** One per currency. */
  bills: readonly Spend[];
  nameOf: (group: string) => string;
}

const WHOLE = { proxy: "Proxy (estimate)", bill: "Bill" } as const;

function barsOf({ span, source, proxy, bills, nameOf }: SpendChartProps): Bars[] {
  const buckets = bucketsOf(span);
  const grouped = (spend: Spend, column: "proxy" | "bill", one: boolean): Bars[] =>
    stacksOf(spend.points, buckets).map((stack, rank) => ({
      ...stack,
      group: one ? WHOLE[column] : stack.group === OTHER ? OTHER : nameOf(stack.group),
      color: one ? (column === "bill" ? "var(--bill)" : "var(--accent)") : seriesColor(rank, stack.group),
      column,
      currency: spend.currency,
    }));
  if (source === "proxy") return grouped(proxy, "proxy", false);
  if (source === "bill") return bills[0] ? grouped(bills[0], "bill", false) : [];
  // One axis, one currency: a bill in another one has its own view.
  const bill = bills.find(({ currency }) => currency === proxy.currency);
  return [...grouped(proxy, "proxy", true), ...(bill ? grouped(bill, "bill", true) : [])];
}

/** The currencies of bills that the present view leaves out. */
function leftOut({ source, proxy, bills }: SpendChartProps): string[] {
  const currencies = bills.map(({ currency }) => currency);
  if (source === "both") return currencies.filter((currency) => currency !== proxy.currency);
  return source === "bill" ? currencies.slice(1) : [];
}

export function SpendChart(props: SpendChartProps) {
  const { span, source, by, proxy } = props;
  const { shownTheme, zone } = usePreferences();
  const navigate = useNavigate();
  const shown = useMemo(() => {
    const hours = span.interval === "hour";
    const buckets = bucketsOf(span);
    return {
      buckets,
      labels: buckets.map((start) => (hours ? hourOf(start, zone) : shortDay(start, "UTC"))),
      titles: buckets.map((start) => (hours ? `${shortDay(start, zone)}, ${hourOf(start, zone)} ${zone}` : `${fullDay(start, "UTC")} (UTC day)`)),
    };
  }, [span, zone]);
  const bars = useMemo(() => barsOf(props), [props]);
  const summary = bars.map((bar) => `${bar.group} ${exactMoney(bar.total, bar.currency)}`).join("; ") || "no spend";
  const absent = leftOut(props);

  const pick = (start: string, group: string) => {
    if (span.interval !== "day") return;
    const day = start.slice(0, 10);
    const stack = source === "proxy" ? stacksOf(proxy.points, shown.buckets).find((one) => props.nameOf(one.group) === group) : undefined;
    const filter = stack && stack.group !== OTHER ? { [by === "key" ? "api_key_id" : by]: stack.group } : {};
    void navigate({ to: "/requests", search: { from: day, to: day, ...filter } });
  };

  return (
    <>
      <div className="h-72 px-3 pb-1">
        <Suspense fallback={<Skeleton className="h-full" />}>
          <SpendBars
            {...shown}
            bars={bars}
            theme={shownTheme}
            summary={`Spend, ${span.label}: ${summary}`}
            onPick={source === "bill" || span.interval !== "day" ? undefined : pick}
          />
        </Suspense>
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1.5 border-t px-4 py-2.5 text-sm">
        {source === "both" ? null : <WordBadge word={SOURCE_WORDS[source]} />}
        <ul className="flex flex-wrap gap-x-4 gap-y-1" aria-label="Legend">
          {bars.map((bar) => (
            <li key={`${bar.column}-${bar.group}`} className="flex items-center gap-1.5">
              <span className="size-2 shrink-0 rounded-full" style={{ background: bar.color }} aria-hidden />
              <span className="max-w-56 truncate">{bar.group}</span>
            </li>
          ))}
        </ul>
        <span className="ml-auto text-xs text-muted">
          {absent.length > 0 ? `Not drawn here: bills in ${absent.join(", ")}. ` : ""}
          {span.interval === "day" ? "UTC days" : `Hours in ${zone}`}
        </span>
      </div>
    </>
  );
}
