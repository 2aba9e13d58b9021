// What one endpoint was told, how it answered, and the way to tell it again.
import { useQuery } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { BY_CURSOR, webhookEndpointsQuery } from "@/api/queries";
import type { WebhookDelivery } from "@/api/types";
import { DELIVERY_STATES, eventKind } from "@/lib/notice-words";
import { duration } from "@/lib/time";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Sheet } from "@/ui/dialog";
import { More } from "@/ui/more";
import { Moment } from "@/ui/moment";
import { Empty, Problem, SkeletonRows } from "@/ui/states";

export function DeliveriesSheet({ endpointId, onClose }: { endpointId: string | undefined; onClose: () => void }) {
  const endpoints = useQuery({ ...webhookEndpointsQuery(), enabled: endpointId !== undefined });
  const endpoint = endpoints.data?.items.find(({ id }) => id === endpointId);
  return (
    <Sheet open={endpointId !== undefined} onClose={onClose} title={endpoint?.name ?? "Webhook"} description="Deliveries, newest first">
      {endpointId ? <Deliveries endpointId={endpointId} isStopped={Boolean(endpoint?.stopped_at)} /> : null}
    </Sheet>
  );
}

function Deliveries({ endpointId, isStopped }: { endpointId: string; isStopped: boolean }) {
  const deliveries = api.useInfiniteQuery(
    "get",
    "/api/v1/webhook-endpoints/{id}/deliveries",
    { params: { path: { id: endpointId }, query: { limit: 25 } } },
    { ...BY_CURSOR, refetchInterval: 3_000 },
  );
  const items = deliveries.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="-mx-5 -mt-4">
      {deliveries.isPending ? <SkeletonRows label="Loading the deliveries" /> : null}
      {deliveries.isError && !deliveries.data ? <Problem error={deliveries.error} retry={() => void deliveries.refetch()} /> : null}
      {deliveries.data && items.length === 0 ? (
        <Empty icon={<Send />} title="Nothing was told yet">
          The next event that this endpoint wants appears here, with what it answered. “Test” sends one now.
        </Empty>
      ) : null}
      <ul className="divide-y">
        {items.map((delivery) => (
          <DeliveryRow key={delivery.event_id} delivery={delivery} endpointId={endpointId} isStopped={isStopped} />
        ))}
      </ul>
      <More shown={items.length} {...deliveries} />
    </div>
  );
}

function DeliveryRow({ delivery, endpointId, isStopped }: { delivery: WebhookDelivery; endpointId: string; isStopped: boolean }) {
  const retry = api.useMutation("post", "/api/v1/webhook-endpoints/{id}/deliveries/{event_id}/retry", {
    onSettled: () => void queryClient.invalidateQueries({ queryKey: ["get", "/api/v1/webhook-endpoints/{id}/deliveries"] }),
  });
  return (
    <li className="px-5 py-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-mono text-xs" title={eventKind(delivery.kind)}>
          {delivery.kind}
        </span>
        <WordBadge word={DELIVERY_STATES[delivery.state]} />
        <span className="ml-auto text-xs text-muted">
          <Moment at={delivery.created_at} />
        </span>
      </div>
      <dl className="mt-1.5 grid grid-cols-[6rem_minmax(0,1fr)] gap-y-0.5 text-sm">
        <dt className="text-muted">Attempts</dt>
        <dd className="num">
          {delivery.attempts}
          {delivery.last_at ? (
            <>
              , the last <Moment at={delivery.last_at} />
            </>
          ) : null}
          {delivery.next_at && delivery.state === "pending" ? (
            <>
              , the next <Moment at={delivery.next_at} ahead />
            </>
          ) : null}
        </dd>
        {delivery.attempts > 0 ? (
          <>
            <dt className="text-muted">Answer</dt>
            <dd className="num min-w-0">
              {delivery.last_status === null || delivery.last_status === undefined ? "none" : `HTTP ${delivery.last_status}`}
              {delivery.last_millis === null || delivery.last_millis === undefined ? "" : ` after ${duration(delivery.last_millis)}`}
              {delivery.last_code ? <span className="text-worse">, {delivery.last_code}</span> : null}
            </dd>
          </>
        ) : null}
      </dl>
      {delivery.last_answer ? (
        <pre
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls must be reachable by keyboard
          tabIndex={0}
          aria-label="How the answer began"
          className="mt-2 max-h-32 overflow-auto whitespace-pre-wrap break-all rounded-lg bg-sunken p-2.5 font-mono text-xs"
        >
          {delivery.last_answer}
        </pre>
      ) : null}
      {retry.error ? <Problem error={retry.error} /> : null}
      <div className="mt-2 flex items-center gap-2">
        <Button
          size="small"
          busy={retry.isPending}
          disabled={isStopped}
          title={isStopped ? "The endpoint is stopped; a change starts it again." : undefined}
          onClick={() => retry.mutate({ params: { path: { id: endpointId, event_id: delivery.event_id } } })}
        >
          Send again
        </Button>
        <CopyButton text={delivery.event_id} label="Copy the event's id">
          webhook-id
        </CopyButton>
      </div>
    </li>
  );
}
