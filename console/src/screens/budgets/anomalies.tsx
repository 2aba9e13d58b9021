// Hours that cost surprisingly more than their own past explains.
import { Link } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import { api } from "@/api/client";
import { BY_CURSOR, useKeyNames } from "@/api/queries";
import type { Anomaly } from "@/api/types";
import { fullDay, hourOf } from "@/lib/time";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

/** The UTC day of an hour; the request list's ranges are whole days. */
function dayOf(hour: string): string {
  return new Date(hour).toISOString().slice(0, 10);
}

export function Anomalies() {
  const anomalies = api.useInfiniteQuery("get", "/api/v1/anomalies", { params: { query: { limit: 25 } } }, { ...BY_CURSOR, refetchInterval: 60_000 });
  const items = anomalies.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="mt-4 overflow-clip">
      <CardHead title="Surprising hours" note="Newest first" />
      {anomalies.isPending ? <SkeletonRows rows={3} label="Loading the surprising hours" /> : null}
      {anomalies.isError && !anomalies.data ? <Problem error={anomalies.error} retry={() => void anomalies.refetch()} /> : null}
      {anomalies.data && items.length === 0 ? (
        <Empty icon={<Activity />} title="No hour stood out">
          Each hour is held against the same hours of the weeks before, for every key and for all calls together. One that cost
          surprisingly more stands here, with what it was made of.
        </Empty>
      ) : null}
      {items.length > 0 ? <AnomalyTable items={items} /> : null}
      <More shown={items.length} {...anomalies} />
    </Card>
  );
}

function AnomalyTable({ items }: { items: Anomaly[] }) {
  const { zone } = usePreferences();
  const keyName = useKeyNames();
  return (
    <Table>
      <thead>
        <tr>
          <Th>Hour ({zone})</Th>
          <Th>Where</Th>
          <Th end>Cost</Th>
          <Th end>Expected</Th>
          <Th className="hidden md:table-cell">Made of</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((anomaly) => (
          <tr key={anomaly.id} className="align-top">
            <Td className="num whitespace-nowrap py-2.5">
              <Link
                to="/requests"
                search={{
                  from: dayOf(anomaly.hour),
                  to: dayOf(anomaly.hour),
                  ...(anomaly.api_key_id ? { api_key_id: anomaly.api_key_id } : {}),
                }}
                className="rounded font-medium hover:text-accent-ink hover:underline"
                title="Show the requests of its day"
              >
                {fullDay(anomaly.hour, zone)}, {hourOf(anomaly.hour, zone)}
              </Link>
            </Td>
            <Td className="max-w-48 truncate py-2.5">{anomaly.api_key_id ? keyName(anomaly.api_key_id) : "all calls together"}</Td>
            <Td end className="py-2.5 font-medium">
              <Amount value={anomaly.actual} />
            </Td>
            <Td end className="py-2.5 text-muted">
              <Amount value={anomaly.expected} />
            </Td>
            <Td className="hidden py-2.5 md:table-cell">
              {anomaly.contributors.map((part) => (
                <span key={part.name} className="mr-3 inline-block whitespace-nowrap">
                  {part.name} <Amount value={part.cost} className="text-muted" />
                </span>
              ))}
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
