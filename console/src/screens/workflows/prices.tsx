// The price catalogue, for whoever runs the service: how the fetching goes, what must be looked at, and corrections.
import { useQuery } from "@tanstack/react-query";
import { BadgeDollarSign } from "lucide-react";
import { type ReactNode, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { BY_CURSOR, priceStatusQuery } from "@/api/queries";
import type { PriceChanges, PriceReview } from "@/api/types";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Moment } from "@/ui/moment";
import { More } from "@/ui/more";
import { Note } from "@/ui/note";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { Corrections } from "./price-corrections";
import { changesInWords, reasonInWords, REVIEW_STATES } from "./price-words";
import { ReasonDialog } from "./reason-dialog";

const EVERY_MS = 10_000;

export function Prices() {
  return (
    <>
      <Status />
      <Reviews />
      <Versions />
      <Corrections />
    </>
  );
}

function Status() {
  const status = useQuery({ ...priceStatusQuery(), refetchInterval: EVERY_MS });
  if (status.isPending) return <SkeletonRows rows={1} label="Loading how the prices are" />;
  if (status.isError) return <Problem error={status.error} retry={() => void status.refetch()} />;
  const { price_version: version, source, good_at: goodAt, outcome, problem } = status.data;
  const held = version === 0 ? "Calls are priced by the prices that came with the program" : `Calls are priced by version ${version}`;
  if (!source) {
    return (
      <Note title={held}>
        Set <code className="font-mono text-xs">COSTLENS_PRICES_URL</code> to have a price document fetched every six hours.
      </Note>
    );
  }
  return (
    <Note tone={outcome === "failed" ? "worse" : outcome === "needs_review" ? "caution" : "good"} title={held}>
      {outcome === "failed" ? `The last try failed, and the last good prices stay: ${problem ?? "it does not say why"}. ` : ""}
      {outcome === "needs_review" ? "A newer document waits below for somebody to look at it. " : ""}
      Fetched from {source}
      {goodAt ? (
        <>
          , last well <Moment at={goodAt} />
        </>
      ) : null}
      .
    </Note>
  );
}

function Changes({ changes, children }: { changes: PriceChanges; children?: ReactNode }) {
  return (
    <details>
      <summary className="cursor-pointer text-sm">{changesInWords(changes)}</summary>
      {changes.review.length > 0 ? (
        <ul className="mt-1.5 list-disc pl-5 text-sm" aria-label="To be looked at">
          {changes.review.map((reason) => (
            <li key={reasonInWords(reason)}>{reasonInWords(reason)}</li>
          ))}
        </ul>
      ) : null}
      {changes.changed.length > 0 ? (
        <ul className="num mt-1.5 text-xs text-muted" aria-label="Figures">
          {changes.changed.map((change) => (
            <li key={`${change.price_id} ${change.row} ${change.class}`}>
              {change.price_id} {change.class.replaceAll("_", " ")}, {change.row}: {change.old ?? "none"} → {change.new ?? "none"}
            </li>
          ))}
        </ul>
      ) : null}
      {changes.moved.length > 0 ? (
        <ul className="mt-1.5 text-xs text-muted" aria-label="Names">
          {changes.moved.map((moved) => (
            <li key={`${moved.provider} ${moved.name}`}>
              {moved.provider}: {moved.name} was {moved.old ?? "unpriced"}, is {moved.new ?? "unpriced"}
            </li>
          ))}
        </ul>
      ) : null}
      {changes.added.length > 0 ? <p className="mt-1.5 break-words text-xs text-muted">New: {changes.added.join(", ")}</p> : null}
      {changes.removed.length > 0 ? <p className="mt-1.5 break-words text-xs text-muted">Gone: {changes.removed.join(", ")}</p> : null}
      {children}
    </details>
  );
}

