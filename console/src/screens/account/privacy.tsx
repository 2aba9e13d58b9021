// What is kept of prompts and answers, for how long, by which keys not at all, and who else may read it.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { keysQuery, privacyQuery, sessionQuery } from "@/api/queries";
import type { BodyRetention, Key, Privacy } from "@/api/types";
import { isAtLeast } from "@/lib/people-words";
import { foreverNote, isShorter, purgeInWords, RETENTION_WORDS, RETENTIONS } from "@/lib/privacy-words";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Confirm } from "@/ui/dialog";
import { Labelled } from "@/ui/field";
import { Problem, SkeletonRows } from "@/ui/states";
import { Tick } from "@/ui/tick";
import { SupportCard } from "./support";

export function PrivacyView() {
  const privacy = useQuery(privacyQuery());
  const { data: session } = useQuery(sessionQuery());
  return (
    <div className="flex flex-col gap-4">
      <Card>
        <CardHead title="Prompts and answers" note="Nothing is kept until you say so. What calls used and cost is always in the ledger." />
        {privacy.isPending ? <SkeletonRows rows={4} label="Loading what is kept" /> : null}
        {privacy.isError ? <Problem error={privacy.error} retry={() => void privacy.refetch()} /> : null}
        {privacy.data ? <Wishes privacy={privacy.data} /> : null}
      </Card>
      <KeysCard ofAccount={privacy.data?.zero_retention ?? false} />
      {session && isAtLeast(session.role, "admin") ? <SupportCard /> : null}
      {privacy.data ? <HostsCard hosts={privacy.data.private_hosts} /> : null}
    </div>
  );
}

function Wishes({ privacy }: { privacy: Privacy }) {
  const [shorter, setShorter] = useState<BodyRetention | null>(null);
  const save = api.useMutation("patch", "/api/v1/privacy", {
    onSuccess: (saved) => {
      queryClient.setQueryData(privacyQuery().queryKey, saved);
      setShorter(null);
    },
  });
  const change = (body: Partial<Pick<Privacy, "capture_bodies" | "zero_retention" | "redact" | "body_retention">>) => save.mutate({ body });
  const choose = (wanted: BodyRetention) => {
    if (isShorter(wanted, privacy.body_retention)) setShorter(wanted);
    else if (wanted !== privacy.body_retention) change({ body_retention: wanted });
  };
  return (
    <div className="flex flex-col gap-4 px-4 pb-4">
      <Tick
        label="Keep prompts and answers"
        note="Sealed under a key of each API key's own before they reach a disk. Administrators and owners can read them in a request's details; each time is written down. Programs cannot."
        checked={privacy.capture_bodies}
        disabled={save.isPending}
        onChange={(event) => change({ capture_bodies: event.target.checked })}
      />
      <Tick
        label="Zero Data Retention"
        note="Nothing of prompts and answers is kept, of any key and whatever else is said here. It holds for every call from a second after."
        checked={privacy.zero_retention}
        disabled={save.isPending}
        onChange={(event) => change({ zero_retention: event.target.checked })}
      />
      <Tick
        label="Take out personal data"
        note="E-mail addresses, phone numbers, US social security numbers, payment cards and IPv4 addresses are replaced before anything is kept. Providers get the original. It is a help, not a proof: names and free descriptions stay."
        checked={privacy.redact}
        disabled={save.isPending}
        onChange={(event) => change({ redact: event.target.checked })}
      />
      <div className="max-w-xs">
        <Labelled label="Kept for" help={privacy.body_retention === "forever" ? foreverNote(privacy) : "After that a nightly purge removes them; what went is written down."}>
          <Choose
            wide
            label="Kept for"
            value={privacy.body_retention}
            options={RETENTIONS.map((value) => ({ value, label: RETENTION_WORDS[value], note: value === "forever" ? foreverNote(privacy) : undefined }))}
            onChange={choose}
          />
        </Labelled>
      </div>
      {save.error && !shorter ? <Problem error={save.error} /> : null}
      <ShorterDialog
        wanted={shorter}
        busy={save.isPending}
        error={save.error}
        onClose={() => {
          save.reset();
          setShorter(null);
        }}
        onConfirm={(wanted) => change({ body_retention: wanted })}
      />
    </div>
  );
}

interface ShorterProps {
  wanted: BodyRetention | null;
  busy: boolean;
  error: unknown;
  onClose: () => void;
  onConfirm: (wanted: BodyRetention) => void;
}

