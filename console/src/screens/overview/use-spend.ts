// What the overview asks for, in the shape in which both sources are drawn: points of one currency each.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { BillPoint, Series } from "@/api/types";
import { sum, toShortText } from "@/lib/decimal";
import type { Span } from "@/lib/range";
import { OTHER, type SpendPoint } from "@/lib/stacks";
import type { Group, Source } from "./search";

const FRESH_MS = 10_000;
const BILL_FRESH_MS = 60_000;

/** Spend of one source in one currency. */
export interface Spend {
  currency: string;
  points: SpendPoint[];
  total: string;
}

function spendOf(currency: string, points: SpendPoint[]): Spend {
  const total = sum(points.map((point) => point.amount));
  return { currency, points, total: total ? toShortText(total) : "0" };
}

/** The priced part of the calls; what has no price is told in words, never drawn as nothing. */
export function proxySpend(series: Series): Spend {
  // In a series of groups, what has none is all the groups that are not told apart.
  const nameless = series.points.some(({ group }) => typeof group === "string") ? OTHER : "";
  const points = series.points.flatMap(({ start, group, sums }) =>
    sums.cost === null || sums.cost === undefined ? [] : [{ start, group: group ?? nameless, amount: sums.cost }],
  );
  return spendOf(series.currency, points);
}

/** A bill's days, currency by currency, the dearest in floats' order left as the API gave it. */
export function billSpend(points: readonly BillPoint[]): Spend[] {
  const byCurrency = Map.groupBy(points, (point) => point.currency);
  return [...byCurrency].map(([currency, own]) =>
    spendOf(
      currency,
      // What is unknown is not drawn as nothing.
      own.flatMap(({ day, group, cost }) => (cost ? [{ start: `${day}T00:00:00Z`, group: group ?? "", amount: cost }] : [])),
    ),
  );
}

export function useSpend(span: Span, source: Source, by: Group) {
  const { from, to, interval } = span;
  const live = { refetchInterval: FRESH_MS, placeholderData: keepPreviousData } as const;
  const proxy = useQuery(
    api.queryOptions(
      "get",
      "/api/v1/spend/series",
      { params: { query: { from, to, interval, group_by: source === "proxy" ? by : "none" } } },
      live,
    ),
  );
  const bill = useQuery(
    api.queryOptions(
      "get",
      "/api/v1/bills/series",
      { params: { query: { from: from.slice(0, 10), to: to.slice(0, 10), group_by: source === "bill" ? "model" : undefined } } },
      { ...live, refetchInterval: BILL_FRESH_MS },
    ),
  );
  const breakdown = useQuery(
    api.queryOptions("get", "/api/v1/spend/breakdown", { params: { query: { from, to, by } } }, live),
  );
  return { proxy, bill, breakdown };
}
