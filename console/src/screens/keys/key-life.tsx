// What a key may be used for and until when: the fields of a new key.
import { SCOPE_WORDS } from "@/lib/words";
import type { KeyScope } from "@/api/types";
import { Choose } from "@/ui/choose";
import { Labelled } from "@/ui/field";
import { Tick } from "@/ui/tick";

export const SCOPES = Object.keys(SCOPE_WORDS) as KeyScope[];

/** What a new key may be used for until somebody says otherwise. */
export const USUAL_SCOPES = SCOPES.filter((scope) => scope !== "calls.import");

/** Days until a key's end, as they are offered. */
export const LIVES = { never: null, days30: 30, days90: 90, days365: 365 } as const;
export type Life = keyof typeof LIVES;

const LIFE_OPTIONS = [
  { value: "never", label: "Never" },
  { value: "days30", label: "In 30 days" },
  { value: "days90", label: "In 90 days" },
  { value: "days365", label: "In a year" },
] as const;

/** The moment of a key's end; none where it has none. */
export function endOf(life: Life, now: number): string | undefined {
  const days = LIVES[life];
  return days === null ? undefined : new Date(now + days * 86_400_000).toISOString();
}

export interface KeyLifeProps {
  scopes: KeyScope[];
  onScopes: (scopes: KeyScope[]) => void;
  life: Life;
  onLife: (life: Life) => void;
}

export function KeyLifeFields({ scopes, onScopes, life, onLife }: KeyLifeProps) {
  return (
    <>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-1 text-sm font-medium">May be used for</legend>
        {SCOPES.map((scope) => (
          <Tick
            key={scope}
            label={SCOPE_WORDS[scope].label}
            note={SCOPE_WORDS[scope].meaning}
            checked={scopes.includes(scope)}
            onChange={(event) => onScopes(SCOPES.filter((each) => (each === scope ? event.target.checked : scopes.includes(each))))}
          />
        ))}
      </fieldset>
      <Labelled label="Expires" help="From then on its calls are refused. The end can be moved later.">
        <Choose wide label="Expires" value={life} options={[...LIFE_OPTIONS]} onChange={onLife} />
      </Labelled>
    </>
  );
}
