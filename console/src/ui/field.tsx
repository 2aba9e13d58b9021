// Form fields: a label, a control, a line of help and the server's word on what is wrong with it.
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx";

interface Shared {
  label: string;
  help?: ReactNode;
  problem?: string | undefined;
}

export function TextField({ label, help, problem, className, ...rest }: Shared & ComponentProps<"input">) {
  const id = useId();
  return (
    <div className={className}>
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      <input
        id={id}
        aria-invalid={problem ? true : undefined}
        aria-describedby={help || problem ? `${id}-note` : undefined}
        className={cx(
          "h-9 w-full rounded-lg border bg-surface px-3 text-base shadow-pop transition-colors focus:border-accent",
          problem ? "border-worse" : "border-line-strong",
        )}
        {...rest}
      />
      {help || problem ? (
        <p id={`${id}-note`} className={cx("mt-1 text-xs", problem ? "text-worse" : "text-muted")}>
          {problem ?? help}
        </p>
      ) : null}
    </div>
  );
}

export function Labelled({ label, help, children }: { label: string; help?: ReactNode; children: ReactNode }) {
  return (
    <div>
      <p className="mb-1 text-sm font-medium" aria-hidden>
        {label}
      </p>
      {children}
      {help ? <p className="mt-1 text-xs text-muted">{help}</p> : null}
    </div>
  );
}
