// Adds and changes endpoints, and shows a signing secret a single time.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { eventKindsQuery, webhookEndpointsQuery } from "@/api/queries";
import type { WebhookEndpoint } from "@/api/types";
import { eventKind } from "@/lib/notice-words";
import { Button } from "@/ui/button";
import { CodeBlock } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem, Skeleton } from "@/ui/states";
import { Tick } from "@/ui/tick";
import { UrlField } from "./slack-card";

export const renewEndpoints = () => void queryClient.invalidateQueries({ queryKey: webhookEndpointsQuery().queryKey });

const ONCE = "This secret is shown once. It is kept sealed, to sign with; nobody can show it again.";

export function CreateWebhookDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [secret, setSecret] = useState<string | null>(null);
  const close = () => {
    onOpenChange(false);
    setSecret(null);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next ? undefined : close())}
      held={secret !== null}
      title={secret ? "The signing secret" : "Add a webhook"}
      description={secret ? ONCE : "Events are posted there as JSON, signed with a secret that you get once."}
    >
      {secret ? <SecretOnce secret={secret} onStored={close} /> : <CreateForm onCreated={setSecret} />}
    </Dialog>
  );
}

function SecretOnce({ secret, onStored }: { secret: string; onStored: () => void }) {
  return (
    <div className="flex flex-col gap-4">
      <CodeBlock code={secret} label="The signing secret" wrap />
      <p className="text-sm text-muted">
        Give it to the receiver: any Standard Webhooks library checks <code className="font-mono text-xs">webhook-id</code>,{" "}
        <code className="font-mono text-xs">webhook-timestamp</code> and <code className="font-mono text-xs">webhook-signature</code> with it.
      </p>
      <div className="flex justify-end">
        <Button weight="primary" onClick={onStored}>
          I have stored it
        </Button>
      </div>
    </div>
  );
}

function CreateForm({ onCreated }: { onCreated: (secret: string) => void }) {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [kinds, setKinds] = useState<string[]>([]);
  const create = api.useMutation("post", "/api/v1/webhook-endpoints", {
    onSuccess: (created) => {
      renewEndpoints();
      onCreated(created.secret);
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { name: name.trim(), url: url.trim(), ...(kinds.length > 0 ? { kinds } : {}) } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <TextField
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        placeholder="finance-bot"
        problem={fieldProblem(problem, "name")}
        required
        maxLength={100}
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this name
        autoFocus
      />
      <TextField
        label="URL"
        type="url"
        value={url}
        onChange={(event) => setUrl(event.target.value)}
        placeholder="https://hooks.example.com/costlens"
        help="https and public. It is encrypted on arrival; its host alone is shown afterwards."
        problem={fieldProblem(problem, "url")}
        required
        maxLength={4000}
        spellCheck={false}
      />
      <KindFields value={kinds} onChange={setKinds} problem={fieldProblem(problem, "kinds")} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={name.trim() === "" || url.trim() === ""}>
          Add the webhook
        </Button>
      </div>
    </form>
  );
}

/** No tick means every kind, also those to come. */
function KindFields({ value, onChange, problem }: { value: string[]; onChange: (kinds: string[]) => void; problem?: string }) {
  const kinds = useQuery(eventKindsQuery());
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">Events</legend>
      {kinds.isPending ? <Skeleton className="h-24" /> : null}
      {kinds.isError ? <Problem error={kinds.error} retry={() => void kinds.refetch()} /> : null}
      <div className="grid gap-x-4 gap-y-1.5 sm:grid-cols-2">
        {(kinds.data?.items ?? []).map(({ name }) => (
          <Tick
            key={name}
            label={<span className="font-mono text-xs">{name}</span>}
            note={eventKind(name)}
            checked={value.includes(name)}
            onChange={(event) => onChange(event.target.checked ? [...value, name] : value.filter((one) => one !== name))}
          />
        ))}
      </div>
      <p className={problem ? "mt-2 text-xs text-worse" : "mt-2 text-xs text-muted"}>
        {problem ?? (value.length === 0 ? "None ticked: every kind is told, also those to come." : "Only what is ticked is told.")}
      </p>
    </fieldset>
  );
}

export function ChangeWebhookDialog({ endpoint, onClose }: { endpoint: WebhookEndpoint | null; onClose: () => void }) {
  return (
    <Dialog
      open={endpoint !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={`Change “${endpoint?.name ?? ""}”`}
      description={endpoint?.stopped_at ? "Any change starts it again." : undefined}
    >
      {endpoint ? <ChangeForm endpoint={endpoint} onDone={onClose} /> : null}
    </Dialog>
  );
}

function ChangeForm({ endpoint, onDone }: { endpoint: WebhookEndpoint; onDone: () => void }) {
  const [name, setName] = useState(endpoint.name);
  const [url, setUrl] = useState("");
  const [kinds, setKinds] = useState(endpoint.kinds);
  const update = api.useMutation("patch", "/api/v1/webhook-endpoints/{id}", {
    onSuccess: () => {
      renewEndpoints();
      onDone();
    },
  });
  const problem = update.error ? asApiError(update.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const body = { name: name.trim(), kinds, ...(url.trim() ? { url: url.trim() } : {}) };
    update.mutate({ params: { path: { id: endpoint.id } }, body });
  };
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4" autoComplete="off">
      <TextField label="Name" value={name} onChange={(event) => setName(event.target.value)} problem={fieldProblem(problem, "name")} required maxLength={100} />
      <UrlField label="Another URL" value={url} onChange={setUrl} help={`Empty: it stays the present one at ${endpoint.host}.`} problem={fieldProblem(problem, "url")} />
      <KindFields value={kinds} onChange={setKinds} problem={fieldProblem(problem, "kinds")} />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={update.isPending} disabled={name.trim() === ""}>
          {endpoint.stopped_at ? "Save and start again" : "Save"}
        </Button>
      </div>
    </form>
  );
}

export function RollSecretDialog({ endpoint, onClose }: { endpoint: WebhookEndpoint | null; onClose: () => void }) {
  const roll = api.useMutation("post", "/api/v1/webhook-endpoints/{id}/secret");
  const secret = roll.data?.secret ?? null;
  const close = () => {
    roll.reset();
    onClose();
  };
  return (
    <Dialog
      open={endpoint !== null}
      onOpenChange={(open) => (open ? undefined : close())}
      held={secret !== null}
      title={secret ? "The new signing secret" : `Roll the secret of “${endpoint?.name ?? ""}”?`}
      description={secret ? ONCE : "Calls are signed with a new secret from that moment, and no longer with the old one: change the receiver at once. A stopped webhook starts again."}
    >
      {secret ? (
        <SecretOnce secret={secret} onStored={close} />
      ) : (
        <>
          {roll.error ? <Problem error={roll.error} /> : null}
          <div className="flex justify-end gap-2">
            <Button onClick={close}>Cancel</Button>
            <Button weight="primary" busy={roll.isPending} onClick={() => (endpoint ? roll.mutate({ params: { path: { id: endpoint.id } } }) : undefined)}>
              Roll the secret
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
