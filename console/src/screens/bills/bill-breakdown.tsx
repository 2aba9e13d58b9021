// The AI part of a bill by one of its dimensions, in one currency, with unit rates.
import type { BillGroup, BillTotal } from "@/api/types";
import { toFloat } from "@/lib/decimal";
import { share } from "@/lib/money";
import { shortCount } from "@/lib/tokens";
import { Amount } from "@/ui/amount";
import { ShareBar } from "@/ui/share-bar";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { groupName } from "./names";
import type { BillMeasure, View } from "./search";
import { MOST_GROUPS, useBreakdown } from "./use-breakdown";
import { VIEW_LABELS } from "./views";

export function BillBreakdown({ billId, by, measure, total }: { billId: string; by: View; measure: BillMeasure; total: BillTotal }) {
  const breakdown = useBreakdown(billId, by, measure);
  if (breakdown.isPending) return <SkeletonRows label="Loading the breakdown" />;
  if (breakdown.isError) return <Problem error={breakdown.error} retry={() => void breakdown.refetch()} />;
  const items = breakdown.data.items.filter(({ currency }) => currency === total.currency);
  if (items.length === 0) return <p className="px-4 py-8 text-center text-muted">This bill has no AI cost in {total.currency}.</p>;
  return (
    <>
      <Groups items={items} by={by} measure={measure} total={total} />
      {items.length === MOST_GROUPS ? (
        <p className="border-t px-4 py-2.5 text-sm text-muted">The {MOST_GROUPS} dearest; the bill has more.</p>
      ) : null}
    </>
  );
}

function Groups({ items, by, measure, total }: { items: BillGroup[]; by: View; measure: BillMeasure; total: BillTotal }) {
  const { currency } = total;
  const whole = total.ai_costs[measure];
  // An unknown cost has no bar and no share; it is not drawn as nothing.
  const top = Math.max(...items.map((item) => (item.cost ? toFloat(item.cost) : 0)));
  const hasTokens = items.some((item) => toFloat(item.tokens) > 0);
  return (
    <Table>
      <thead>
        <tr>
          <Th>{VIEW_LABELS[by]}</Th>
          <Th end>Cost</Th>
          <Th className="hidden w-40 sm:table-cell">
            <span className="sr-only">Share as a bar</span>
          </Th>
          <Th end className="hidden sm:table-cell" title="Of the AI cost of this bill">
            Share
          </Th>
          {hasTokens ? (
            <>
              <Th end className="hidden md:table-cell">
                Tokens
              </Th>
              <Th end className="hidden md:table-cell" title="What is billed by tokens, divided by the tokens">
                Per million
              </Th>
            </>
          ) : null}
          <Th end className="hidden lg:table-cell">
            Lines
          </Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((item) => (
          <tr key={item.group} className="hover:bg-sunken">
            <Td className="max-w-72 truncate font-medium" title={item.group}>
              {groupName(item.group, by)}
            </Td>
            <Td end>
              <Amount value={item.cost} currency={currency} unknown="unknown" />
            </Td>
            <Td className="hidden sm:table-cell">
              {item.cost ? <ShareBar part={toFloat(item.cost)} whole={top} color="var(--bill)" /> : null}
            </Td>
            <Td end className="hidden text-muted sm:table-cell">
              {item.cost && whole ? share(item.cost, whole) : "–"}
            </Td>
            {hasTokens ? (
              <>
                <Td end className="hidden md:table-cell" title={item.tokens}>
                  {toFloat(item.tokens) > 0 ? shortCount(toFloat(item.tokens)) : "–"}
                </Td>
                <Td end className="hidden md:table-cell">
                  {item.unit_cost_per_million ? <Amount value={item.unit_cost_per_million} currency={currency} /> : "–"}
                </Td>
              </>
            ) : null}
            <Td end className="hidden text-muted lg:table-cell">
              {item.lines.toLocaleString("en-US")}
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
