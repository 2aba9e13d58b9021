// The surface that groups what belongs together.
import type { ComponentProps, ReactNode } from "react";
import { cx } from "./cx";

export function Card({ className, ...rest }: ComponentProps<"section">) {
  return <section className={cx("rounded-card border bg-surface shadow-pop", className)} {...rest} />;
}

export function CardHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 pb-2 pt-3.5">
      <h2 className="text-base font-semibold">{title}</h2>
      {note ? <span className="text-sm text-muted">{note}</span> : null}
      {children ? <div className="ml-auto flex flex-wrap items-center gap-2">{children}</div> : null}
    </div>
  );
}
