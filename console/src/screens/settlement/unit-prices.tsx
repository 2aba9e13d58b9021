// Unit prices by the bill, beside the catalogue's: what differs first.
import { api } from "@/api/client";
import type { SettlementKey } from "@/api/types";
import { countedInWords, FINDING_WORDS } from "@/lib/settlement-words";
import { daysInWords } from "@/lib/days";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Card, CardHead } from "@/ui/card";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

export function UnitPrices({ issuer, month, measure }: SettlementKey) {
  const prices = api.useQuery("get", "/api/v1/settlements/{month}/prices", {
    params: { path: { month }, query: { issuer, measure, limit: 200 } },
  });
  const items = (prices.data?.items ?? []).toSorted((a, b) => Number(a.finding === "agrees") - Number(b.finding === "agrees"));
  if (prices.data && items.length === 0) return null;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Unit prices" note="For a million, by the bill and by the catalogue." />
      {prices.isPending ? <SkeletonRows label="Loading the prices" /> : null}
      {prices.isError ? <Problem error={prices.error} retry={() => void prices.refetch()} /> : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Model</Th>
              <Th className="hidden sm:table-cell">What is counted</Th>
              <Th className="hidden lg:table-cell">Days</Th>
              <Th end>Bill</Th>
              <Th end>Catalogue</Th>
              <Th className="hidden sm:table-cell">Finding</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((one) => (
              <tr key={`${one.model} ${one.kind} ${one.tier} ${one.routing} ${one.long_context} ${one.first_day} ${one.billed_per_million}`}>
                <Td className="max-w-48 py-2" title={one.model}>
                  <span className="block truncate">{one.model}</span>
                  <span className="block text-xs text-muted sm:hidden">{countedInWords(one)}</span>
                  <span className="mt-1 block sm:hidden">
                    <WordBadge word={FINDING_WORDS[one.finding]} />
                  </span>
                </Td>
                <Td className="hidden text-muted sm:table-cell">{countedInWords(one)}</Td>
                <Td className="hidden whitespace-nowrap text-muted lg:table-cell">
                  {daysInWords(one.first_day, one.last_day)}
                </Td>
                <Td end>{one.billed_per_million == null ? "–" : <Amount value={one.billed_per_million} exact />}</Td>
                <Td end>{one.listed_per_million == null ? "–" : <Amount value={one.listed_per_million} exact />}</Td>
                <Td className="hidden sm:table-cell">
                  <WordBadge word={FINDING_WORDS[one.finding]} />
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}
