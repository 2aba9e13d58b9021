// Who or what the money went to. A row leads to its requests.
import { Link } from "@tanstack/react-router";
import type { SpendBreakdown } from "@/api/types";
import { toFloat } from "@/lib/decimal";
import { perThousand } from "@/lib/money";
import type { RangeSearch } from "@/lib/range";
import { Amount } from "@/ui/amount";
import { ShareBar } from "@/ui/share-bar";
import { Table, Td, Th } from "@/ui/table";
import { TokenBar } from "@/ui/token-bar";
import type { Group } from "./search";

export interface BreakdownProps {
  items: SpendBreakdown["items"];
  by: Group;
  range: RangeSearch;
  nameOf: (group: string) => string;
}

const HEADS: Record<Group, string> = { model: "Model", provider: "Provider", key: "Key" };

export function Breakdown({ items, by, range, nameOf }: BreakdownProps) {
  const rows = items.toSorted((a, b) => toFloat(b.sums.cost) - toFloat(a.sums.cost));
  const top = toFloat(rows[0]?.sums.cost);
  if (rows.length === 0) return <p className="px-4 pb-6 pt-2 text-muted">No request in this time.</p>;
  return (
    <Table>
      <thead>
        <tr>
          <Th>{HEADS[by]}</Th>
          <Th end>Cost</Th>
          <Th className="hidden w-32 sm:table-cell">
            <span className="sr-only">Share</span>
          </Th>
          <Th end className="hidden sm:table-cell">
            Requests
          </Th>
          <Th end className="hidden md:table-cell">
            Per 1,000
          </Th>
          <Th className="hidden w-44 md:table-cell">Tokens</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {rows.map(({ group, sums }) => {
          const priced = sums.requests - sums.unpriced_requests;
          return (
            <tr key={group} className="hover:bg-sunken">
              <Td className="max-w-52 truncate font-medium">
                <Link
                  to="/requests"
                  search={{ range: range.range ?? (range.from ? undefined : "30d"), from: range.from, to: range.to, [by === "key" ? "api_key_id" : by]: group }}
                  className="rounded hover:text-accent-ink hover:underline"
                >
                  {nameOf(group)}
                </Link>
              </Td>
              <Td end>
                <Amount value={sums.cost} />
                {priced > 0 && sums.unpriced_requests > 0 ? (
                  <span className="block text-xs text-caution">+ {sums.unpriced_requests} unpriced</span>
                ) : null}
              </Td>
              <Td className="hidden sm:table-cell">
                <ShareBar part={toFloat(sums.cost)} whole={top} />
              </Td>
              <Td end className="hidden sm:table-cell">
                {sums.requests.toLocaleString("en-US")}
              </Td>
              <Td end className="hidden text-muted md:table-cell">
                {sums.cost && priced > 0 ? <Amount value={perThousand(sums.cost, priced)} /> : "–"}
              </Td>
              <Td className="hidden md:table-cell">
                <TokenBar usage={sums.usage} count className="w-full" />
              </Td>
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}
