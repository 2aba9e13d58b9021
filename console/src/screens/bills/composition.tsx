// What a bill is made of, in one currency: AI, what may be AI, and all the rest.
import type { BillTotal } from "@/api/types";
import { parseDecimal, sum, toFloat, toShortText } from "@/lib/decimal";
import { share } from "@/lib/money";
import { Amount } from "@/ui/amount";
import { Card } from "@/ui/card";
import { UNCLASSIFIED } from "./names";
import { useBreakdown } from "./use-breakdown";

interface Part {
  label: string;
  meaning: string;
  amount: string;
  color: string;
}

function minus(text: string): string {
  const value = parseDecimal(text);
  return value ? toShortText({ ...value, units: -value.units }) : "0";
}

function less(whole: string, ...parts: string[]): string {
  const rest = sum([whole, ...parts.map(minus)]);
  return rest ? toShortText(rest) : "0";
}

/** The parts of the whole. What is AI of an unknown kind is a part of the AI; the rest is what remains, exactly. */
export function partsOf(total: BillTotal, unclassified: string): Part[] {
  return [
    {
      label: "AI",
      meaning: "models, endpoints and AI services",
      amount: less(total.ai_cost, unclassified),
      color: "var(--accent)",
    },
    {
      label: "AI, not classified",
      meaning: "AI beyond doubt, but of a kind that no rule knows",
      amount: unclassified,
      color: "var(--series-6)",
    },
    {
      label: "May be AI",
      meaning: "accelerated instances, search clusters, parallel file systems: other work uses them, too",
      amount: total.candidate_cost,
      color: "var(--series-3)",
    },
    {
      label: "Everything else",
      meaning: "not AI",
      amount: less(total.total_cost, total.ai_cost, total.candidate_cost),
      color: "var(--line-strong)",
    },
  ];
}

export function Composition({ billId, total }: { billId: string; total: BillTotal }) {
  const kinds = useBreakdown(billId, "category");
  const unclassified = kinds.data?.items.find(({ group, currency }) => group === UNCLASSIFIED && currency === total.currency);
  const parts = partsOf(total, unclassified?.cost ?? "0");
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
          <span
            key={part.label}
            style={{ width: `${whole > 0 ? (Math.max(0, toFloat(part.amount)) / whole) * 100 : 0}%`, background: part.color }}
          />
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
              <Amount value={part.amount} currency={total.currency} />{" "}
              <span className="text-muted">{share(part.amount, total.total_cost)}</span>
              <span className="block text-xs text-muted">{part.meaning}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}
