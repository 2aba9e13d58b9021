// What a call cost by the bill, once its month is settled; nothing before.
import { api } from "@/api/client";
import type { RequestRow } from "@/api/types";
import { difference } from "@/lib/money";
import { MATCH_WORDS, monthInWords, SETTLED_WORDS } from "@/lib/settlement-words";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";

export function SettledSection({ row }: { row: RequestRow }) {
  const answer = api.useQuery("get", "/api/v1/requests/{id}/settled-cost", { params: { path: { id: row.id } } }, { staleTime: 60_000, retry: false });
  const settled = answer.data?.settled;
  if (!settled) return null;
  const { cost, month, state, confidence } = settled;
  return (
    <section aria-label="By the bill" className="rounded-card border p-4" data-testid="receipt-settled">
      <h3 className="mb-1 text-sm font-medium">By the bill</h3>
      {cost == null ? (
        <p className="text-sm text-muted">{SETTLED_WORDS[state].meaning}</p>
      ) : (
        <>
          <p className="flex flex-wrap items-center gap-2">
            <Amount value={cost} exact className="text-lg font-semibold" />
            {row.cost == null ? null : (
              <span className="text-sm text-muted">
                <Amount value={difference(cost, row.cost)} signed /> to the estimate
              </span>
            )}
            <WordBadge word={SETTLED_WORDS[state]} />
            <WordBadge word={MATCH_WORDS[confidence]} />
          </p>
          <p className="mt-1 text-sm text-muted">
            By the bill of {monthInWords(month)}. {SETTLED_WORDS[state].meaning} {MATCH_WORDS[confidence].meaning}
          </p>
        </>
      )}
    </section>
  );
}
