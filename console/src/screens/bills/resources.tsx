// The dearest AI resources of a bill.
import type { Bill } from "@/api/types";
import { Amount } from "@/ui/amount";
import { Card, CardHead } from "@/ui/card";
import { Table, Td, Th } from "@/ui/table";
import { groupName } from "./names";

const SHOWN = 10;

export function Resources({ bill, currency }: { bill: Bill; currency: string }) {
  const rows = bill.resources.filter((resource) => resource.currency === currency).slice(0, SHOWN);
  if (rows.length === 0) return null;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Dearest resources" note="AI and what may be AI" />
      <Table>
        <thead>
          <tr>
            <Th>Resource</Th>
            <Th className="hidden sm:table-cell">Service</Th>
            <Th className="hidden md:table-cell">Account</Th>
            <Th end>Cost</Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {rows.map((row) => (
            <tr key={`${row.account} ${row.resource_id}`} className="hover:bg-sunken">
              <Td className="max-w-56 truncate font-mono text-xs sm:max-w-md" title={row.resource_id}>
                {row.resource_id}
              </Td>
              <Td className="hidden sm:table-cell">{groupName(row.service, "service")}</Td>
              <Td className="num hidden md:table-cell">{row.account}</Td>
              <Td end>
                <Amount value={row.cost} currency={row.currency} />
              </Td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Card>
  );
}
