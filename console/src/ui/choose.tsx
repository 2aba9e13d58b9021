// A list to choose one value from.
import { Select } from "@base-ui/react/select";
import { Check, ChevronsUpDown } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

export interface Option<T extends string> {
  value: T;
  label: string;
  note?: ReactNode;
}

export interface ChooseProps<T extends string> {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
  /** Stands before the value, e.g. `by`. */
  prefix?: string;
  marked?: boolean;
  wide?: boolean;
}

export function Choose<T extends string>({ label, value, options, onChange, prefix, marked, wide }: ChooseProps<T>) {
  const chosen = options.find((option) => option.value === value);
  return (
    <Select.Root value={value} onValueChange={(next) => (next === null ? undefined : onChange(next as T))} modal={false}>
      <Select.Trigger
        aria-label={`${label}: ${chosen?.label ?? value}`}
        className={cx(
          "inline-flex items-center gap-1.5 rounded-lg border border-line-strong bg-surface text-left shadow-pop transition-colors hover:bg-sunken",
          wide ? "h-9 w-full px-3 text-base" : "h-8 max-w-60 px-2.5 text-sm",
          marked && "border-accent bg-accent-soft text-accent-ink",
        )}
      >
        {prefix ? <span className={cx("shrink-0", !marked && "text-muted")}>{prefix}</span> : null}
        <span className="min-w-0 flex-1 truncate font-medium">{chosen?.label ?? value}</span>
        <Select.Icon className="text-muted">
          <ChevronsUpDown className="size-3.5" aria-hidden />
        </Select.Icon>
      </Select.Trigger>
      <Select.Portal>
        <Select.Positioner sideOffset={4} collisionPadding={8} alignItemWithTrigger={false} align="start" className="z-[60]">
          <Select.Popup className="enters max-h-[min(24rem,var(--available-height))] min-w-[max(10rem,var(--anchor-width))] max-w-[min(24rem,92vw)] overflow-y-auto rounded-xl border bg-surface p-1 shadow-xl">
            {options.map((option) => (
              <Select.Item
                key={option.value}
                value={option.value}
                className="grid cursor-default grid-cols-[1rem_1fr] items-start gap-x-2 rounded-lg px-2 py-1.5 text-sm outline-none data-[highlighted]:bg-sunken"
              >
                <Select.ItemIndicator className="pt-0.5 text-accent-ink">
                  <Check className="size-4" aria-hidden />
                </Select.ItemIndicator>
                <span className="col-start-2 min-w-0">
                  <Select.ItemText className="block truncate">{option.label}</Select.ItemText>
                  {option.note ? <span className="block text-xs text-muted">{option.note}</span> : null}
                </span>
              </Select.Item>
            ))}
          </Select.Popup>
        </Select.Positioner>
      </Select.Portal>
    </Select.Root>
  );
}
