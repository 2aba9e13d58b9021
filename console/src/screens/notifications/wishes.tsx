// What somebody wants to be told: two ticks that are saved as they are set.
import { Tick } from "@/ui/tick";

export interface Wishes {
  digest: boolean;
  alerts: boolean;
}

/** In a list: short, one line. */
export function WishTicks({ value, name, disabled, onChange }: { value: Wishes; name: string; disabled?: boolean; onChange: (change: Partial<Wishes>) => void }) {
  return (
    <span className="flex flex-wrap gap-x-4 gap-y-1">
      <Tick
        label="Digest"
        aria-label={`Weekly digest to ${name}`}
        checked={value.digest}
        disabled={disabled}
        onChange={(event) => onChange({ digest: event.target.checked })}
      />
      <Tick label="Alerts" aria-label={`Alerts to ${name}`} checked={value.alerts} disabled={disabled} onChange={(event) => onChange({ alerts: event.target.checked })} />
    </span>
  );
}

/** In a form: with what each means. */
export function WishFields({ value, onChange }: { value: Wishes; onChange: (wishes: Wishes) => void }) {
  return (
    <fieldset className="flex flex-col gap-2.5">
      <legend className="mb-1 text-sm font-medium">Told about</legend>
      <Tick
        label="The weekly digest"
        note="What the week cost, by model, key and provider, against the week before."
        checked={value.digest}
        onChange={(event) => onChange({ ...value, digest: event.target.checked })}
      />
      <Tick
        label="Alerts"
        note="Budgets at their thresholds, surprising hours, bills that were read or could not be."
        checked={value.alerts}
        onChange={(event) => onChange({ ...value, alerts: event.target.checked })}
      />
    </fieldset>
  );
}
