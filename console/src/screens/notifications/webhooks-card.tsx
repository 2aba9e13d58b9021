// The endpoints that events are posted to, signed as Standard Webhooks says.
import { Menu } from "@base-ui/react/menu";
import { useQuery } from "@tanstack/react-query";
import { Ellipsis, Plus, Webhook } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { webhookEndpointsQuery } from "@/api/queries";
import type { WebhookEndpoint } from "@/api/types";
import { endpointWord, kindsInWords } from "@/lib/notice-words";
import { WordBadge } from "@/ui/badge";
import { Button, buttonLook } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { ChangeWebhookDialog, CreateWebhookDialog, renewEndpoints, RollSecretDialog } from "./webhook-dialogs";

const ITEM = "flex cursor-default items-center rounded-lg px-2.5 py-1.5 text-sm outline-none data-[highlighted]:bg-sunken";

type Asked = { what: "change" | "roll" | "remove"; endpoint: WebhookEndpoint } | null;

export function WebhooksCard({ onDeliveries }: { onDeliveries: (id: string) => void }) {
  const endpoints = useQuery({ ...webhookEndpointsQuery(), refetchInterval: 30_000 });
  const [adding, setAdding] = useState(false);
  const [asked, setAsked] = useState<Asked>(null);
  const items = endpoints.data?.items ?? [];
  const close = () => setAsked(null);
  const add = (
    <Button size="small" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
      Add a webhook
    </Button>
  );
  return (
    <Card className="overflow-clip">
      <CardHead title="Webhooks">{items.length > 0 ? add : null}</CardHead>
      {endpoints.isPending ? <SkeletonRows rows={2} label="Loading the webhooks" /> : null}
      {endpoints.isError ? <Problem error={endpoints.error} retry={() => void endpoints.refetch()} /> : null}
      {endpoints.data && items.length === 0 ? (
        <Empty icon={<Webhook />} title="No webhook" action={add}>
          An endpoint of yours is told events as they happen: a budget reached, a bill read, a key made. Each call is signed
          (Standard Webhooks) and tried again until it is answered with success.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <ul className="divide-y border-t">
          {items.map((endpoint) => (
            <EndpointRow key={endpoint.id} endpoint={endpoint} onDeliveries={() => onDeliveries(endpoint.id)} onAsk={(what) => setAsked({ what, endpoint })} />
          ))}
        </ul>
      ) : null}
      <CreateWebhookDialog open={adding} onOpenChange={setAdding} />
      <ChangeWebhookDialog endpoint={asked?.what === "change" ? asked.endpoint : null} onClose={close} />
      <RollSecretDialog endpoint={asked?.what === "roll" ? asked.endpoint : null} onClose={close} />
      <RemoveDialog endpoint={asked?.what === "remove" ? asked.endpoint : null} onClose={close} />
    </Card>
  );
}

function EndpointRow({ endpoint, onDeliveries, onAsk }: { endpoint: WebhookEndpoint; onDeliveries: () => void; onAsk: (what: "change" | "roll" | "remove") => void }) {
  const test = api.useMutation("post", "/api/v1/webhook-endpoints/{id}/test", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: ["get", "/api/v1/webhook-endpoints/{id}/deliveries"] });
      onDeliveries();
    },
  });
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_12rem]">
          <p className="truncate font-medium">{endpoint.name}</p>
          <p className="truncate text-xs text-muted" title={endpoint.kinds.join(", ")}>
            <span className="font-mono">{endpoint.host}</span>, {kindsInWords(endpoint.kinds)}
          </p>
        </div>
        <WordBadge word={endpointWord(endpoint)} />
        <span className="ml-auto flex items-center gap-1">
          <Button weight="quiet" size="small" onClick={onDeliveries} aria-label={`Deliveries to ${endpoint.name}`}>
            Deliveries
          </Button>
          <Button
            weight="quiet"
            size="small"
            busy={test.isPending}
            disabled={Boolean(endpoint.stopped_at)}
            onClick={() => test.mutate({ params: { path: { id: endpoint.id } } })}
            aria-label={`Send a test to ${endpoint.name}`}
          >
            Test
          </Button>
          <Menu.Root modal={false}>
            <Menu.Trigger className={buttonLook("quiet", "icon")} aria-label={`More for ${endpoint.name}`}>
              <Ellipsis className="size-4" aria-hidden />
            </Menu.Trigger>
            <Menu.Portal>
              <Menu.Positioner sideOffset={6} align="end" className="z-50">
                <Menu.Popup className="enters min-w-44 rounded-xl border bg-surface p-1 shadow-xl">
                  <Menu.Item className={ITEM} onClick={() => onAsk("change")}>
                    Change
                  </Menu.Item>
                  <Menu.Item className={ITEM} onClick={() => onAsk("roll")}>
                    Roll the secret
                  </Menu.Item>
                  <Menu.Item className={`${ITEM} text-worse`} onClick={() => onAsk("remove")}>
                    Remove
                  </Menu.Item>
                </Menu.Popup>
              </Menu.Positioner>
            </Menu.Portal>
          </Menu.Root>
        </span>
      </div>
      {endpoint.stopped_at ? (
        <Note tone="worse" className="mt-2">
          Stopped <Moment at={endpoint.stopped_at} />
          {endpoint.stop_reason ? `: ${endpoint.stop_reason}` : ""}. A change starts it again.
        </Note>
      ) : endpoint.failing_since ? (
        <Note tone="caution" className="mt-2">
          No delivery has succeeded since <Moment at={endpoint.failing_since} />. The deliveries say what it answered.
        </Note>
      ) : null}
      {test.error ? <Problem error={test.error} /> : null}
    </li>
  );
}

function RemoveDialog({ endpoint, onClose }: { endpoint: WebhookEndpoint | null; onClose: () => void }) {
  const remove = api.useMutation("delete", "/api/v1/webhook-endpoints/{id}", {
    onSuccess: () => {
      renewEndpoints();
      onClose();
    },
  });
  return (
    <Confirm
      open={endpoint !== null}
      onOpenChange={(open) => {
        if (open) return;
        remove.reset();
        onClose();
      }}
      title={`Remove “${endpoint?.name ?? ""}”?`}
      action="Remove the webhook"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => (endpoint ? remove.mutate({ params: { path: { id: endpoint.id } } }) : undefined)}
    >
      It is told nothing more, and its URL, secret and deliveries are forgotten. This cannot be undone.
    </Confirm>
  );
}
