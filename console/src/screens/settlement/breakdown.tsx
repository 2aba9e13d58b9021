// Estimated and settled costs side by side, by one dimension.
import { api } from "@/api/client";
import { useConnectionNames, useKeyNames } from "@/api/queries";
import { daysInWords } from "@/lib/days";
import { ORIGINS } from "@/lib/filters";
import { difference } from "@/lib/money";
import type { SettlementKey } from "@/api/types";
import { ISSUERS } from "@/lib/settlement-words";
import { ORIGIN_WORDS } from "@/lib/words";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { Segments } from "@/ui/segments";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { GROUPS } from "./search";

const LABELS = { model: "Model", key: "Key", connection: "Connection", origin: "Seen by", day: "Day" } as const;

export function Breakdown({ issuer, month, measure, by, onGroup }: SettlementKey & { by: keyof typeof LABELS; onGroup: (by: keyof typeof LABELS) => void }) {
  const slices = api.useQuery("get", "/api/v1/settlements/{month}/breakdown", {
    params: { path: { month }, query: { issuer, measure, by, limit: 50 } },
  });
  const keyName = useKeyNames();
  const connectionName = useConnectionNames();
  const originOf = (group: string) => ORIGINS.find((origin) => origin === group);
  const nameOf = (group: string) => {
    if (by === "key") return keyName(group);
    if (by === "day") return daysInWords(group, group);
    // Imported calls went through no connection, and stand under their origin's name.
    const origin = by === "origin" || by === "connection" ? originOf(group) : undefined;
    if (origin) return ORIGIN_WORDS[origin].label;
    return by === "connection" ? connectionName(group) : group;
  };
  const items = slices.data?.items ?? [];
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Settled costs">
        <Segments label="By" value={by} options={GROUPS.map((value) => ({ value, label: LABELS[value] }))} onChange={onGroup} />
      </CardHead>
      {slices.isPending ? <SkeletonRows label="Loading the costs" /> : null}
      {slices.isError ? <Problem error={slices.error} retry={() => void slices.refetch()} /> : null}
      {slices.data && items.length === 0 ? (
        <p className="px-4 pb-4 text-muted">No call of this month went to {ISSUERS[issuer]}, by a connection or by what was imported.</p>
      ) : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>{LABELS[by]}</Th>
              <Th end className="hidden sm:table-cell">
                Calls
              </Th>
              <Th end>Estimated</Th>
              <Th end>Settled</Th>
              <Th end className="hidden sm:table-cell">
                Difference
              </Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((one) => (
              <tr key={one.group}>
                <Td className="max-w-64 truncate py-2" title={one.group}>
                  {nameOf(one.group)}
                </Td>
                <Td end className="hidden sm:table-cell">
                  {one.calls.toLocaleString("en-US")}
                </Td>
                <Td end className="text-muted">
                  <Amount value={one.estimated} />
                </Td>
                <Td end className="py-2">
                  <Amount value={one.settled} className="font-medium" />
                  {Number(one.provisional) === 0 ? null : (
                    <span className="block text-xs text-muted">
                      <Amount value={one.provisional} /> provisional
                    </span>
                  )}
                </Td>
                <Td end className="hidden text-muted sm:table-cell">
                  <Amount value={difference(one.settled, one.estimated)} signed />
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
    </Card>
  );
}
