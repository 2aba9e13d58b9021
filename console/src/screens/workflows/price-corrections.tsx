// Calls whose published price was corrected: counted first, then, by the operator's word, priced anew.
import { useQuery } from "@tanstack/react-query";
import { Calculator } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { BY_CURSOR } from "@/api/queries";
import type { PriceCorrection, PriceCorrectionSums } from "@/api/types";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { CORRECTION_STATES, dayStart } from "./price-words";
import { ReasonDialog } from "./reason-dialog";

const EVERY_MS = 3_000;

export function Corrections() {
  const corrections = api.useInfiniteQuery("get", "/api/v1/operator/price-corrections", { params: { query: { limit: 20 } } }, { ...BY_CURSOR, refetchInterval: EVERY_MS });
  const [asking, setAsking] = useState(false);
  const [acting, setActing] = useState<{ correction: PriceCorrection; run: boolean } | null>(null);
  const items = corrections.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="overflow-clip">
      <div className="flex items-start justify-between gap-3 pr-4">
        <CardHead title="Corrections" note="Calls keep their price unless you have it corrected here" />
        <Button className="mt-3" size="small" onClick={() => setAsking(true)}>
          Correct a price
        </Button>
      </div>
      {corrections.isPending ? <SkeletonRows rows={2} label="Loading the corrections" /> : null}
      {corrections.isError && !corrections.data ? <Problem error={corrections.error} retry={() => void corrections.refetch()} /> : null}
      {corrections.data && items.length === 0 ? (
        <Empty icon={<Calculator />} title="No price was corrected">
          When a published price turns out wrong and a newer version has it right, calls of a period can be priced anew: counted first, then changed.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Price</Th>
              <Th className="hidden lg:table-cell">Calls from</Th>
              <Th className="hidden lg:table-cell">Until</Th>
              <Th>State</Th>
              <Th className="hidden sm:table-cell">What it does</Th>
              <Th end>
                <span className="sr-only">Actions</span>
              </Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((correction) => (
              <tr key={correction.id} className="align-top">
                <Td className="py-2.5">
                  <span className="font-mono text-xs leading-5">{correction.price_id}</span>
                  <div className="sm:hidden">
                    <Sums correction={correction} />
                  </div>
                </Td>
                <Td className="hidden whitespace-nowrap py-2.5 lg:table-cell">
                  <Moment at={correction.from} />
                </Td>
                <Td className="hidden whitespace-nowrap py-2.5 lg:table-cell">
                  <Moment at={correction.to} />
                </Td>
                <Td className="py-2.5">
                  <WordBadge word={CORRECTION_STATES[correction.state]} />
                </Td>
                <Td className="hidden min-w-48 py-2.5 sm:table-cell">
                  <Sums correction={correction} />
                </Td>
                <Td end className="py-2.5">
                  <span className="flex flex-wrap justify-end gap-2">
                    {correction.state === "previewed" ? (
                      <Button size="small" weight="primary" onClick={() => setActing({ correction, run: true })}>
                        Run
                      </Button>
                    ) : null}
                    {correction.state === "previewed" || correction.state === "previewing" ? (
                      <Button size="small" onClick={() => setActing({ correction, run: false })}>
                        Cancel
                      </Button>
                    ) : null}
                  </span>
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <More shown={items.length} {...corrections} />
      <Dialog open={asking} onOpenChange={setAsking} title="Correct a price" description="Calls are counted by the newest version of the prices first. Nothing changes until you run it.">
        <AskForm onClose={() => setAsking(false)} />
      </Dialog>
      <ActDialog acting={acting} onClose={() => setActing(null)} />
    </Card>
  );
}

function Sums({ correction }: { correction: PriceCorrection }) {
  const isMoving = correction.state === "previewing" || correction.state === "running";
  const details = useQuery(
    api.queryOptions("get", "/api/v1/operator/price-corrections/{id}", { params: { path: { id: correction.id } } }, { refetchInterval: isMoving ? EVERY_MS : false }),
  );
  if (!details.data) return <span className="text-muted">…</span>;
  const { preview, done } = details.data;
  const begun = correction.state === "running" || correction.state === "done";
  return <SumsInWords sums={begun ? done : preview} word={begun ? "changed" : "would change"} />;
}

function SumsInWords({ sums, word }: { sums: PriceCorrectionSums; word: string }) {
  return (
    <>
      <span className="block">
        {sums.changed.toLocaleString("en-US")} {sums.changed === 1 ? "call" : "calls"} {word}: <Amount value={sums.old_cost} /> → <Amount value={sums.new_cost} />
      </span>
      <span className="block text-xs text-muted">
        {sums.tenants_done.toLocaleString("en-US")} of {sums.tenants.toLocaleString("en-US")} {sums.tenants === 1 ? "tenant" : "tenants"} done
      </span>
    </>
  );
}

function AskForm({ onClose }: { onClose: () => void }) {
  const [provider, setProvider] = useState("");
  const [model, setModel] = useState("");
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const [reason, setReason] = useState("");
  const ask = api.useMutation("post", "/api/v1/operator/price-corrections", {
    onSuccess: () => {
      void queryClient.invalidateQueries();
      onClose();
    },
  });
  const [from, to] = [dayStart(first), dayStart(last)];
  const wrong = (text: string, day: string | null) => (text !== "" && day === null ? "a day, as 2026-11-01" : undefined);
  const isWhole = provider.trim() !== "" && model.trim() !== "" && reason.trim() !== "" && from !== null && to !== null && from < to;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isWhole) ask.mutate({ body: { provider: provider.trim(), model: model.trim(), from, to, reason: reason.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid grid-cols-2 gap-4">
        <TextField label="Provider" value={provider} placeholder="openai" onChange={(event) => setProvider(event.target.value)} required autoComplete="off" />
        <TextField label="Model" value={model} placeholder="gpt-4o" onChange={(event) => setModel(event.target.value)} required autoComplete="off" />
        <TextField label="First day (UTC)" value={first} placeholder="2026-11-01" problem={wrong(first, from)} onChange={(event) => setFirst(event.target.value)} required autoComplete="off" />
        <TextField label="First day after (UTC)" value={last} placeholder="2026-11-15" problem={wrong(last, to)} onChange={(event) => setLast(event.target.value)} required autoComplete="off" />
      </div>
      <TextField label="Why" value={reason} onChange={(event) => setReason(event.target.value)} help="Stays with the record." required maxLength={500} autoComplete="off" />
      {ask.error ? <Problem error={ask.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Close</Button>
        <Button type="submit" weight="primary" busy={ask.isPending} disabled={!isWhole}>
          Count
        </Button>
      </div>
    </form>
  );
}

function ActDialog({ acting, onClose }: { acting: { correction: PriceCorrection; run: boolean } | null; onClose: () => void }) {
  const onSuccess = () => {
    void queryClient.invalidateQueries();
    onClose();
  };
  const run = api.useMutation("post", "/api/v1/operator/price-corrections/{id}/run", { onSuccess });
  const cancel = api.useMutation("post", "/api/v1/operator/price-corrections/{id}/cancel", { onSuccess });
  const isRun = acting?.run === true;
  const act = isRun ? run : cancel;
  return (
    <ReasonDialog
      open={acting !== null}
      title={isRun ? "Price these calls anew?" : "Let this correction be?"}
      description={isRun ? "Each call keeps what it cost first, and each account's audit log tells it. A price is put right again only by another correction." : "Nothing was changed by it."}
      action={isRun ? "Run" : "Let it be"}
      danger={isRun}
      busy={act.isPending}
      error={act.error}
      onClose={() => {
        act.reset();
        onClose();
      }}
      onReason={(reason) => (acting ? act.mutate({ params: { path: { id: acting.correction.id } }, body: { reason } }) : undefined)}
    />
  );
}
