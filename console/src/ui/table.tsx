// The table look: quiet head, dense rows, numbers to the right.
import type { ComponentProps } from "react";
import { cx } from "./cx";

export function Table({ className, ...rest }: ComponentProps<"table">) {
  return (
    // Words for screen readers are absolute: unheld they would widen the page where the table scrolls.
    <div className="relative overflow-x-auto">
      <table className={cx("w-full border-collapse text-sm", className)} {...rest} />
    </div>
  );
}

export function Th({ className, end, ...rest }: ComponentProps<"th"> & { end?: boolean }) {
  return (
    <th
      scope="col"
      className={cx("h-9 whitespace-nowrap border-b px-3 text-xs text-muted first:pl-4 last:pr-4", end ? "text-right" : "text-left", className)}
      {...rest}
    />
  );
}

export function Td({ className, end, ...rest }: ComponentProps<"td"> & { end?: boolean }) {
  return <td className={cx("h-10 px-3 first:pl-4 last:pr-4", end && "num text-right", className)} {...rest} />;
}
