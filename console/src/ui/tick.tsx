// A box to tick, with what it stands for.
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx";

export function Tick({ label, note, className, ...rest }: { label: ReactNode; note?: ReactNode } & Omit<ComponentProps<"input">, "type">) {
  const id = useId();
  return (
    <div className={cx("flex items-start gap-2.5", className)}>
      <input id={id} type="checkbox" aria-describedby={note ? `${id}-note` : undefined} className="mt-0.5 size-4 shrink-0 rounded accent-accent" {...rest} />
      <div className="min-w-0">
        <label htmlFor={id} className="block">
          {label}
        </label>
        {note ? (
          <p id={`${id}-note`} className="text-xs text-muted">
            {note}
          </p>
        ) : null}
      </div>
    </div>
  );
}
