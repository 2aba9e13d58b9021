// The AI part of a bill by one of its dimensions, with unit rates.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { BillGroup } from "@/api/types";
import { toFloat } from "@/lib/decimal";
import { shortCount, tokenClassLabel } from "@/lib/tokens";
import { Amount } from "@/ui/amount";
import { ShareBar } from "@/ui/share-bar";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { VIEW_LABELS } from "./views";
import type { View } from "./search";

export function BillBreakdown({ billId, by, currency }: { billId: string; by: View; currency: string }) {
  const breakdown = useQuery(
    api.queryOptions(
      "get",
      "/api/v1/bills/{id}/breakdown",
      { params: { path: { id: billId }, query: { by, currency } } },
      { placeholderData: keepPreviousData, staleTime: 60_000 },
    ),
  );
  if (breakdown.isPending) return <SkeletonRows label="Loading the breakdown" />;
  if (breakdown.isError) return <Problem error={breakdown.error} retry={() => void breakdown.refetch()} />;
  const { items, currency: told } = breakdown.data;
  if (items.length === 0) return <p className="px-4 py-8 text-center text-muted">No AI cost in this bill by {VIEW_LABELS[by].toLowerCase()}.</p>;
  return <Groups items={items} by={by} currency={told} />;
}

function nameOf(group: string, by: View): string {
  if (group === "") return "not told by the bill";
  return by === "token_class" ? tokenClassLabel(group) : group;
}

function Groups({ items, by, currency }: { items: BillGroup[]; by: View; currency: string }) {
  const top = Math.max(...items.map((item) => toFloat(item.cost)));
  const hasTokens = items.some((item) => item.tokens);
  return (
    <Table>
      <thead>
        <tr>
          <Th>{VIEW_LABELS[by]}</Th>
          <Th end>Cost</Th>
          <Th className="hidden w-40 sm:table-cell">
            <span className="sr-only">Share</span>
          </Th>
          <Th end className="hidden sm:table-cell">
            Share
          </Th>
          {hasTokens ? (
            <>
              <Th end className="hidden md:table-cell">
                Tokens
              </Th>
              <Th end className="hidden md:table-cell">
                Per million
              </Th>
            </>
          ) : null}
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((item) => (
          <tr key={item.group} className="hover:bg-sunken">
            <Td className="max-w-72 truncate font-medium" title={item.group}>
              {nameOf(item.group, by)}
            </Td>
            <Td end>
              <Amount value={item.cost} currency={currency} />
            </Td>
            <Td className="hidden sm:table-cell">
              <ShareBar part={toFloat(item.cost)} whole={top} color="var(--bill)" />
            </Td>
            <Td end className="hidden text-muted sm:table-cell">
              {item.share ? percent(item.share) : "–"}
            </Td>
            {hasTokens ? (
              <>
                <Td end className="hidden md:table-cell" title={item.tokens ? item.tokens.toLocaleString("en-US") : undefined}>
                  {item.tokens ? shortCount(item.tokens) : "–"}
                </Td>
                <Td end className="hidden md:table-cell">
                  {item.unit_cost_per_million ? <Amount value={item.unit_cost_per_million} currency={currency} /> : "–"}
                </Td>
              </>
            ) : null}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** A share told as a ratio between 0 and 1. */
function percent(ratio: string): string {
  const value = toFloat(ratio) * 100;
  return value !== 0 && Math.abs(value) < 0.1 ? "< 0.1 %" : `${value.toFixed(1)} %`;
}
