// Audit events as a table: the account's own and the operator's look the same.
import type { AuditEvent } from "@/api/types";
import { actInWords, actorInWords, changeInWords } from "@/lib/audit-words";
import { Moment } from "@/ui/moment";
import { Table, Td, Th } from "@/ui/table";

export function AuditTable({ items }: { items: AuditEvent[] }) {
  return (
    <Table>
      <thead>
        <tr>
          <Th>When</Th>
          <Th>What</Th>
          <Th className="hidden sm:table-cell">By</Th>
          <Th className="hidden lg:table-cell">To</Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((event) => {
          const change = changeInWords(event.change);
          return (
            <tr key={event.id} className="align-top">
              <Td className="w-28 py-2.5">
                <Moment at={event.at} />
              </Td>
              <Td className="min-w-0 py-2.5 [overflow-wrap:anywhere]">
                <span className="block font-medium" title={event.action}>
                  {actInWords(event.action)}
                </span>
                {change ? <span className="block max-w-prose text-xs [overflow-wrap:anywhere] text-muted">{change}</span> : null}
                <span className="block text-xs text-muted sm:hidden">{actorInWords(event.actor)}</span>
              </Td>
              <Td className="hidden whitespace-nowrap py-2.5 sm:table-cell" title={event.actor}>
                {actorInWords(event.actor)}
              </Td>
              <Td className="hidden max-w-56 truncate py-2.5 font-mono text-xs text-muted lg:table-cell" title={event.target ?? undefined}>
                {event.target ?? ""}
              </Td>
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}
