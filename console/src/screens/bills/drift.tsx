// What no rule knows: AI lines that were counted, but that nobody could take apart.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Check, ChevronLeft } from "lucide-react";
import { driftQuery } from "@/api/queries";
import type { BillDriftRow } from "@/api/types";
import { shortMoney, sumByCurrency } from "@/lib/money";
import { PageHead } from "@/shell/page";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { groupName } from "./names";
import { daysInWords } from "@/lib/days";

const MEANING = "Counted as AI with its full cost. Newer than the rules, or named in a way they do not expect.";

/** Of every bill that counts. */
export function DriftScreen() {
  const drift = useQuery(driftQuery());
  return (
    <>
      <Link to="/bills" className="mb-2 inline-flex items-center gap-1 rounded text-sm font-medium text-muted hover:text-ink">
        <ChevronLeft className="size-4" aria-hidden /> Bills
      </Link>
      <PageHead title="Drift" note="What your bills say that no rule knows yet." />
      <Card className="overflow-clip">
        {drift.isPending ? <SkeletonRows label="Loading what no rule knows" /> : null}
        {drift.isError ? <Problem error={drift.error} retry={() => void drift.refetch()} what="The drift" /> : null}
        {drift.data?.items.length === 0 ? (
          <Empty icon={<Check />} title="Every AI line was understood">A usage type that no rule knows would stand here, with its dollars.</Empty>
        ) : null}
        {drift.data && drift.data.items.length > 0 ? (
          <>
            <CardHead title={sumsInWords(drift.data.items)} note={MEANING} />
            <Rows rows={drift.data.items} />
          </>
        ) : null}
      </Card>
    </>
  );
}

/** What the rows add up to, each currency by itself. */
function sumsInWords(rows: BillDriftRow[]): string {
  return sumByCurrency(rows.map(({ cost, currency }) => ({ amount: cost, currency })))
    .map(({ amount, currency }) => shortMoney(amount, currency))
    .join(" and ");
}

/** Of one bill; nothing where everything was understood. */
export function DriftOf({ billId, currency }: { billId: string; currency: string }) {
  const drift = useQuery(driftQuery(billId));
  const rows = (drift.data?.items ?? []).filter((row) => row.currency === currency);
  if (drift.isError)
    return (
      <Card className="mt-3">
        <Problem error={drift.error} retry={() => void drift.refetch()} what="What no rule knows" />
      </Card>
    );
  if (rows.length === 0) return null;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="What no rule knows" note={MEANING} />
      <Rows rows={rows} />
    </Card>
  );
}

function Rows({ rows }: { rows: BillDriftRow[] }) {
  return (
    <Table>
      <thead>
        <tr>
          <Th>Usage type</Th>
          <Th className="hidden sm:table-cell">Service</Th>
          <Th className="hidden md:table-cell">Seen</Th>
          <Th end className="hidden md:table-cell">
            Lines
          </Th>
          <Th end>Cost</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {rows.map((row) => (
          <tr
            key={[row.usage_type, row.product_code, row.product_name, row.pricing_unit, row.currency].join(" ")}
            className="hover:bg-sunken"
          >
            <Td className="max-w-56 py-2 sm:max-w-md">
              <span className="block truncate font-mono text-xs" title={row.usage_type}>
                {row.usage_type || "no usage type"}
              </span>
              <span className="block truncate text-xs text-muted">
                {[row.product_name || row.product_code, row.pricing_unit].filter(Boolean).join(", ")}
              </span>
            </Td>
            <Td className="hidden sm:table-cell">{groupName(row.service, "service")}</Td>
            <Td className="hidden whitespace-nowrap text-muted md:table-cell">{daysInWords(row.first_day, row.last_day)}</Td>
            <Td end className="hidden md:table-cell">
              {row.lines.toLocaleString("en-US")}
            </Td>
            <Td end>
              <Amount value={row.cost} currency={row.currency} />
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
