// The providers that calls may go out to.
import { useQuery } from "@tanstack/react-query";
import { Plug, Plus } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { connectionsQuery, providersQuery } from "@/api/queries";
import type { Connection } from "@/api/types";
import { fullDay } from "@/lib/time";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { AddConnectionDialog } from "./add-dialog";

export function ConnectionsScreen() {
  const connections = useQuery(connectionsQuery());
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Connection | null>(null);
  const items = (connections.data?.items ?? []).toSorted((a, b) => Number(Boolean(a.disabled_at)) - Number(Boolean(b.disabled_at)));
  return (
    <>
      <PageHead title="Connections" note="The built-in model demo/echo needs none.">
        <Button weight="primary" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
          Connect a provider
        </Button>
      </PageHead>
      {connections.isPending ? (
        <Card>
          <SkeletonRows rows={4} label="Loading the connections" />
        </Card>
      ) : null}
      {connections.isError ? (
        <Card>
          <Problem error={connections.error} retry={() => void connections.refetch()} />
        </Card>
      ) : null}
      {connections.data && items.length === 0 ? (
        <Card>
          <Empty
            icon={<Plug />}
            title="No provider connected"
            action={
              <Button weight="primary" onClick={() => setAdding(true)}>
                Connect a provider
              </Button>
            }
          >
            Add a vendor key, and the same Costlens key reaches that provider&apos;s models. The vendor key is encrypted
            on arrival and never shown again.
          </Empty>
        </Card>
      ) : null}
      <ul className="grid gap-3 md:grid-cols-2 xl:grid-cols-3">
        {items.map((connection) => (
          <ConnectionCard key={connection.id} connection={connection} onRemove={() => setRemoving(connection)} />
        ))}
      </ul>
      <AddConnectionDialog open={adding} onOpenChange={setAdding} />
      <RemoveDialog removing={removing} onClose={() => setRemoving(null)} />
    </>
  );
}

function ConnectionCard({ connection, onRemove }: { connection: Connection; onRemove: () => void }) {
  const { zone } = usePreferences();
  const providers = useQuery(providersQuery());
  const provider = providers.data?.items.find((one) => one.name === connection.provider);
  const title = provider?.display_name ?? connection.provider;
  return (
    <li className="flex flex-col rounded-card border bg-surface p-4 shadow-pop">
      <div className="flex items-center gap-3">
        <span className="grid size-9 shrink-0 place-items-center rounded-lg bg-sunken text-base font-semibold text-muted" aria-hidden>
          {title.charAt(0).toUpperCase()}
        </span>
        <div className="min-w-0">
          <h2 className="truncate font-semibold">{connection.name}</h2>
          <p className="truncate text-sm text-muted">{title}</p>
        </div>
        {connection.disabled_at ? (
          <span className="ml-auto">
            <Badge tone="worse">Disabled</Badge>
          </span>
        ) : null}
      </div>
      <dl className="mt-3 grid flex-1 grid-cols-[5rem_minmax(0,1fr)] content-start gap-y-1 text-sm">
        <dt className="text-muted">Address</dt>
        <dd className="truncate font-mono text-xs leading-5">{connection.base_url ?? provider?.default_base_url ?? "the usual one"}</dd>
        <dt className="text-muted">Models</dt>
        <dd className="break-words">{connection.models.length > 0 ? connection.models.join(", ") : "every one that it serves"}</dd>
        <dt className="text-muted">Vendor key</dt>
        <dd>{connection.has_secret ? "stored, encrypted" : "none"}</dd>
        <dt className="text-muted">Since</dt>
        <dd className="num">{fullDay(connection.created_at, zone)}</dd>
      </dl>
      {connection.disabled_at ? null : (
        <div className="mt-3 flex justify-end border-t pt-3">
          <Button weight="danger" size="small" onClick={onRemove} aria-label={`Disable ${connection.name}`}>
            Disable
          </Button>
        </div>
      )}
    </li>
  );
}

function RemoveDialog({ removing, onClose }: { removing: Connection | null; onClose: () => void }) {
  const remove = api.useMutation("delete", "/api/v1/connections/{id}", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: connectionsQuery().queryKey });
      onClose();
    },
  });
  return (
    <Confirm
      open={removing !== null}
      onOpenChange={(open) => {
        if (open) return;
        remove.reset();
        onClose();
      }}
      title={`Disable “${removing?.name ?? ""}”?`}
      action="Disable the connection"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => (removing ? remove.mutate({ params: { path: { id: removing.id } } }) : undefined)}
    >
      No call goes through it from now on. What was spent stays in the ledger. This cannot be undone; a new connection can
      take its place.
    </Confirm>
  );
}
