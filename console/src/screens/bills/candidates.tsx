// What of a bill may be AI, and what its people say of it.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import type { Candidate, CandidateRule } from "@/api/types";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Dialog } from "@/ui/dialog";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { Tick } from "@/ui/tick";
import { serviceName } from "./names";
import { type CandidateScope, narrowed, scopeInWords } from "./candidate-scope";

/** The most rows of a currency that are asked for. */
const LIMIT = 100;
const COUNTS = { label: "Counts as AI", meaning: "By a rule of yours, here and on every bill.", tone: "good" } as const;

const candidatesOf = (billId: string) =>
  api.queryOptions("get", "/api/v1/bills/{id}/candidates", { params: { path: { id: billId }, query: { limit: LIMIT } } });
const rulesQuery = () => api.queryOptions("get", "/api/v1/candidate-rules");

/** Bills are decided upon in the background: what is shown of them is asked for again until that is through. */
function lookAgain() {
  void queryClient.invalidateQueries({ queryKey: rulesQuery().queryKey });
  for (const pause of [1_000, 4_000, 15_000]) setTimeout(() => void queryClient.invalidateQueries(), pause);
}

export function Candidates({ billId, currency }: { billId: string; currency: string }) {
  const candidates = useQuery(candidatesOf(billId));
  const rules = useQuery(rulesQuery());
  const [counting, setCounting] = useState<Candidate | null>(null);
  const end = api.useMutation("delete", "/api/v1/candidate-rules/{id}", { onSuccess: lookAgain });
  const items = (candidates.data?.items ?? []).filter((one) => one.currency === currency);
  const holding = (rules.data?.items ?? []).filter((rule) => !rule.ended_at);
  const ruleOf = (one: Candidate) => holding.find((rule) => rule.id === one.rule_id);
  if (candidates.isPending)
    return (
      <Card className="mt-3">
        <SkeletonRows label="Loading what may be AI" />
      </Card>
    );
  if (candidates.isError)
    return (
      <Card className="mt-3">
        <Problem error={candidates.error} retry={() => void candidates.refetch()} what="What may be AI" />
      </Card>
    );
  if (items.length === 0) return null;
  return (
    <Card className="mt-3 overflow-clip">
      <CardHead title="May be AI" note="Accelerated instances and vector stores serve other work, too: in no sum of AI until you say so." />
      <Table>
        <thead>
          <tr>
            <Th>What</Th>
            <Th className="hidden sm:table-cell">Where</Th>
            <Th end>Cost</Th>
            <Th end>
              <span className="sr-only">What it counts as</span>
            </Th>
          </tr>
        </thead>
        <tbody className="divide-y">
          {items.map((one) => (
            <tr key={[one.service, one.account_id, one.region, one.instance_type].join(" ")}>
              <Td className="py-2">
                {one.instance_type ?? serviceName(one.service)}
                <span className="block text-xs text-muted">
                  {[one.instance_type ? serviceName(one.service) : "", one.accelerators].filter(Boolean).join(", ")}
                </span>
                <span className="block text-xs text-muted sm:hidden">{[one.account_id, one.region].filter(Boolean).join(", ")}</span>
              </Td>
              <Td className="hidden py-2 text-muted sm:table-cell">
                {one.account_id}
                <span className="block text-xs">{one.region}</span>
              </Td>
              <Td end className="py-2">
                <Amount value={one.cost} currency={one.currency} />
              </Td>
              <Td end className="py-2">
                <Standing candidate={one} rule={ruleOf(one)} onCount={() => setCounting(one)} onEnd={(id) => end.mutate({ params: { path: { id } } })} busy={end.isPending} />
              </Td>
            </tr>
          ))}
        </tbody>
      </Table>
      {items.length === LIMIT ? <p className="border-t px-4 py-2.5 text-sm text-muted">The {LIMIT} dearest; the bill has more.</p> : null}
      {end.error ? <Problem error={end.error} /> : null}
      <CountDialog key={counting ? [counting.service, counting.account_id, counting.region, counting.instance_type].join(" ") : ""} candidate={counting} onClose={() => setCounting(null)} />
    </Card>
  );
}

function Standing({
  candidate,
  rule,
  onCount,
  onEnd,
  busy,
}: {
  candidate: Candidate;
  rule: CandidateRule | undefined;
  onCount: () => void;
  onEnd: (id: string) => void;
  busy: boolean;
}) {
  if (!candidate.rule_id)
    return (
      <Button size="small" onClick={onCount} aria-label={`Count ${candidate.instance_type ?? candidate.service} in ${candidate.account_id} as AI`}>
        Count as AI
      </Button>
    );
  return (
    <span className="flex flex-col items-end gap-1">
      <WordBadge word={COUNTS} />
      {rule ? (
        <Button size="small" weight="quiet" className="-mr-2.5" busy={busy} onClick={() => onEnd(rule.id)} title={`Ends the rule for ${scopeInWords(rule)}`}>
          End the rule
        </Button>
      ) : null}
    </span>
  );
}

const PARTS = [
  { name: "instance_type", label: "Only this instance type" },
  { name: "account_id", label: "Only this account" },
  { name: "region", label: "Only this region" },
] as const;

function CountDialog({ candidate, onClose }: { candidate: Candidate | null; onClose: () => void }) {
  const [only, setOnly] = useState<CandidateScope>({ instance_type: true, account_id: true, region: false });
  const create = api.useMutation("post", "/api/v1/candidate-rules", {
    onSuccess: () => {
      lookAgain();
      onClose();
    },
  });
  if (!candidate) return null;
  const scope = narrowed(candidate, only);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: scope });
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="Count as AI"
      description="Here, on every bill that counts, and on those to come. Months that it changes are settled anew."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {PARTS.filter(({ name }) => candidate[name]).map(({ name, label }) => (
          <Tick key={name} label={`${label}: ${candidate[name]}`} checked={only[name]} onChange={({ target }) => setOnly((before) => ({ ...before, [name]: target.checked }))} />
        ))}
        <p className="text-sm text-muted">Counts {scopeInWords(scope)}.</p>
        {create.error ? <Problem error={asApiError(create.error)} /> : null}
        <div className="flex justify-end">
          <Button type="submit" weight="primary" busy={create.isPending}>
            Count as AI
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
