// Makes a budget: a sum, a stretch of the calendar, what counts, and when a word is said.
import { useQuery } from "@tanstack/react-query";
import { ChevronRight } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { budgetsQuery, CLOUDS, keysQuery, modelsQuery, providersQuery } from "@/api/queries";
import type { NewBudget } from "@/api/types";
import { canCountUnproxied } from "@/lib/budget";
import { parseDecimal } from "@/lib/decimal";
import { readThresholds } from "@/lib/thresholds";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Problem } from "@/ui/states";
import { Tick } from "@/ui/tick";

type Period = NewBudget["period"];

export const PERIODS: Record<Period, { label: string; note: string }> = {
  day: { label: "Each day", note: "Begins at midnight of the account's time zone." },
  week: { label: "Each week", note: "Begins on Monday." },
  month: { label: "Each month", note: "Begins on the first." },
};

/** Stands for no narrowing. */
const EVERY = "";

export function CreateBudgetDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Create a budget" description="Whoever wants alerts is told at each threshold, once in each period.">
      <CreateForm onDone={() => onOpenChange(false)} />
    </Dialog>
  );
}

function CreateForm({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const [amount, setAmount] = useState("");
  const [period, setPeriod] = useState<Period>("month");
  const [thresholds, setThresholds] = useState("50, 80, 100");
  const [key, setKey] = useState(EVERY);
  const [provider, setProvider] = useState(EVERY);
  const [model, setModel] = useState(EVERY);
  const [unproxied, setUnproxied] = useState(false);
  const create = api.useMutation("post", "/api/v1/budgets", {
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: budgetsQuery().queryKey });
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const read = readThresholds(thresholds);
  const plainAmount = amount.trim().replace(/^\$\s*/, "").replaceAll(",", "");
  const value = /^\d+(\.\d+)?$/.test(plainAmount) ? parseDecimal(plainAmount) : null;
  const amountProblem = amount !== "" && (!value || value.units <= 0n) ? "A sum in US dollars of more than zero, such as 2500 or 99.50." : undefined;
  const isReady = name.trim() !== "" && value !== null && value.units > 0n && read.percents !== undefined;
  const narrowed = [key, provider, model].filter((part) => part !== EVERY).length;
  const unproxiedCounts = canCountUnproxied(period, narrowed > 0);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!read.percents) return;
    create.mutate({
      body: {
        name: name.trim(),
        amount: plainAmount,
        period,
        thresholds: read.percents,
        ...(key === EVERY ? {} : { api_key_id: key }),
        ...(provider === EVERY ? {} : { provider }),
        ...(model === EVERY ? {} : { model }),
        include_unproxied: unproxied && unproxiedCounts.can,
      },
    });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="Name"
        value={name}
        onChange={(event) => setName(event.target.value)}
        placeholder="Customer support"
        problem={fieldProblem(problem, "name")}
        required
        maxLength={100}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this name
        autoFocus
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Amount in US dollars"
          value={amount}
          onChange={(event) => setAmount(event.target.value)}
          placeholder="2500"
          inputMode="decimal"
          problem={amountProblem ?? fieldProblem(problem, "amount")}
          required
          autoComplete="off"
        />
        <Labelled label="For" help={PERIODS[period].note}>
          <Choose
            wide
            label="For"
            value={period}
            options={(Object.keys(PERIODS) as Period[]).map((one) => ({ value: one, label: PERIODS[one].label, note: PERIODS[one].note }))}
            onChange={setPeriod}
          />
        </Labelled>
      </div>
      <TextField
        label="Told at percent"
        value={thresholds}
        onChange={(event) => setThresholds(event.target.value)}
        problem={read.problem ?? fieldProblem(problem, "thresholds")}
        help={read.percents ? `A word at ${read.percents.map((percent) => `${percent} %`).join(", ")}.` : undefined}
        required
        autoComplete="off"
      />
      <details className="group rounded-lg border px-3 py-2.5">
        <summary className="flex cursor-pointer list-none items-center gap-1.5 rounded text-sm font-medium">
          <ChevronRight className="size-4 text-muted transition-transform group-open:rotate-90" aria-hidden />
          What counts
          <span className="font-normal text-muted">{narrowed === 0 ? "every call" : "only some calls"}</span>
        </summary>
        <div className="flex flex-col gap-3 pt-3">
          <ScopeFields scope={{ key, provider, model }} setKey={setKey} setProvider={setProvider} setModel={setModel} />
          <Tick
            label="What is billed around the proxy, too"
            note={unproxiedCounts.note}
            checked={unproxied && unproxiedCounts.can}
            disabled={!unproxiedCounts.can}
            onChange={(event) => setUnproxied(event.target.checked)}
          />
        </div>
      </details>
      {problem && !["name", "amount", "thresholds"].some((field) => fieldProblem(problem, field)) ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={!isReady}>
          Create the budget
        </Button>
      </div>
    </form>
  );
}

interface ScopeProps {
  scope: { key: string; provider: string; model: string };
  setKey: (key: string) => void;
  setProvider: (provider: string) => void;
  setModel: (model: string) => void;
}

function ScopeFields({ scope, setKey, setProvider, setModel }: ScopeProps) {
  const keys = useQuery(keysQuery());
  const providers = useQuery(providersQuery());
  const models = useQuery(modelsQuery());
  const keyOptions = (keys.data?.items ?? []).filter((one) => !one.revoked_at).map((one) => ({ value: one.id, label: one.name }));
  const providerOptions = [...(providers.data?.items ?? []), ...CLOUDS].map((one) => ({ value: one.name, label: one.display_name }));
  const modelNames = (models.data?.items ?? []).map((one) => one.group).filter((name) => name !== "");
  return (
    <>
      <Labelled label="Key">
        <Choose wide label="Key" value={scope.key} options={[{ value: EVERY, label: "Every key" }, ...keyOptions]} onChange={setKey} />
      </Labelled>
      <Labelled label="Provider">
        <Choose wide label="Provider" value={scope.provider} options={[{ value: EVERY, label: "Every provider" }, ...providerOptions]} onChange={setProvider} />
      </Labelled>
      <Labelled label="Model" help="The models that served calls lately.">
        <Choose wide label="Model" value={scope.model} options={[{ value: EVERY, label: "Every model" }, ...modelNames.map((name) => ({ value: name, label: name }))]} onChange={setModel} />
      </Labelled>
    </>
  );
}
