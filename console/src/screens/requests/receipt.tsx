// The receipt of one call: what was counted, at which price, from which source, and how sure we are.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "@/api/client";
import { useKeyNames } from "@/api/queries";
import type { Claim, RequestRow } from "@/api/types";
import { readFormula, repricedInWords } from "@/lib/receipt";
import { duration, fullTime } from "@/lib/time";
import { tokenClassLabel } from "@/lib/tokens";
import { BASIS_WORDS, ORIGIN_WORDS, OUTCOME_WORDS } from "@/lib/words";
import { usePreferences } from "@/shell/preferences";
import { Amount } from "@/ui/amount";
import { WordBadge } from "@/ui/badge";
import { CopyButton } from "@/ui/copy";
import { Problem, Skeleton } from "@/ui/states";
import { TokenBar, TokenLegend } from "@/ui/token-bar";
import { BodySection } from "./body";
import { SettledSection } from "./settled";

/** A row by its id: the one at hand, or asked for when a link leads here. What its source says of an imported call is told
 *  of one call alone, so that such a row is always asked for. */
export function useRequest(id: string, row: RequestRow | undefined) {
  const known = row?.origin === "proxy" ? row : undefined;
  return useQuery(
    api.queryOptions("get", "/api/v1/requests/{id}", { params: { path: { id } } }, { initialData: known, staleTime: 10_000 }),
  );
}

export function Receipt({ id, known }: { id: string; known: RequestRow | undefined }) {
  const { data: row, error, refetch } = useRequest(id, known);
  if (error && !row) return <Problem error={error} retry={() => void refetch()} />;
  if (!row) {
    return (
      <div role="status" aria-label="Loading the receipt" className="flex flex-col gap-3">
        <Skeleton className="h-10 w-40" />
        <Skeleton className="h-32" />
        <Skeleton className="h-48" />
      </div>
    );
  }
  return <ReceiptOf row={row} />;
}

function ReceiptOf({ row }: { row: RequestRow }) {
  const { zone } = usePreferences();
  const keyName = useKeyNames();
  const outcome = OUTCOME_WORDS[row.outcome];
  const basis = BASIS_WORDS[row.cost_basis];
  return (
    <div className="flex flex-col gap-5">
      <div>
        <div className="flex flex-wrap items-center gap-2">
          <p className="mr-1 text-2xl font-semibold tracking-tight" data-testid="receipt-cost">
            <Amount value={row.cost} currency={row.currency} exact />
          </p>
          <WordBadge word={basis} />
          <WordBadge word={outcome} />
        </div>
        <p className="mt-1.5 text-muted">
          {basis.meaning} {row.outcome === "completed" ? "" : outcome.meaning}
        </p>
      </div>

      <Lines row={row} />
      <SettledSection row={row} />

      <section aria-label="Tokens" className="rounded-card border p-4">
        <h3 className="mb-3 flex items-center text-sm font-medium">
          Tokens <span className="ml-2 text-xs font-normal text-muted">no token stands in two classes</span>
        </h3>
        <TokenBar usage={row.usage} className="mb-3 w-full" />
        <TokenLegend usage={row.usage} />
      </section>

      <section aria-label="Call" className="rounded-card border p-4">
        <h3 className="mb-3 text-sm font-medium">Call</h3>
        <dl className="grid grid-cols-[8rem_minmax(0,1fr)] gap-x-3 gap-y-1.5 text-sm">
          <Fact name="Time">{`${fullTime(row.started_at, zone)} ${zone}`}</Fact>
          <Fact name="Took">
            {duration(row.duration_ms)}
            {row.first_byte_ms === null || row.first_byte_ms === undefined ? "" : `, first byte after ${duration(row.first_byte_ms)}`}
          </Fact>
          <Fact name="Seen by">{ORIGIN_WORDS[row.origin].label}</Fact>
          <Fact name="Key">{keyName(row.api_key_id)}</Fact>
          <Fact name="Provider">{row.provider}</Fact>
          <Fact name="Endpoint" mono>{`${row.endpoint}${row.streamed ? " (streamed)" : ""}`}</Fact>
          <Fact name="Model asked for">{row.model_requested}</Fact>
          <Fact name="Model served">{row.model_served ?? "not told"}</Fact>
          {row.service_tier ? <Fact name="Service tier">{row.service_tier}</Fact> : null}
          {row.region ? <Fact name="Region">{row.region}</Fact> : null}
          {row.origin === "proxy" ? <Fact name="Status">{row.status ?? "no answer"}</Fact> : null}
          {row.error_code ? <Fact name="Error" mono>{row.error_code}</Fact> : null}
          <Id name="Request id" id={row.id} />
          {row.caller_request_id ? <Id name="Caller's id" id={row.caller_request_id} /> : null}
          {row.provider_request_id ? <Id name="Provider's id" id={row.provider_request_id} /> : null}
          {row.response_id ? <Id name="Answer's id" id={row.response_id} /> : null}
        </dl>
      </section>
      {row.claim ? <ClaimSection claim={row.claim} currency={row.currency} /> : null}
      <BodySection row={row} />
    </div>
  );
}

