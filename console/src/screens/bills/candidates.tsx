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
import { Confirm, Dialog } from "@/ui/dialog";
import { Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { Tick } from "@/ui/tick";
import { type CandidateScope, isUndecided, matches, narrowed, scopeInWords } from "./candidate-scope";
import { serviceName } from "./names";

/** The most rows of a currency that are asked for. */
const LIMIT = 100;
const COUNTS = { label: "Counts as AI", meaning: "By a rule of yours: on every bill that counts, and on those to come.", tone: "good" } as const;
const DECIDING = { label: "Being decided", meaning: "A rule came or went, and the bills are gone through by it.", tone: "neutral" } as const;

const candidatesOf = (billId: string) =>
  api.queryOptions("get", "/api/v1/bills/{id}/candidates", { params: { path: { id: billId }, query: { limit: LIMIT } } });
const rulesQuery = () => api.queryOptions("get", "/api/v1/candidate-rules");

/** How often at most a decision is looked for, and the pause between: five minutes. */
const TRIES = 200;
const PAUSE_MS = 1_500;

/** After a rule came or went: waits until the bill is decided by it. Then whatever is added up from bills is another sum. */
async function decided(billId: string) {
  for (let tries = 0; tries < TRIES; tries++) {
    const [rules, candidates] = await Promise.all([
      queryClient.fetchQuery({ ...rulesQuery(), staleTime: 0 }),
      queryClient.fetchQuery({ ...candidatesOf(billId), staleTime: 0 }),
    ]);
    const holding = rules.items.filter((rule) => !rule.ended_at);
    if (!candidates.items.some((one) => isUndecided(one, holding))) break;
    await new Promise((resume) => setTimeout(resume, PAUSE_MS));
  }
  await queryClient.invalidateQueries();
}

export function Candidates({ billId, currency, isCounting }: { billId: string; currency: string; isCounting: boolean }) {
  const rules = useQuery(rulesQuery());
  const holding = (rules.data?.items ?? []).filter((rule) => !rule.ended_at);
  const isPending = (items: Candidate[]) => isCounting && rules.isSuccess && items.some((one) => isUndecided(one, holding));
  const candidates = useQuery({
    ...candidatesOf(billId),
    // Bills are decided upon in the background: they are looked at again until that is through.
    refetchInterval: ({ state }) => (isPending(state.data?.items ?? []) ? PAUSE_MS : false),
  });
  const all = candidates.data?.items ?? [];
  const changed = () => void decided(billId);
  const [counting, setCounting] = useState<Candidate | null>(null);
  const items = all.filter((one) => one.currency === currency);
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
      <CardHead title="May be AI" note="Serves other work, too, and is in no sum of AI until you say so." />
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
            <tr key={keyOf(one)}>
              <Td className="py-2">
                {one.instance_type ?? serviceName(one.service)}
                <span className="block text-xs text-muted">
                  {[one.instance_type ? serviceName(one.service) : "", one.accelerators].filter(Boolean).join(", ")}
                </span>
                <span className="block text-xs text-muted sm:hidden">{whereOf(one)}</span>
              </Td>
              <Td className="hidden py-2 text-muted sm:table-cell">
                {one.account_id}
                <span className="block text-xs">{one.region}</span>
              </Td>
              <Td end className="py-2">
                <Amount value={one.cost} currency={one.currency} />
              </Td>
              <Td end className="py-2">
                <Standing candidate={one} isDeciding={isCounting && rules.isSuccess && isUndecided(one, holding)} onCount={isCounting ? () => setCounting(one) : undefined} />
              </Td>
            </tr>
          ))}
        </tbody>
      </Table>
      {items.length === LIMIT ? <p className="border-t px-4 py-2.5 text-sm text-muted">The {LIMIT} dearest; the bill has more.</p> : null}
      {rules.isError ? <Problem error={rules.error} retry={() => void rules.refetch()} what="The rules" /> : null}
      {isCounting ? <Rules rules={holding} onEnded={changed} /> : null}
      <CountDialog key={counting ? keyOf(counting) : ""} candidate={counting} holding={holding} onMade={changed} onClose={() => setCounting(null)} />
    </Card>
  );
}

