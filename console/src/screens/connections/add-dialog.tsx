// Connects a provider: its vendor key is sealed on the server and never shown again.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { connectionsQuery, providersQuery } from "@/api/queries";
import type { Provider } from "@/api/types";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Problem, Skeleton } from "@/ui/states";

export function AddConnectionDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const providers = useQuery({ ...providersQuery(), enabled: open });
  const choices = (providers.data?.items ?? []).filter((provider) => provider.name !== "demo");
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Connect a provider" description="Calls for its models go out through this connection.">
      {providers.isPending ? <Skeleton className="h-40" /> : null}
      {providers.isError ? <Problem error={providers.error} retry={() => void providers.refetch()} /> : null}
      {choices.length > 0 ? <AddForm providers={choices} onDone={() => onOpenChange(false)} /> : null}
    </Dialog>
  );
}

function AddForm({ providers, onDone }: { providers: Provider[]; onDone: () => void }) {
  const [providerName, setProviderName] = useState(providers[0]?.name ?? "");
  const [typedName, setName] = useState<string | null>(null);
  // `name/model` routes to a connection, so a name is one word; the provider's own is a good first one.
  const name = typedName ?? providerName;
  const [secret, setSecret] = useState("");
  const [baseUrl, setBaseUrl] = useState("");
  const [models, setModels] = useState("");
  const provider = providers.find((one) => one.name === providerName);
  const custom = provider !== undefined && !provider.default_base_url;
  const create = api.useMutation("post", "/api/v1/connections", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: connectionsQuery().queryKey });
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const of = (field: string) => fieldProblem(problem, field);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const listed = models.split(/[\s,]+/).filter(Boolean);
    create.mutate({
      body: {
        provider: providerName,
        name: name.trim(),
        ...(baseUrl.trim() ? { base_url: baseUrl.trim() } : {}),
        ...(secret ? { secret } : {}),
        ...(listed.length > 0 ? { models: listed } : {}),
      },
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4" autoComplete="off">
      <Labelled label="Provider">
        <Choose
          wide
          label="Provider"
          value={providerName}
          options={providers.map((one) => ({ value: one.name, label: one.display_name, note: one.default_base_url ?? undefined }))}
          onChange={setProviderName}
        />
      </Labelled>
      <TextField
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        help={`Calls for ${name || "name"}/model go out here. Letters, digits, dots and dashes.`}
        problem={of("name")}
        pattern="[A-Za-z0-9._\\-]+"
        required
        maxLength={64}
      />
      <TextField
        label={provider?.needs_secret ? "Vendor key" : "Vendor key (if it wants one)"}
        type="password"
        value={secret}
        onChange={(event) => setSecret(event.target.value)}
        required={provider?.needs_secret}
        help="Encrypted on arrival and never shown again."
        problem={of("secret")}
        autoComplete="new-password"
      />
      <TextField
        label={provider?.default_base_url ? "Address (if not the usual one)" : "Address"}
        type="url"
        value={baseUrl}
        onChange={(event) => setBaseUrl(event.target.value)}
        placeholder={provider?.default_base_url ?? "https://models.example.com/v1"}
        required={!provider?.default_base_url}
        problem={of("base_url")}
      />
      <TextField
        label={custom ? "Models it serves" : "Models (optional)"}
        value={models}
        onChange={(event) => setModels(event.target.value)}
        help={custom ? "Separated by commas. Plain names of these models find this endpoint." : "Separated by commas. Empty: every model that the provider serves."}
        problem={of("models")}
      />
      {problem && problem.fields.length === 0 ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending}>
          Connect
        </Button>
      </div>
    </form>
  );
}
