// The keys of the tenant: who may send calls, and what each was last used for.
import { useQuery } from "@tanstack/react-query";
import { Link, useLocation, useNavigate } from "@tanstack/react-router";
import { Ban, KeyRound, Plus, RefreshCw, Tag } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { keyLabelsQuery, keysQuery, membersQuery } from "@/api/queries";
import type { Key, KeyLabel } from "@/api/types";
import { labelsInWords } from "@/lib/labels";
import { ago, fullDay, until } from "@/lib/time";
import { DURABILITY_WORDS, HANGUP_WORDS } from "@/lib/words";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Confirm } from "@/ui/dialog";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { hasLeft } from "./shown-to";
import { hintOf } from "./hint";
import { CreateKeyDialog } from "./create-dialog";
import { LabelsDialog } from "./labels-dialog";
import { RollDialog } from "./roll-dialog";

export function KeysScreen() {
  const keys = useQuery({ ...keysQuery(), refetchInterval: 10_000 });
  const { hash } = useLocation();
  const navigate = useNavigate();
  const creating = hash === "new";
  const setCreating = (open: boolean) => void navigate({ to: "/keys", hash: open ? "new" : "", replace: true });
  const [revoking, setRevoking] = useState<Key | null>(null);
  const [rolling, setRolling] = useState<Key | null>(null);
  const [labelling, setLabelling] = useState<Key | null>(null);
  const labels = useQuery(keyLabelsQuery()).data?.items ?? [];

  const items = keys.data?.items ?? [];
  return (
    <>
      <PageHead title="Keys" note="Applications sign their calls with a key; the ledger keeps its costs apart.">
        <Button weight="primary" onClick={() => setCreating(true)} icon={<Plus className="size-4" aria-hidden />}>
          Create a key
        </Button>
      </PageHead>
      <Card className="overflow-clip">
        {keys.isPending ? <SkeletonRows label="Loading the keys" /> : null}
        {keys.isError ? <Problem error={keys.error} retry={() => void keys.refetch()} /> : null}
        {keys.data && items.length === 0 ? (
          <Empty
            icon={<KeyRound />}
            title="No keys yet"
            action={
              <Button weight="primary" onClick={() => setCreating(true)}>
                Create the first key
              </Button>
            }
          >
            A key lets an application send its calls through Costlens. Its secret is shown once.
          </Empty>
        ) : null}
        {items.length > 0 ? <KeyTable items={items} labels={labels} onRevoke={setRevoking} onRoll={setRolling} onLabel={setLabelling} /> : null}
      </Card>
      <CreateKeyDialog open={creating} onOpenChange={setCreating} />
      <LabelsDialog labelling={labelling} labels={labels} onClose={() => setLabelling(null)} />
      <RollDialog rolling={rolling} onClose={() => setRolling(null)} />
      <RevokeDialog revoking={revoking} onClose={() => setRevoking(null)} />
    </>
  );
}

interface KeyTableProps {
  items: Key[];
  labels: KeyLabel[];
  onRevoke: (key: Key) => void;
  onRoll: (key: Key) => void;
  onLabel: (key: Key) => void;
}

