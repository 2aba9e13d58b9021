// The rows. Only those in sight are in the document, so that ten thousand of them scroll like ten.
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { RequestRow } from "@/api/types";
import { clockTime, duration, shortDay } from "@/lib/time";
import { isTyping } from "@/shell/shortcuts";
import { Amount } from "@/ui/amount";
import { Badge } from "@/ui/badge";
import { cx } from "@/ui/cx";
import { TokenBar } from "@/ui/token-bar";
import { OutcomeDot } from "./outcome";

const ROW = 40;

export interface RequestTableProps {
  rows: RequestRow[];
  fresh: ReadonlySet<string>;
  zone: string;
  openId: string | undefined;
  keyName: (id: string) => string;
  onOpen: (id: string) => void;
}

const HEAD = "h-9 whitespace-nowrap border-b px-2 text-left text-xs text-muted";
const CELL = "overflow-hidden whitespace-nowrap px-2";

export function RequestTable({ rows, fresh, zone, openId, keyName, onOpen }: RequestTableProps) {
  const body = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(-1);
  useLayoutEffect(() => {
    const measure = () => setTop((body.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
    measure();
    window.addEventListener("resize", measure);
    return () => window.removeEventListener("resize", measure);
  }, []);
  const virtual = useWindowVirtualizer({ count: rows.length, estimateSize: () => ROW, overscan: 12, scrollMargin: top });
  const items = virtual.getVirtualItems();
  const before = (items[0]?.start ?? top) - top;
  const after = virtual.getTotalSize() - ((items.at(-1)?.end ?? top) - top);

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target) || openId) return;
      const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
      if (step !== 0) {
        const next = Math.max(0, Math.min(rows.length - 1, active + step));
        setActive(next);
        virtual.scrollToIndex(next, { align: "auto" });
      } else if (event.key === "Enter" && event.target === document.body) {
        const row = rows[active];
        if (row) onOpen(row.id);
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [active, onOpen, openId, rows, virtual]);

  return (
    <div ref={body}>
      <table className="w-full table-fixed text-sm">
        <colgroup>
          <col className="w-[6.25rem] sm:w-40" />
          <col />
          <col className="hidden w-40 lg:table-column" />
          <col className="hidden w-44 md:table-column" />
          <col className="hidden w-24 sm:table-column" />
          <col className="w-34 sm:w-36" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" className={cx(HEAD, "pl-4")}>
              Time
            </th>
            <th scope="col" className={HEAD}>
              Model
            </th>
            <th scope="col" className={cx(HEAD, "hidden lg:table-cell")}>
              Key
            </th>
            <th scope="col" className={cx(HEAD, "hidden md:table-cell")}>
              Tokens
            </th>
            <th scope="col" className={cx(HEAD, "hidden text-right sm:table-cell")}>
              Took
            </th>
            <th scope="col" className={cx(HEAD, "pr-4 text-right")}>
              Cost
            </th>
          </tr>
        </thead>
        <tbody>
          {before > 0 ? <tr aria-hidden style={{ height: before }} /> : null}
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <tr
                key={row.id}
                data-request={row.id}
                style={{ height: ROW }}
                onClick={() => onOpen(row.id)}
                className={cx(
                  "cursor-pointer border-b border-line/70 hover:bg-sunken",
                  fresh.has(row.id) && "arrives",
                  (item.index === active || row.id === openId) && "bg-sunken",
                )}
              >
                <td className={cx(CELL, "num pl-4 text-muted")}>
                  <span className="flex items-center gap-2">
                    <OutcomeDot outcome={row.outcome} status={row.status} />
                    <span className="hidden sm:inline">{shortDay(row.started_at, zone)}</span>
                    <span>{clockTime(row.started_at, zone)}</span>
                  </span>
                </td>
                <td className={CELL}>
                  <button
                    type="button"
                    onClick={(event) => {
                      event.stopPropagation();
                      onOpen(row.id);
                    }}
                    aria-label={`Receipt of ${row.model_requested} at ${clockTime(row.started_at, zone)}`}
                    className="block w-full truncate rounded text-left font-medium outline-offset-[-2px]"
                  >
                    {row.model_requested}
                    <ModelNote row={row} />
                  </button>
                </td>
                <td className={cx(CELL, "hidden truncate text-muted lg:table-cell")}>{keyName(row.api_key_id)}</td>
                <td className={cx(CELL, "hidden md:table-cell")}>
                  <TokenBar usage={row.usage} count className="w-full" />
                </td>
                <td className={cx(CELL, "num hidden text-right text-muted sm:table-cell")}>{duration(row.duration_ms)}</td>
                <td className={cx(CELL, "pr-4 text-right")}>
                  <span className="inline-flex items-center justify-end gap-1.5">
                    {row.cost_basis === "estimated" ? <Badge tone="caution">est.</Badge> : null}
                    <Amount value={row.cost} currency={row.currency} />
                  </span>
                </td>
              </tr>
            );
          })}
          {after > 0 ? <tr aria-hidden style={{ height: after }} /> : null}
        </tbody>
      </table>
    </div>
  );
}

/** What the served model adds to the asked one: nothing where the names agree. */
function ModelNote({ row }: { row: RequestRow }) {
  if (row.error_code && row.outcome === "failed") return <span className="ml-2 font-normal text-worse">{row.error_code}</span>;
  if (!row.model_served || row.model_served === row.model_requested) return null;
  return <span className="ml-2 font-normal text-muted">→ {row.model_served}</span>;
}