/** What the source of an imported call says of it. It stands beside the receipt, and nothing is reckoned with it. */
function ClaimSection({ claim, currency }: { claim: Claim; currency: string }) {
  const { zone } = usePreferences();
  return (
    <section aria-label="What its source says" className="rounded-card border p-4" data-testid="receipt-claim">
      <h3 className="mb-3 text-sm font-medium">What its source says</h3>
      <dl className="grid grid-cols-[8rem_minmax(0,1fr)] gap-x-3 gap-y-1.5 text-sm">
        <Fact name="Handed in">{`${fullTime(claim.imported_at, zone)} ${zone}`}</Fact>
        <Id name="Its own id" id={claim.source_id} />
        {claim.claimed_cost ? (
          <Fact name="Cost, it says">
            <Amount value={claim.claimed_cost} currency={currency} exact />
          </Fact>
        ) : null}
        {claim.user ? <Fact name="User">{claim.user}</Fact> : null}
        {claim.end_user ? <Fact name="End user">{claim.end_user}</Fact> : null}
        {claim.team ? <Fact name="Team">{claim.team}</Fact> : null}
        {claim.service ? <Fact name="Service">{claim.service}</Fact> : null}
        {claim.tags.length > 0 ? <Fact name="Tags">{claim.tags.join(", ")}</Fact> : null}
      </dl>
    </section>
  );
}

function Lines({ row }: { row: RequestRow }) {
  const { formula, source, effective, price_id: priceId, note, repriced } = row.price;
  const { zone } = usePreferences();
  const receipt = formula && row.cost ? readFormula(formula, row.cost) : null;
  return (
    <section aria-label="How the cost was computed" className="rounded-card border p-4">
      <h3 className="mb-2 text-sm font-medium">{row.cost === null || row.cost === undefined ? "Why there is no amount" : "How it adds up"}</h3>
      {receipt ? (
        <table className="num w-full text-sm">
          <thead className="sr-only">
            <tr>
              <th scope="col">Class</th>
              <th scope="col">Count and price</th>
              <th scope="col">Amount</th>
            </tr>
          </thead>
          <tbody>
            {receipt.lines.map((line) => (
              <tr key={`${line.what}${line.rate}`}>
                <td className="py-1 pr-3">{tokenClassLabel(line.what)}</td>
                <td className="py-1 pr-3 text-right text-muted">
                  {Number(line.count).toLocaleString("en-US")} × ${line.rate}
                  {line.per === "one" ? "" : line.per === "million" ? " / M" : " / 1,000"}
                </td>
                <td className="py-1 text-right">
                  <Amount value={line.amount} currency={row.currency} exact />
                </td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr className="border-t font-medium">
              <td className="pt-2" colSpan={2}>
                {receipt.addsUp ? "Adds up to the last digit" : "Sum of the lines"}
              </td>
              <td className="pt-2 text-right">
                <Amount value={receipt.total} currency={row.currency} exact />
              </td>
            </tr>
          </tfoot>
        </table>
      ) : null}
      {receipt?.terms ? <p className="mt-2 text-sm text-muted">Price for: {receipt.terms}</p> : null}
      {receipt?.lines.length === 0 ? <p className="mt-1 text-sm text-muted">The provider counted nothing.</p> : null}
      {formula && !receipt ? <p className="break-words rounded-lg bg-sunken p-2.5 font-mono text-xs leading-5">{formula}</p> : null}
      {note ? <p className="mt-2 text-sm text-muted">{note}</p> : null}
      {repriced ? (
        <p className="mt-2 text-sm text-muted" data-testid="receipt-repriced">
          {repricedInWords(repriced, fullTime(repriced.at, zone))}{" "}
          {repriced.first_cost ? (
            <>
              It first cost <Amount value={repriced.first_cost} currency={row.currency} exact />.
            </>
          ) : null}
        </p>
      ) : null}
      {!formula && !note ? <p className="text-sm text-muted">The ledger holds no formula for this call.</p> : null}
      {source || priceId ? (
        <dl className="mt-3 grid grid-cols-[8rem_minmax(0,1fr)] gap-x-3 gap-y-1 border-t pt-3 text-sm">
          {priceId ? <Fact name="Price" mono>{priceId}</Fact> : null}
          {source ? <Fact name="Source">{source}</Fact> : null}
          {effective ? <Fact name="Holds since">{effective}</Fact> : null}
        </dl>
      ) : null}
    </section>
  );
}

function Fact({ name, mono, children }: { name: string; mono?: boolean; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className={mono ? "break-all font-mono text-xs leading-5" : "break-words"}>{children}</dd>
    </>
  );
}

function Id({ name, id }: { name: string; id: string }) {
  return (
    <Fact name={name} mono>
      <span className="inline-flex items-center gap-1">
        {id}
        <CopyButton text={id} label={`Copy: ${name}`} className="-my-1" />
      </span>
    </Fact>
  );
}
