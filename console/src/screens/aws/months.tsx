// The months of a connected account, and what AWS made of each.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { api } from "@/api/client";
import type { AwsConnection, BillDelivery, BillMonth } from "@/api/types";
import { FINALITY_WORDS, monthName, MONTH_STATE_WORDS } from "@/lib/aws-words";
import { fullTime } from "@/lib/time";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Sheet } from "@/ui/dialog";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";

const isRead = (month: BillMonth) => month.state === "waiting" || month.state === "reading";

const isFailed = (month: BillMonth) => month.state === "failed" && Boolean(month.problem);

export function Months({ account }: { account: AwsConnection }) {
  const [open, setOpen] = useState<string | null>(null);
  const path = { params: { path: { id: account.id } } };
  const months = useQuery({
    ...api.queryOptions("get", "/api/v1/aws-connections/{id}/months", path),
    refetchInterval: ({ state }) => ((state.data?.items ?? []).some(isRead) ? 2_000 : 30_000),
  });
  if (months.isError) return <Problem error={months.error} retry={() => void months.refetch()} />;
  const items = months.data?.items ?? [];
  if (items.length === 0) return null;
  return (
    <div className="-mx-4 mt-3 border-t">
      <Table>
        <thead>
          <tr>
            <Th>Month</Th>
            <Th>State</Th>
            <Th className="hidden md:table-cell">Last change</Th>
            <Th end>
              <span className="sr-only">Deliveries</span>
            </Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {items.map((month) => (
            <Fragment key={month.month}>
              <tr className={isFailed(month) || month.notices.length > 0 ? "!border-b-0" : undefined}>
                <Td className="whitespace-nowrap font-medium">
                  {month.delivery ? (
                    <Link to="/bills/$billId" params={{ billId: month.delivery.bill_id }} className="rounded hover:underline">
                      {monthName(month.month)}
                    </Link>
                  ) : (
                    monthName(month.month)
                  )}
                </Td>
                <Td className="py-2">
                  <span className="flex flex-wrap items-center gap-1.5">
                    <WordBadge word={MONTH_STATE_WORDS[month.state]} />
                    {month.delivery ? <WordBadge word={FINALITY_WORDS[month.delivery.finality]} /> : null}
                    {month.progress ? (
                      <span className="num text-xs text-muted">
                        {month.progress.step === month.state ? "" : `${month.progress.step}, `}
                        {Math.floor(month.progress.permille / 10)} %
                      </span>
                    ) : null}
                  </span>
                </Td>
                <Td className="hidden py-2 text-sm text-muted md:table-cell">{month.delivery ? changeInWords(month.delivery) : "–"}</Td>
                <Td end>
                  {month.delivery ? (
                    <Button size="small" onClick={() => setOpen(month.month)} aria-label={`Deliveries of ${monthName(month.month)}`}>
                      Deliveries
                    </Button>
                  ) : null}
                </Td>
              </tr>
              {month.problem && isFailed(month) ? (
                <tr>
                  <td colSpan={4} className="px-4 pb-3 text-sm">
                    <span className="text-worse">{month.problem.detail}</span> <span className="text-muted">{month.problem.remedy}</span>
                  </td>
                </tr>
              ) : null}
              {month.notices.map((notice) => (
                <tr key={notice.code}>
                  <td colSpan={4} className="px-4 pb-3 text-sm text-muted">
                    {notice.detail}
                  </td>
                </tr>
              ))}
            </Fragment>
          ))}
        </tbody>
      </Table>
      <Sheet
        open={open !== null}
        onClose={() => setOpen(null)}
        title={open ? `Deliveries of ${monthName(open)}` : "Deliveries"}
        description="Each version that AWS made of the month, newest first, and what it changed."
      >
        {open ? <Deliveries id={account.id} month={open} /> : null}
      </Sheet>
    </div>
  );
}

function Deliveries({ id, month }: { id: string; month: string }) {
  const deliveries = api.useQuery("get", "/api/v1/aws-connections/{id}/months/{month}/deliveries", {
    params: { path: { id, month }, query: { limit: 100 } },
  });
  if (deliveries.isPending) return <SkeletonRows rows={3} label="Loading the deliveries" />;
  if (deliveries.isError) return <Problem error={deliveries.error} retry={() => void deliveries.refetch()} />;
  return (
    <ol className="grid grid-cols-1 gap-3">
      {deliveries.data.items.map((delivery) => (
        <Delivery key={delivery.id} delivery={delivery} />
      ))}
    </ol>
  );
}

/** What a delivery changed, in AWS' words or ours. */
function changeInWords(delivery: BillDelivery): string {
  return delivery.change ?? (delivery.previous_id ? "The same sums as before" : "The first delivery");
}

function Delivery({ delivery }: { delivery: BillDelivery }) {
  const { zone } = usePreferences();
  return (
    <li className="rounded-md border p-3 text-sm">
      <p className="flex flex-wrap items-center gap-2 font-medium">
        {fullTime(delivery.created_at, zone)}
        <WordBadge word={FINALITY_WORDS[delivery.finality]} />
      </p>
      <p className="mt-1">{changeInWords(delivery)}</p>
      {delivery.changes.length > 0 ? (
        <Table className="mt-2 [&_:is(th,td):first-child]:pl-0 [&_:is(th,td):last-child]:pr-0">
          <thead>
            <tr>
              <Th>Lines</Th>
              <Th end>Before</Th>
              <Th end>After</Th>
              <Th end>Change</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {delivery.changes.map((change) => (
              <tr key={`${change.line_item_type} ${change.currency}`}>
                <Td>{change.line_item_type || "without a type"}</Td>
                <Td end>
                  <Amount value={change.before} currency={change.currency} />
                </Td>
                <Td end>
                  <Amount value={change.after} currency={change.currency} />
                </Td>
                <Td end>
                  <Amount value={change.by} currency={change.currency} signed />
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
    </li>
  );
}