function Reviews() {
  const reviews = api.useInfiniteQuery("get", "/api/v1/operator/price-reviews", { params: { query: { limit: 20 } } }, { ...BY_CURSOR, refetchInterval: EVERY_MS });
  const [deciding, setDeciding] = useState<{ review: PriceReview; publish: boolean } | null>(null);
  const items = reviews.data?.pages.flatMap((page) => page.items) ?? [];
  if (reviews.data && items.length === 0) return null;
  return (
    <Card className="overflow-clip">
      <CardHead title="To be looked at" note="Documents in which something looks wrong" />
      {reviews.isPending ? <SkeletonRows rows={2} label="Loading the reviews" /> : null}
      {reviews.isError && !reviews.data ? <Problem error={reviews.error} retry={() => void reviews.refetch()} /> : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Fetched</Th>
              <Th>State</Th>
              <Th>Changes</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((review) => (
              <tr key={review.id} className="align-top">
                <Td className="whitespace-nowrap py-2.5">
                  <Moment at={review.fetched_at} />
                </Td>
                <Td className="py-2.5">
                  <WordBadge word={REVIEW_STATES[review.state]} />
                  {review.version ? <p className="mt-1 text-xs text-muted">version {review.version}</p> : null}
                </Td>
                <Td className="min-w-40 py-2.5">
                  <Changes changes={review.changes} />
                  {review.state === "needs_review" ? (
                    <span className="mt-2.5 flex flex-wrap gap-2">
                      <Button size="small" weight="primary" onClick={() => setDeciding({ review, publish: true })}>
                        Publish
                      </Button>
                      <Button size="small" weight="danger" onClick={() => setDeciding({ review, publish: false })}>
                        Refuse
                      </Button>
                    </span>
                  ) : null}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <More shown={items.length} {...reviews} />
      <DecideDialog deciding={deciding} onClose={() => setDeciding(null)} />
    </Card>
  );
}

function DecideDialog({ deciding, onClose }: { deciding: { review: PriceReview; publish: boolean } | null; onClose: () => void }) {
  const onSuccess = () => {
    void queryClient.invalidateQueries();
    onClose();
  };
  const approve = api.useMutation("post", "/api/v1/operator/price-reviews/{id}/approve", { onSuccess });
  const refuse = api.useMutation("post", "/api/v1/operator/price-reviews/{id}/refuse", { onSuccess });
  const publish = deciding?.publish === true;
  const act = publish ? approve : refuse;
  return (
    <ReasonDialog
      open={deciding !== null}
      title={publish ? "Publish these prices?" : "Refuse these prices?"}
      description={publish ? "Every proxy prices by them within seconds. Calls that have a price keep it." : "The very document is not asked about again; another one is."}
      action={publish ? "Publish" : "Refuse"}
      danger={!publish}
      busy={act.isPending}
      error={act.error}
      onClose={() => {
        act.reset();
        onClose();
      }}
      onReason={(reason) => (deciding ? act.mutate({ params: { path: { id: deciding.review.id } }, body: { reason } }) : undefined)}
    />
  );
}

function Versions() {
  const versions = api.useInfiniteQuery("get", "/api/v1/operator/price-versions", { params: { query: { limit: 20 } } }, BY_CURSOR);
  const items = versions.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card className="overflow-clip">
      <CardHead title="Versions" note="Published prices; none of them ever changes" />
      {versions.isPending ? <SkeletonRows rows={2} label="Loading the versions" /> : null}
      {versions.isError && !versions.data ? <Problem error={versions.error} retry={() => void versions.refetch()} /> : null}
      {versions.data && items.length === 0 ? (
        <Empty icon={<BadgeDollarSign />} title="No version is published">
          Calls are priced by the prices that came with the program.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <Table>
          <thead>
            <tr>
              <Th>Version</Th>
              <Th>Published</Th>
              <Th>Changes</Th>
              <Th className="hidden md:table-cell">Passed by</Th>
            </tr>
          </thead>
          <tbody className="divide-y">
            {items.map((version) => (
              <tr key={version.version} className="align-top">
                <Td className="num py-2.5">{version.version}</Td>
                <Td className="whitespace-nowrap py-2.5">
                  <Moment at={version.published_at} />
                </Td>
                <Td className="min-w-40 py-2.5">
                  <Changes changes={version.changes}>
                    <p className="mt-1.5 break-all text-xs text-muted">
                      {version.source}, SHA-256 <span className="font-mono">{version.sha256}</span>
                    </p>
                  </Changes>
                </Td>
                <Td className="hidden py-2.5 md:table-cell">{version.review_id ? "a person" : "the checks"}</Td>
              </tr>
            ))}
          </tbody>
        </Table>
      ) : null}
      <More shown={items.length} {...versions} />
    </Card>
  );
}
