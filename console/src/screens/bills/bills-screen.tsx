// The imported bills. Each currency stands on its own line; nothing is converted and nothing is added across.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { billsQuery } from "@/api/queries";
import type { Bill } from "@/api/types";
import { share } from "@/lib/money";
import { ago } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { buttonLook } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { DropZone } from "./drop-zone";
import { ImportLogs } from "./import-logs";
import { FORMAT_NAMES } from "./names";
import { daysInWords } from "@/lib/days";

export function BillsScreen() {
  const bills = useQuery(billsQuery());
  const items = bills.data?.items ?? [];
  const isEmpty = bills.data !== undefined && items.length === 0;
  return (
    <>
      <PageHead title="Bills" note="What the cloud provider charged, and how much of it is AI.">
        {isEmpty ? null : (
          <Link to="/bills/drift" className="rounded text-sm font-medium text-accent-ink hover:underline">
            What no rule knows
          </Link>
        )}
        <Link to="/bills/aws" className={buttonLook()}>
          AWS accounts
        </Link>
        <Link to="/bills/vendors" className={buttonLook()}>
          Vendors
        </Link>
      </PageHead>
      <DropZone large={isEmpty} />
      <ImportLogs />
      {isEmpty ? null : (
        <Card className="mt-3 overflow-clip">
          <CardHead title="Imported" />
          {bills.isPending ? <SkeletonRows label="Loading the bills" /> : null}
          {bills.isError ? <Problem error={bills.error} retry={() => void bills.refetch()} /> : null}
          {items.length > 0 ? <BillTable items={items} /> : null}
        </Card>
      )}
    </>
  );
}

function BillTable({ items }: { items: Bill[] }) {
  const { zone } = usePreferences();
  const now = useNow(30_000);
  return (
    <Table>
      <thead>
        <tr>
          <Th>Bill</Th>
          <Th className="hidden md:table-cell">Format</Th>
          <Th end className="hidden md:table-cell">
            Lines
          </Th>
          <Th end>AI</Th>
          <Th end className="hidden sm:table-cell">
            Whole bill
          </Th>
          <Th end className="hidden lg:table-cell">
            Imported
          </Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((bill) => (
          <tr key={bill.id} className={cx("hover:bg-sunken", bill.superseded_at && "text-muted")}>
            <Td className="max-w-44 py-2 sm:max-w-64">
              <Link to="/bills/$billId" params={{ billId: bill.id }} className="block truncate rounded font-medium hover:text-accent-ink hover:underline">
                {bill.name}
              </Link>
              <span className="block truncate text-xs text-muted">{daysInWords(bill.first_day, bill.last_day)}
                {bill.withdrawn_at ? ", withdrawn" : bill.superseded_at ? ", replaced by a newer delivery" : ""}</span>
            </Td>
            <Td className="hidden md:table-cell">{FORMAT_NAMES[bill.format]}</Td>
            <Td end className="hidden md:table-cell">
              {bill.lines.toLocaleString("en-US")}
            </Td>
            <Td end className="py-2">
              {bill.totals.length === 0 ? <span className="text-muted">no cost told</span> : null}
              {bill.totals.map((total) => (
                <span key={total.currency} className="block">
                  <Amount value={total.ai_cost} currency={total.currency} className="font-medium" />
                  <span className="text-xs text-muted max-sm:block sm:ml-2">{share(total.ai_cost, total.total_cost)}</span>
                </span>
              ))}
            </Td>
            <Td end className="hidden py-2 text-muted sm:table-cell">
              {bill.totals.map((total) => (
                <span key={total.currency} className="block">
                  <Amount value={total.total_cost} currency={total.currency} />
                </span>
              ))}
            </Td>
            <Td end className="hidden whitespace-nowrap text-muted lg:table-cell">
              {ago(bill.imported_at, now, zone)}
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