const keyOf = (one: Candidate) => [one.service, one.account_id, one.region, one.instance_type].join(" ");
const whereOf = (one: Candidate) => [one.account_id, one.region].filter(Boolean).join(", ");

function Standing({ candidate, isDeciding, onCount }: { candidate: Candidate; isDeciding: boolean; onCount: (() => void) | undefined }) {
  if (isDeciding) return <WordBadge word={DECIDING} />;
  if (candidate.rule_id) return <WordBadge word={COUNTS} />;
  if (!onCount) return null;
  return (
    <Button size="small" onClick={onCount} aria-label={`Count ${candidate.instance_type ?? serviceName(candidate.service)} in ${whereOf(candidate)} as AI`}>
      Count as AI
    </Button>
  );
}

/** The rules that hold, on whichever bill they count something. */
function Rules({ rules, onEnded }: { rules: CandidateRule[]; onEnded: () => void }) {
  const [ending, setEnding] = useState<CandidateRule | null>(null);
  const end = api.useMutation("delete", "/api/v1/candidate-rules/{id}", {
    onSuccess: () => {
      setEnding(null);
      onEnded();
    },
  });
  if (rules.length === 0) return null;
  return (
    <div className="border-t px-4 py-3 text-sm">
      <p className="font-medium">Your rules, for every bill</p>
      <ul className="mt-1 divide-y">
        {rules.map((rule) => (
          <li key={rule.id} className="flex flex-wrap items-center gap-3 py-1.5">
            <span className="min-w-0 flex-1 [overflow-wrap:anywhere]">{scopeInWords(rule)}</span>
            <Button size="small" weight="quiet" className="-mr-2.5" onClick={() => setEnding(rule)} aria-label={`End the rule for ${scopeInWords(rule)}`}>
              End
            </Button>
          </li>
        ))}
      </ul>
      <Confirm
        open={ending !== null}
        onOpenChange={(open) => {
          if (open) return;
          end.reset();
          setEnding(null);
        }}
        title="End the rule?"
        action="End the rule"
        busy={end.isPending}
        error={end.error}
        onConfirm={() => (ending ? end.mutate({ params: { path: { id: ending.id } } }) : undefined)}
      >
        {ending ? `${scopeInWords(ending)}: in no sum of AI any more, unless another rule counts it. Months that this changes are settled anew.` : ""}
      </Confirm>
    </div>
  );
}

const PARTS = [
  { name: "instance_type", label: "Only this instance type" },
  { name: "account_id", label: "Only this account" },
  { name: "region", label: "Only this region" },
] as const;

function CountDialog({ candidate, holding, onMade, onClose }: { candidate: Candidate | null; holding: CandidateRule[]; onMade: () => void; onClose: () => void }) {
  const [only, setOnly] = useState<CandidateScope>({ instance_type: true, account_id: true, region: false });
  const create = api.useMutation("post", "/api/v1/candidate-rules", {
    onSuccess: () => {
      onMade();
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
      description="On every bill that counts, and on those to come. Months that it changes are settled anew."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {PARTS.filter(({ name }) => candidate[name]).map(({ name, label }) => (
          <Tick key={name} label={`${label}: ${candidate[name]}`} checked={only[name]} onChange={({ target }) => setOnly((before) => ({ ...before, [name]: target.checked }))} />
        ))}
        <p className="text-sm text-muted">Counts {scopeInWords(scope)}.</p>
        {create.error ? <Problem error={asApiError(create.error)} /> : null}
        <div className="flex justify-end">
          <Button type="submit" weight="primary" busy={create.isPending} disabled={holding.some((rule) => matches(candidate, rule))}>
            Count as AI
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