function KeyTable({ items, labels, onRevoke, onRoll, onLabel }: KeyTableProps) {
  const { zone } = usePreferences();
  const now = useNow(10_000);
  const members = useQuery(membersQuery()).data?.items;
  return (
    <Table>
      <thead>
        <tr>
          <Th>Name</Th>
          <Th className="hidden sm:table-cell">Key</Th>
          <Th>Last used</Th>
          <Th className="hidden lg:table-cell">On hang-up</Th>
          <Th className="hidden lg:table-cell">Durability</Th>
          <Th className="hidden md:table-cell">Created</Th>
          <Th end>
            <span className="sr-only">Actions</span>
          </Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((key) => (
          <tr key={key.id} className={cx("h-12", key.revoked_at && "text-muted")}>
            <Td className="max-w-36 sm:max-w-56">
              <Link
                to="/requests"
                search={{ api_key_id: key.id }}
                className={cx("block truncate rounded font-medium hover:underline", key.revoked_at ? "" : "hover:text-accent-ink")}
              >
                {key.name}
              </Link>
              <span className="block truncate text-xs text-muted">{labelsInWords(labels.filter(({ api_key_id }) => api_key_id === key.id))}</span>
            </Td>
            <Td className="hidden font-mono text-xs sm:table-cell">{hintOf(key)}</Td>
            <Td className="whitespace-nowrap">
              {key.revoked_at ? (
                <Badge tone="worse">Revoked</Badge>
              ) : key.expires_at && Date.parse(key.expires_at) <= now ? (
                <Badge tone="worse">Expired</Badge>
              ) : (
                <>
                  {key.last_used_at ? ago(key.last_used_at, now, zone) : <span className="text-muted">never</span>}
                  <KeyNotes item={key} now={now} zone={zone} left={hasLeft(key, members)} />
                </>
              )}
            </Td>
            <Td className="hidden lg:table-cell" title={HANGUP_WORDS[key.hangup_policy].meaning}>
              {HANGUP_WORDS[key.hangup_policy].label}
            </Td>
            <Td className="hidden lg:table-cell" title={DURABILITY_WORDS[key.durability].meaning}>
              {DURABILITY_WORDS[key.durability].label}
            </Td>
            <Td className="num hidden whitespace-nowrap text-muted md:table-cell">{fullDay(key.created_at, zone)}</Td>
            <Td end>
              <Button weight="quiet" size="small" onClick={() => onLabel(key)} aria-label={`Labels of ${key.name}`} icon={<Tag className="size-4 sm:hidden" aria-hidden />}>
                <span className="hidden sm:inline">Labels</span>
              </Button>
              {key.revoked_at ? null : (
                <span className="inline-flex sm:gap-1">
                  <Button weight="quiet" size="small" onClick={() => onRoll(key)} aria-label={`Roll ${key.name}`} icon={<RefreshCw className="size-4 sm:hidden" aria-hidden />}>
                    <span className="hidden sm:inline">Roll</span>
                  </Button>
                  <Button
                    weight="quiet"
                    size="small"
                    className="hover:!text-worse"
                    onClick={() => onRevoke(key)}
                    aria-label={`Revoke ${key.name}`}
                    icon={<Ban className="size-4 sm:hidden" aria-hidden />}
                  >
                    <span className="hidden sm:inline">Revoke</span>
                  </Button>
                </span>
              )}
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** What is about to end of a key that works, and who still knows it. */
function KeyNotes({ item, now, zone, left }: { item: Key; now: number; zone: string; left: boolean }) {
  const overlaps = item.previous_until && Date.parse(item.previous_until) > now;
  return (
    <>
      {item.expires_at ? <span className="block text-xs text-muted">expires {until(item.expires_at, now, zone)}</span> : null}
      {left ? <span className="block text-xs text-caution">known to somebody who left</span> : null}
      {overlaps ? <span className="block text-xs text-muted">earlier secret ends {until(item.previous_until ?? "", now, zone)}</span> : null}
    </>
  );
}

function RevokeDialog({ revoking, onClose }: { revoking: Key | null; onClose: () => void }) {
  const revoke = api.useMutation("delete", "/api/v1/keys/{id}", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: keysQuery().queryKey });
      onClose();
    },
  });
  return (
    <Confirm
      open={revoking !== null}
      onOpenChange={(open) => {
        if (open) return;
        revoke.reset();
        onClose();
      }}
      title={`Revoke “${revoking?.name ?? ""}”?`}
      action="Revoke the key"
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() => (revoking ? revoke.mutate({ params: { path: { id: revoking.id } } }) : undefined)}
    >
      Calls with this key are refused from now on. What it has spent stays in the ledger. This cannot be undone.
    </Confirm>
  );
}