/** Says what the next purge removes, before the time is made shorter. */
function ShorterDialog({ wanted, busy, error, onClose, onConfirm }: ShorterProps) {
  const purge = useQuery({
    ...api.queryOptions("get", "/api/v1/privacy/purge-preview", { params: { query: { body_retention: wanted ?? "7d" } } }),
    enabled: wanted !== null,
    staleTime: 0,
  });
  return (
    <Confirm
      open={wanted !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={`Keep prompts and answers for ${wanted ? RETENTION_WORDS[wanted].toLowerCase() : ""} only?`}
      action="Keep them for less time"
      busy={busy || purge.isPending}
      error={error ?? purge.error}
      onConfirm={() => (wanted && purge.data ? onConfirm(wanted) : undefined)}
    >
      {purge.data ? purgeInWords(purge.data) : "Looking at what the next purge would remove…"}
    </Confirm>
  );
}

function KeysCard({ ofAccount }: { ofAccount: boolean }) {
  const keys = useQuery(keysQuery());
  const [destroying, setDestroying] = useState<Key | null>(null);
  const refresh = () => void queryClient.invalidateQueries({ queryKey: keysQuery().queryKey });
  const update = api.useMutation("patch", "/api/v1/keys/{id}", { onSuccess: refresh });
  const living = (keys.data?.items ?? []).filter((key) => !key.revoked_at || key.last_used_at);
  if (living.length === 0) return null;
  return (
    <Card>
      <CardHead title="By key" note={ofAccount ? "The whole account has Zero Data Retention" : "A key can have Zero Data Retention of its own"} />
      {update.error ? <Problem error={update.error} /> : null}
      <ul className="divide-y border-t">
        {living.map((key) => (
          <li key={key.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
            <span className="min-w-0 flex-1 truncate font-medium">
              {key.name}
              {key.revoked_at ? <span className="ml-2 text-xs font-normal text-muted">revoked</span> : null}
            </span>
            <Tick
              label="Zero Data Retention"
              aria-label={`Zero Data Retention of ${key.name}`}
              checked={key.zero_retention}
              disabled={update.isPending}
              onChange={(event) => update.mutate({ params: { path: { id: key.id } }, body: { zero_retention: event.target.checked } })}
            />
            <Button weight="quiet" size="small" className="hover:!text-worse max-sm:-ml-2.5" aria-label={`Destroy what is kept of ${key.name}`} onClick={() => setDestroying(key)}>
              Destroy what is kept
            </Button>
          </li>
        ))}
      </ul>
      <DestroyDialog of={destroying} onClose={() => setDestroying(null)} />
    </Card>
  );
}

function DestroyDialog({ of, onClose }: { of: Key | null; onClose: () => void }) {
  const destroy = api.useMutation("delete", "/api/v1/keys/{id}/bodies", { onSuccess: onClose });
  return (
    <Confirm
      open={of !== null}
      onOpenChange={(open) => {
        if (open) return;
        destroy.reset();
        onClose();
      }}
      title={`Destroy what is kept of “${of?.name ?? ""}”?`}
      action="Destroy it"
      busy={destroy.isPending}
      error={destroy.error}
      onConfirm={() => (of ? destroy.mutate({ params: { path: { id: of.id } } }) : undefined)}
    >
      The key that seals this API key’s prompts and answers is destroyed: nobody can read them any more, from this moment on and in no backup either. The API key goes on
      working, and what its calls used and cost stays. This cannot be undone.
    </Confirm>
  );
}

/** Private addresses that the operator of this service lets connections lead to. */
function HostsCard({ hosts }: { hosts: string[] }) {
  return (
    <Card className="p-4">
      <h2 className="text-base font-semibold">Private hosts</h2>
      <p className="mt-1 text-sm text-muted">
        {hosts.length === 0
          ? "The operator of this service lets connections lead to public addresses alone."
          : "The operator of this service lets connections of every account lead to these private hosts, without https too; to no others."}
      </p>
      {hosts.length > 0 ? (
        <ul className="mt-2 flex flex-wrap gap-2 font-mono text-xs">
          {hosts.map((host) => (
            <li key={host} className="rounded-md bg-sunken px-2 py-1">
              {host}
            </li>
          ))}
        </ul>
      ) : null}
    </Card>
  );
}
