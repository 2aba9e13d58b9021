// The organisation's own identity provider, and the domains that are the organisation's.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { signInOptionsQuery, singleSignOnQuery } from "@/api/queries";
import type { Role, SingleSignOn, SingleSignOnDomain } from "@/api/types";
import { DOMAIN_STATES, NEWCOMERS, unlinkedInWords } from "@/lib/single-sign-on-words";
import { Badge, WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { CodeBlock } from "@/ui/copy";
import { Confirm, Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Problem, SkeletonRows } from "@/ui/states";
import { Tick } from "@/ui/tick";

const renew = () => void queryClient.invalidateQueries({ queryKey: singleSignOnQuery().queryKey });

export function SingleSignOnCard() {
  const options = useQuery(signInOptionsQuery());
  const local = options.data ? !options.data.clerk : false;
  const all = useQuery({ ...singleSignOnQuery(), enabled: local });
  if (!local) return null;
  return (
    <Card className="overflow-clip">
      <CardHead title="Single sign-on" note="Your people come by your own identity provider (OpenID Connect)" />
      {all.isPending ? <SkeletonRows rows={2} label="Loading single sign-on" /> : null}
      {all.isError ? <Problem error={all.error} retry={() => void all.refetch()} /> : null}
      {all.data ? <ProviderPart all={all.data} /> : null}
      {all.data ? <DomainPart domains={all.data.domains} /> : null}
    </Card>
  );
}

function ProviderPart({ all }: { all: SingleSignOn }) {
  const [editing, setEditing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const remove = api.useMutation("delete", "/api/v1/single-sign-on", {
    onSuccess: () => {
      setRemoving(false);
      renew();
    },
  });
  const provider = all.provider ?? null;
  const proven = all.domains.some((domain) => domain.state !== "pending");
  const unlinked = unlinkedInWords(all.unlinked_members, provider?.required ?? false);
  return (
    <div className="border-t px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_14rem]">
          <p className="font-medium [overflow-wrap:anywhere]">{provider ? provider.issuer : "No provider yet"}</p>
          <p className="text-xs text-muted">
            {provider ? (
              <>
                as {provider.client_id}, changed <Moment at={provider.changed_at} />
              </>
            ) : (
              "Register Costlens there with the address below, then enter what it gave you."
            )}
          </p>
        </div>
        {provider?.required ? <Badge tone="caution">required</Badge> : null}
        {provider && !proven ? <Badge>waits for a domain</Badge> : null}
        <Button size="small" onClick={() => setEditing(true)}>
          {provider ? "Change" : "Set up"}
        </Button>
        {provider ? (
          <Button size="small" weight="danger" onClick={() => setRemoving(true)}>
            Remove
          </Button>
        ) : null}
      </div>
      <div className="mt-3">
        <p className="mb-1 text-sm text-muted">Redirect address, to be registered at your provider</p>
        <CodeBlock wrap label="Redirect address" code={all.redirect_uri} />
      </div>
      {unlinked ? (
        <Note tone="caution" title="Some members are not linked yet" className="mt-3">
          {unlinked}
        </Note>
      ) : null}
      <Dialog
        open={editing}
        onOpenChange={setEditing}
        title="Your identity provider"
        description="It vouches for addresses in domains that you have proven, in this organisation alone, for an hour at a time."
      >
        <ProviderForm all={all} onDone={() => setEditing(false)} />
      </Dialog>
      <Confirm
        open={removing}
        onOpenChange={(open) => {
          if (open) return;
          remove.reset();
          setRemoving(false);
        }}
        title="Remove the provider?"
        action="Remove"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate({})}
      >
        Whoever came by it is signed out at once. Its people stay members; who has no other way in must be invited anew.
      </Confirm>
    </div>
  );
}

function ProviderForm({ all, onDone }: { all: SingleSignOn; onDone: () => void }) {
  const before = all.provider ?? null;
  const [issuer, setIssuer] = useState(before?.issuer ?? "");
  const [clientId, setClientId] = useState(before?.client_id ?? "");
  const [secret, setSecret] = useState("");
  const [role, setRole] = useState<Role>(before?.default_role ?? "viewer");
  const [required, setRequired] = useState(before?.required ?? false);
  const set = api.useMutation("put", "/api/v1/single-sign-on", {
    onSuccess: (changed) => {
      queryClient.setQueryData(singleSignOnQuery().queryKey, changed);
      onDone();
    },
  });
  const problem = set.error ? asApiError(set.error) : null;
  const of = (field: string) => fieldProblem(problem, field);
  const stays = before !== null && before.issuer === issuer.trim() && before.client_id === clientId.trim();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    set.mutate({
      body: {
        issuer: issuer.trim(),
        client_id: clientId.trim(),
        default_role: role,
        required,
        ...(secret.trim() ? { client_secret: secret.trim() } : {}),
      },
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="Issuer"
        type="url"
        required
        maxLength={500}
        placeholder="https://login.example.com"
        help="As the provider writes it, to the last character."
        problem={of("issuer")}
        value={issuer}
        onChange={(event) => setIssuer(event.target.value)}
        autoComplete="off"
      />
      <TextField label="Client id" required maxLength={500} problem={of("client_id")} value={clientId} onChange={(event) => setClientId(event.target.value)} autoComplete="off" />
      <TextField
        label="Client secret"
        type="password"
        required={!stays}
        maxLength={1000}
        help={stays ? "Leave it empty to keep the one before." : "Sealed, and never shown again."}
        problem={of("client_secret")}
        value={secret}
        onChange={(event) => setSecret(event.target.value)}
        autoComplete="off"
      />
      <Labelled label="Newcomers become" help="Whoever was invited becomes what the invitation says.">
        <Choose wide label="Newcomers become" value={role} options={NEWCOMERS} onChange={setRole} />
      </Labelled>
      <Tick
        label="Members with addresses in proven domains must come this way"
        note="Owners may come as ever, so that nobody is shut out when the provider is away."
        checked={required}
        onChange={(event) => setRequired(event.target.checked)}
      />
      {before && !stays ? (
        <Note tone="caution" title="This is another provider">
          It takes the place of the one before, and whoever came by that one is signed out.
        </Note>
      ) : null}
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" weight="primary" busy={set.isPending}>
          {before ? "Change" : "Set up"}
        </Button>
      </div>
    </form>
  );
}

function DomainPart({ domains }: { domains: SingleSignOnDomain[] }) {
  const [name, setName] = useState("");
  const add = api.useMutation("post", "/api/v1/single-sign-on/domains", {
    onSuccess: () => {
      setName("");
      renew();
    },
  });
  const problem = add.error ? asApiError(add.error) : null;
  const nameProblem = fieldProblem(problem, "domain");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate({ body: { domain: name.trim() } });
  };
  return (
    <>
      <ul className="divide-y border-t">
        {domains.map((domain) => (
          <DomainRow key={domain.id} domain={domain} />
        ))}
      </ul>
      <form onSubmit={submit} className="flex flex-wrap items-end gap-2 border-t px-4 py-3">
        <TextField
          label="E-mail domain"
          className="flex-[1_1_14rem]"
          required
          maxLength={255}
          placeholder="example.com"
          problem={nameProblem}
          value={name}
          onChange={(event) => setName(event.target.value)}
          autoComplete="off"
        />
        <Button type="submit" busy={add.isPending} disabled={name.trim() === ""}>
          Add
        </Button>
      </form>
      {problem && !nameProblem ? <Problem error={problem} /> : null}
    </>
  );
}

function DomainRow({ domain }: { domain: SingleSignOnDomain }) {
  const check = api.useMutation("post", "/api/v1/single-sign-on/domains/{id}/check", { onSettled: renew });
  const remove = api.useMutation("delete", "/api/v1/single-sign-on/domains/{id}", { onSettled: renew });
  const of = { params: { path: { id: domain.id } } };
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_14rem]">
          <p className="truncate font-medium">{domain.domain}</p>
          <p className="text-xs text-muted">
            {domain.checked_at ? (
              <>
                looked for <Moment at={domain.checked_at} />
                {domain.state === "failing" && domain.seen_at ? (
                  <>
                    , last seen <Moment at={domain.seen_at} />
                  </>
                ) : null}
              </>
            ) : (
              "not looked for yet"
            )}
          </p>
        </div>
        <WordBadge word={DOMAIN_STATES[domain.state]} />
        <Button size="small" busy={check.isPending} onClick={() => check.mutate(of)} aria-label={`Check ${domain.domain} now`}>
          Check now
        </Button>
        <Button size="small" weight="quiet" busy={remove.isPending} onClick={() => remove.mutate(of)} aria-label={`Remove ${domain.domain}`}>
          Remove
        </Button>
      </div>
      {domain.state === "proven" ? null : (
        <div className="mt-3 flex flex-col gap-2 text-sm">
          <p className="text-muted">
            Add this TXT record to the DNS at <code className="font-mono text-xs">{domain.record_name}</code> and leave it there, then check.
          </p>
          <CodeBlock wrap label={`TXT record of ${domain.domain}`} code={domain.record} />
        </div>
      )}
      {check.data?.state === "pending" ? (
        <p role="status" className="mt-2 text-sm text-muted">
          The record is not there yet. New records take minutes to be seen everywhere.
        </p>
      ) : null}
      {check.error ? <Problem error={check.error} /> : null}
      {remove.error ? <Problem error={remove.error} /> : null}
    </li>
  );
}
