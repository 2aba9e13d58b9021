// Asks for an export: what, in which form, of which days, and what narrows it.
import { useQuery } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { CLOUDS, connectionsQuery, keysQuery, modelsQuery, providersQuery } from "@/api/queries";
import type { NewExport } from "@/api/types";
import { EXPORT_FORMATS, EXPORT_KINDS, isFocus, periodOf } from "@/lib/exports";
import { OUTCOMES, type Outcome } from "@/lib/filters";
import { OUTCOME_WORDS } from "@/lib/words";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Segments } from "@/ui/segments";
import { Problem } from "@/ui/states";

/** Stands for no narrowing. */
const EVERY = "";

export interface CreateExportProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onDone: () => void;
}

export function CreateExportDialog({ open, onOpenChange, onDone }: CreateExportProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Ask for an export" description="The file is written by a worker and stands in the list when it is ready.">
      <CreateForm
        onDone={() => {
          onDone();
          onOpenChange(false);
        }}
      />
    </Dialog>
  );
}

function CreateForm({ onDone }: { onDone: () => void }) {
  const [what, setWhat] = useState<NewExport["what"]>("requests");
  const [format, setFormat] = useState<NewExport["format"]>("csv");
  const [first, setFirst] = useState("");
  const [last, setLast] = useState("");
  const [scope, setScope] = useState<Scope>({ key: EVERY, connection: EVERY, provider: EVERY, model: EVERY, outcome: EVERY });
  const create = api.useMutation("post", "/api/v1/exports", { onSuccess: onDone });
  const problem = create.error ? asApiError(create.error) : null;
  const period = periodOf(first, last);
  const narrowed = Object.values(scope).filter((part) => part !== EVERY).length;
  const choose = (next: NewExport["what"]) => {
    setWhat(next);
    if (!isFocus(next) && format === "parquet") setFormat("csv");
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if ("problem" in period) return;
    const body = {
      what,
      format,
      ...period,
      ...(isFocus(what) ? {} : narrowing(scope, what === "requests")),
    };
    create.mutate({ body });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Labelled label="What" help={EXPORT_KINDS[what].note}>
        <Segments label="What" value={what} options={optionsOf(EXPORT_KINDS)} onChange={choose} />
      </Labelled>
      <Labelled label="Form" help={`${EXPORT_FORMATS[format].note} ${format === "parquet" ? "" : "Compressed with gzip."}`}>
        <Segments label="Form" value={format} options={optionsOf(EXPORT_FORMATS).filter(({ value }) => value !== "parquet" || isFocus(what))} onChange={setFormat} />
      </Labelled>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="First day, UTC" type="date" value={first} onChange={(event) => setFirst(event.target.value)} help="Empty: from the beginning." problem={fieldProblem(problem, "from")} />
        <TextField label="Last day, UTC" type="date" value={last} onChange={(event) => setLast(event.target.value)} help="Empty: until now." problem={"problem" in period ? period.problem : undefined} />
      </div>
      {isFocus(what) ? null : (
        <details className="group rounded-lg border px-3 py-2.5">
          <summary className="flex cursor-pointer list-none items-center gap-1.5 rounded text-sm font-medium">
            <ChevronRight className="size-4 text-muted transition-transform group-open:rotate-90" aria-hidden />
            What is in it
            <span className="font-normal text-muted">{narrowed === 0 ? "everything" : "only some of it"}</span>
          </summary>
          <div className="flex flex-col gap-3 pt-3">
            <ScopeFields scope={scope} byConnection={what === "requests"} onChange={(change) => setScope((before) => ({ ...before, ...change }))} />
          </div>
        </details>
      )}
      {problem && !fieldProblem(problem, "from") ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={"problem" in period}>
          Ask for it
        </Button>
      </div>
    </form>
  );
}

function optionsOf<T extends string>(words: Record<T, { label: string }>): { value: T; label: string }[] {
  return (Object.keys(words) as T[]).map((value) => ({ value, label: words[value].label }));
}

interface Scope {
  key: string;
  connection: string;
  provider: string;
  model: string;
  outcome: Outcome | typeof EVERY;
}

/** What narrows an export, as the API takes it. */
function narrowing(scope: Scope, byConnection: boolean) {
  return {
    ...(scope.key === EVERY ? {} : { api_key_id: scope.key }),
    ...(scope.connection === EVERY || !byConnection ? {} : { connection_id: scope.connection }),
    ...(scope.provider === EVERY ? {} : { provider: scope.provider }),
    ...(scope.model === EVERY ? {} : { model: scope.model }),
    ...(scope.outcome === EVERY ? {} : { outcome: scope.outcome }),
  };
}

function ScopeFields({ scope, byConnection, onChange }: { scope: Scope; byConnection: boolean; onChange: (change: Partial<Scope>) => void }) {
  const keys = useQuery(keysQuery());
  const connections = useQuery(connectionsQuery());
  const providers = useQuery(providersQuery());
  const models = useQuery(modelsQuery());
  const every = (label: string) => ({ value: EVERY, label });
  const modelNames = (models.data?.items ?? []).map((one) => one.group).filter((name) => name !== "");
  return (
    <>
      <Labelled label="Key">
        <Choose
          wide
          label="Key"
          value={scope.key}
          options={[every("Every key"), ...(keys.data?.items ?? []).map((one) => ({ value: one.id, label: one.name, note: one.revoked_at ? "revoked" : undefined }))]}
          onChange={(key) => onChange({ key })}
        />
      </Labelled>
      {byConnection ? (
        <Labelled label="Connection">
          <Choose
            wide
            label="Connection"
            value={scope.connection}
            options={[every("Every connection"), ...(connections.data?.items ?? []).map((one) => ({ value: one.id, label: one.name, note: one.disabled_at ? "disabled" : undefined }))]}
            onChange={(connection) => onChange({ connection })}
          />
        </Labelled>
      ) : null}
      <Labelled label="Provider">
        <Choose
          wide
          label="Provider"
          value={scope.provider}
          options={[every("Every provider"), ...[...(providers.data?.items ?? []), ...CLOUDS].map((one) => ({ value: one.name, label: one.display_name }))]}
          onChange={(provider) => onChange({ provider })}
        />
      </Labelled>
      <Labelled label="Model" help="The models that served calls lately.">
        <Choose wide label="Model" value={scope.model} options={[every("Every model"), ...modelNames.map((name) => ({ value: name, label: name }))]} onChange={(model) => onChange({ model })} />
      </Labelled>
      <Labelled label="Outcome">
        <Choose
          wide
          label="Outcome"
          value={scope.outcome}
          options={[every("Every outcome"), ...OUTCOMES.map((value) => ({ value, label: OUTCOME_WORDS[value].label }))]}
          onChange={(outcome) => onChange({ outcome: outcome as Scope["outcome"] })}
        />
      </Labelled>
    </>
  );
}
