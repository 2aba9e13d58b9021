// The filters of the request list. Each is a control that shows its value, and all of them live in the address.
import { useQuery } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import { useState } from "react";
import { CLOUDS, keysQuery, modelsQuery, providersQuery } from "@/api/queries";
import { countFilters, ORIGINS, OUTCOMES, type RequestFilters } from "@/lib/filters";
import { ORIGIN_WORDS, OUTCOME_WORDS } from "@/lib/words";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { RangePicker } from "../overview/range-picker";

const ANY = "any";

export interface FilterBarProps {
  filters: RequestFilters;
  now: number;
  onChange: (change: Partial<RequestFilters>) => void;
  onClear: () => void;
}

export function FilterBar({ filters, now, onChange, onClear }: FilterBarProps) {
  const keys = useQuery(keysQuery());
  const providers = useQuery(providersQuery());
  const orNone = <T extends string>(value: T | typeof ANY): T | undefined => (value === ANY ? undefined : value);
  return (
    <div className="flex flex-wrap items-center gap-2 border-b px-4 py-3">
      <ModelField key={filters.model ?? ""} value={filters.model} onChange={(model) => onChange({ model })} />
      <div className="-mx-4 flex min-w-0 max-w-[calc(100%+2rem)] items-center gap-2 overflow-x-auto px-4 py-0.5 sm:contents">
      <Choose
        label="Key"
        prefix="Key"
        marked={filters.api_key_id !== undefined}
        value={filters.api_key_id ?? ANY}
        options={[
          { value: ANY, label: "any" },
          ...(keys.data?.items ?? []).map((key) => ({ value: key.id, label: key.name, note: key.revoked_at ? "revoked" : undefined })),
        ]}
        onChange={(value) => onChange({ api_key_id: orNone(value) })}
      />
      <Choose
        label="Provider"
        prefix="Provider"
        marked={filters.provider !== undefined}
        value={filters.provider ?? ANY}
        options={[
          { value: ANY, label: "any" },
          { value: "demo", label: "Built-in demo" },
          ...[...(providers.data?.items ?? []), ...CLOUDS].map((provider) => ({ value: provider.name, label: provider.display_name })),
        ]}
        onChange={(value) => onChange({ provider: orNone(value) })}
      />
      <Choose
        label="Outcome"
        prefix="Outcome"
        marked={filters.outcome !== undefined}
        value={filters.outcome ?? ANY}
        options={[
          { value: ANY, label: "any" },
          ...OUTCOMES.map((value) => ({ value, label: OUTCOME_WORDS[value].label, note: OUTCOME_WORDS[value].meaning })),
        ]}
        onChange={(value) => onChange({ outcome: orNone(value) })}
      />
      <Choose
        label="Seen by"
        prefix="Seen by"
        marked={filters.origin !== undefined}
        value={filters.origin ?? ANY}
        options={[
          { value: ANY, label: "any" },
          ...ORIGINS.map((value) => ({ value, label: ORIGIN_WORDS[value].label, note: ORIGIN_WORDS[value].meaning })),
        ]}
        onChange={(value) => onChange({ origin: orNone(value) })}
      />
      <RangePicker value={filters} now={now} none="Any time" onChange={({ range, from, to }) => onChange({ range, from, to })} />
      {countFilters(filters) > 0 ? (
        <Button weight="quiet" size="small" onClick={onClear} icon={<X className="size-3.5" aria-hidden />}>
          Clear
        </Button>
      ) : null}
      </div>
    </div>
  );
}

/** The API matches whole names, so the field offers the names that occur and waits for one of them, or for Enter. */
function ModelField({ value, onChange }: { value: string | undefined; onChange: (model: string | undefined) => void }) {
  const [text, setText] = useState(value ?? "");
  const known = useQuery(modelsQuery());
  const names = (known.data?.items ?? []).map((item) => item.group);
  const apply = (typed: string) => {
    const next = typed.trim() === "" ? undefined : typed.trim();
    if (next !== value) onChange(next);
  };
  return (
    <form
      className="relative w-full sm:w-56"
      onSubmit={(event) => {
        event.preventDefault();
        apply(text);
      }}
    >
      <Search className="pointer-events-none absolute left-2.5 top-2 size-4 text-muted" aria-hidden />
      <input
        data-finds
        aria-label="Model"
        placeholder="Model"
        list="models-that-occur"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (event.target.value === "" || names.includes(event.target.value)) apply(event.target.value);
        }}
        onBlur={() => apply(text)}
        className="h-8 w-full rounded-lg border border-line-strong bg-surface pl-8 pr-2 text-sm shadow-pop focus:border-accent"
        spellCheck={false}
        autoComplete="off"
      />
      <datalist id="models-that-occur">
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </datalist>
    </form>
  );
}
