// What a bill is made of, in one currency: AI, what looks like it, what could not be placed, and all the rest.
import type { BillTotal } from "@/api/types";
import { parseDecimal, sum, toFloat, toShortText } from "@/lib/decimal";
import { share } from "@/lib/money";
import { Amount } from "@/ui/amount";
import { Card } from "@/ui/card";

interface Part {
  label: string;
  meaning: string;
  amount: string;
  color: string;
}

/** The parts of the whole; the rest is what remains, exactly. What is AI of an unknown kind is a part of the AI. */
export function partsOf(total: BillTotal): Part[] {
  const rest = sum([total.total_cost, minus(total.ai_cost), minus(total.candidate_cost)]);
  const understood = sum([total.ai_cost, minus(total.unclassified_cost)]);
  return [
    { label: "AI, classified", meaning: "by service, model and what was counted", amount: understood ? toShortText(understood) : "0", color: "var(--accent)" },
    { label: "AI, not classified", meaning: "AI beyond doubt, but of a kind that no rule knows", amount: total.unclassified_cost, color: "var(--series-6)" },
    { label: "May be AI", meaning: "e.g. accelerated instances; what ran on them the bill does not say", amount: total.candidate_cost, color: "var(--series-3)" },
    { label: "Everything else", meaning: "not AI", amount: rest ? toShortText(rest) : "0", color: "var(--line-strong)" },
  ];
}

function minus(text: string): string {
  const value = parseDecimal(text);
  return value ? toShortText({ ...value, units: -value.units }) : "0";
}

export function Composition({ total }: { total: BillTotal }) {
  const parts = partsOf(total);
  const whole = parts.reduce((before, part) => before + Math.max(0, toFloat(part.amount)), 0);
  return (
    <Card className="p-4" aria-label={`Composition in ${total.currency}`}>
      <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <p className="text-2xl font-semibold tracking-tight">
          <Amount value={total.ai_cost} currency={total.currency} />
        </p>
        <p className="text-muted">
          of AI, {share(total.ai_cost, total.total_cost)} of a bill of <Amount value={total.total_cost} currency={total.currency} />
        </p>
      </div>
      <div className="mt-3 flex h-2.5 gap-px overflow-hidden rounded-full bg-sunken" aria-hidden>
        {parts.map((part) => (
          <span key={part.label} style={{ width: `${whole > 0 ? (Math.max(0, toFloat(part.amount)) / whole) * 100 : 0}%`, background: part.color }} />
        ))}
      </div>
      <dl className="mt-3 grid gap-x-6 gap-y-2 text-sm sm:grid-cols-2 xl:grid-cols-4">
        {parts.map((part) => (
          <div key={part.label} className="min-w-0">
            <dt className="flex items-center gap-2 font-medium">
              <span className="size-2 shrink-0 rounded-full" style={{ background: part.color }} aria-hidden />
              {part.label}
            </dt>
            <dd className="pl-4">
              <Amount value={part.amount} currency={total.currency} /> <span className="text-muted">{share(part.amount, total.total_cost)}</span>
              <span className="block text-xs text-muted">{part.meaning}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
