// Creates a key, shows its secret a single time and then waits beside the person for the first call to arrive.
import { ChevronRight } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { keysQuery } from "@/api/queries";
import type { CreatedKey, KeyScope, NewKey } from "@/api/types";
import { DURABILITY_WORDS, HANGUP_WORDS, STREAM_USAGE_WORDS } from "@/lib/words";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Problem } from "@/ui/states";
import { endOf, KeyLifeFields, type Life, USUAL_SCOPES } from "./key-life";
import { SecretView } from "./secret-view";

export type Policies = Required<Pick<NewKey, "hangup_policy" | "stream_usage" | "durability">>;

const DEFAULTS: Policies = { hangup_policy: "drain", stream_usage: "inject", durability: "spool" };

export function optionsOf<T extends string>(words: Record<T, { label: string; meaning: string }>) {
  return (Object.keys(words) as T[]).map((value) => ({ value, label: words[value].label, note: words[value].meaning }));
}

export function PolicyFields({ value, onChange }: { value: Policies; onChange: (policies: Policies) => void }) {
  return (
    <div className="flex flex-col gap-3">
      <Labelled label="When the client hangs up" help={HANGUP_WORDS[value.hangup_policy].meaning}>
        <Choose
          wide
          label="When the client hangs up"
          value={value.hangup_policy}
          options={optionsOf(HANGUP_WORDS)}
          onChange={(hangup_policy) => onChange({ ...value, hangup_policy })}
        />
      </Labelled>
      <Labelled label="Usage of OpenAI streams" help={STREAM_USAGE_WORDS[value.stream_usage].meaning}>
        <Choose
          wide
          label="Usage of OpenAI streams"
          value={value.stream_usage}
          options={optionsOf(STREAM_USAGE_WORDS)}
          onChange={(stream_usage) => onChange({ ...value, stream_usage })}
        />
      </Labelled>
      <Labelled label="An answer is finished once the record is in" help={DURABILITY_WORDS[value.durability].meaning}>
        <Choose
          wide
          label="Durability"
          value={value.durability}
          options={optionsOf(DURABILITY_WORDS)}
          onChange={(durability) => onChange({ ...value, durability })}
        />
      </Labelled>
    </div>
  );
}

export function CreateKeyDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [created, setCreated] = useState<CreatedKey | null>(null);
  const [stored, setStored] = useState(false);
  const close = () => {
    onOpenChange(false);
    setCreated(null);
    setStored(false);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next ? undefined : close())}
      held={created !== null && !stored}
      wide={created !== null}
      title={created ? `Key “${created.key.name}”` : "Create a key"}
      description={stored ? "The secret is gone from this page." : created ? "This secret is shown once. Only its hash is kept; nobody can show it again." : "One key per application or environment keeps the ledger readable."}
    >
      {created ? <SecretView created={created} stored={stored} onStored={() => setStored(true)} onDone={close} /> : <CreateForm onCreated={setCreated} />}
    </Dialog>
  );
}

function CreateForm({ onCreated }: { onCreated: (created: CreatedKey) => void }) {
  const [name, setName] = useState("");
  const [policies, setPolicies] = useState(DEFAULTS);
  const [scopes, setScopes] = useState<KeyScope[]>(USUAL_SCOPES);
  const [life, setLife] = useState<Life>("never");
  const create = api.useMutation("post", "/api/v1/keys", {
    onSuccess: (created) => {
      void queryClient.invalidateQueries({ queryKey: keysQuery().queryKey });
      onCreated(created);
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const nameProblem = fieldProblem(problem, "name");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const expires_at = endOf(life, Date.now());
    create.mutate({ body: { name: name.trim(), ...policies, scopes, ...(expires_at ? { expires_at } : {}) } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        placeholder="checkout-agent"
        problem={nameProblem}
        required
        maxLength={100}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this name
        autoFocus
      />
      <details className="group rounded-lg border px-3 py-2.5">
        <summary className="flex cursor-pointer list-none items-center gap-1.5 rounded text-sm font-medium">
          <ChevronRight className="size-4 text-muted transition-transform group-open:rotate-90" aria-hidden />
          What it may do, and for how long
        </summary>
        <div className="flex flex-col gap-3 pt-3">
          <KeyLifeFields scopes={scopes} onScopes={setScopes} life={life} onLife={setLife} />
        </div>
      </details>
      <details className="group rounded-lg border px-3 py-2.5">
        <summary className="flex cursor-pointer list-none items-center gap-1.5 rounded text-sm font-medium">
          <ChevronRight className="size-4 text-muted transition-transform group-open:rotate-90" aria-hidden />
          How calls are recorded
        </summary>
        <div className="pt-3">
          <PolicyFields value={policies} onChange={setPolicies} />
        </div>
      </details>
      {problem && !nameProblem ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={name.trim() === "" || scopes.length === 0}>
          Create the key
        </Button>
      </div>
    </form>
  );
}
