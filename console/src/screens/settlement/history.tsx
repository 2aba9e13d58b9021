// How near our estimates came, day by day: our own error, for everybody to see.
import type { SettlementDay } from "@/api/types";
import { daysInWords } from "@/lib/days";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Table, Td, Th } from "@/ui/table";

export function History({ days, version }: { days: SettlementDay[]; version: string }) {
  const newest = days.filter((day) => day.version === version && (day.calls > 0 || Number(day.unknown) !== 0));
  const hasUnknown = newest.some((day) => Number(day.unknown) !== 0);
  if (newest.length === 0) return null;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Our own error" note="What the estimates of a day were off by, differences added up without their signs." />
      <Table>
        <thead>
          <tr>
            <Th>Day</Th>
            <Th end className="hidden sm:table-cell">
              Calls
            </Th>
            <Th end>Estimated</Th>
            <Th end>Settled</Th>
            {hasUnknown ? (
              <Th end className="hidden sm:table-cell">
                Unknown
              </Th>
            ) : null}
            <Th end>Error</Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {newest.map((day) => (
            <tr key={day.day}>
              <Td className="whitespace-nowrap">
                {daysInWords(day.day, day.day)}
                {Number(day.unknown) === 0 ? null : (
                  <span className="block text-xs text-worse sm:hidden">
                    <Amount value={day.unknown} /> unknown
                  </span>
                )}
              </Td>
              <Td end className="hidden sm:table-cell">
                {day.calls.toLocaleString("en-US")}
              </Td>
              <Td end className="text-muted">
                <Amount value={day.estimated} />
              </Td>
              <Td end>
                <Amount value={day.settled} />
              </Td>
              {hasUnknown ? (
                <Td end className={cx("hidden sm:table-cell", Number(day.unknown) === 0 ? "text-muted" : "text-worse")}>
                  {Number(day.unknown) === 0 ? "–" : <Amount value={day.unknown} />}
                </Td>
              ) : null}
              <Td end>{day.error_percent == null ? "–" : `${Number(day.error_percent).toFixed(2)} %`}</Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Card>
  );
}
