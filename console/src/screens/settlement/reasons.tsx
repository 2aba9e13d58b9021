// From the estimates over the settled costs to the bill, reason by reason: each step with its amount, so that it adds up.
import type { Settlement, SettlementResidual } from "@/api/types";
import { REASON_WORDS } from "@/lib/settlement-words";
import { Amount } from "@/ui/amount";
import { Badge } from "@/ui/badge";
import { Card, CardHead } from "@/ui/card";
import { Table, Td, Th } from "@/ui/table";

export function Reasons({ settlement, residuals }: { settlement: Settlement; residuals: SettlementResidual[] }) {
  const of = (side: SettlementResidual["side"]) => residuals.filter((residual) => residual.side === side);
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="Why they differ" note="Every difference has a reason, and all of them add up." />
      <Table>
        <thead>
          <tr>
            <Th>Reason</Th>
            <Th end className="hidden sm:table-cell">
              Tokens
            </Th>
            <Th end>Amount</Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          <Sum label="Estimated" value={settlement.estimated} />
          {of("calls").map((residual) => (
            <Reason key={residual.code} residual={residual} />
          ))}
          <Sum label="Settled" value={settlement.settled} />
          {of("outside").map((residual) => (
            <Reason key={residual.code} residual={residual} />
          ))}
          <Sum label="AI on the bill" value={settlement.billed} />
        </tbody>
      </Table>
    </Card>
  );
}

function Sum({ label, value }: { label: string; value: string }) {
  return (
    <tr className="bg-sunken font-medium">
      <Td>{label}</Td>
      <Td className="hidden sm:table-cell" />
      <Td end>
        <Amount value={value} />
      </Td>
    </tr>
  );
}

function Reason({ residual }: { residual: SettlementResidual }) {
  const word = REASON_WORDS[residual.code];
  return (
    <tr>
      <Td className="py-2">
        <span className="grid gap-x-3 gap-y-1 lg:grid-cols-[9rem_minmax(0,1fr)] lg:items-baseline">
          <span>
            <Badge tone={word.tone}>{word.label}</Badge>
          </span>
          <span className="text-xs text-muted">{word.meaning}</span>
        </span>
      </Td>
      <Td end className="hidden text-muted sm:table-cell">
        {residual.tokens > 0 ? residual.tokens.toLocaleString("en-US") : ""}
      </Td>
      <Td end>
        <Amount value={residual.amount} signed />
      </Td>
    </tr>
  );
}
