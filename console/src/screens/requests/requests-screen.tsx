// Every call, newest first, as it happens.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronDown, ChevronUp, Download, List, Pause, Play } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { Menu } from "@base-ui/react/menu";
import { useKeyNames } from "@/api/queries";
import { countFilters, exportAddress, type RequestFilters } from "@/lib/filters";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { Button, buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { cx } from "@/ui/cx";
import { Sheet } from "@/ui/dialog";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { FilterBar } from "./filter-bar";
import { Receipt } from "./receipt";
import { RequestTable } from "./request-table";
import { useLiveRequests } from "./use-live";

export function RequestsScreen() {
  const { id: openId, ...filters } = useSearch({ from: "/member/requests" });
  const navigate = useNavigate({ from: "/requests" });
  const { zone } = usePreferences();
  const keyName = useKeyNames();
  const now = useNow(60_000);
  const [live, setLive] = useState(true);
  const { head, list, loadOlder, older } = useLiveRequests(filters, live, now);

  const change = useCallback(
    (next: Partial<RequestFilters>) => void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false }),
    [navigate],
  );
  const open = useCallback(
    (id: string | undefined) => void navigate({ search: (before) => ({ ...before, id }), resetScroll: false }),
    [navigate],
  );

  const rows = useMemo(() => list?.rows ?? [], [list]);
  const place = rows.findIndex((row) => row.id === openId);
  const filtered = countFilters(filters) > 0;
  return (
    <>
      <PageHead title="Requests" note={`Newest first, times in ${zone}`}>
        <LiveButton live={live} failing={head.isError} onChange={setLive} />
        <ExportMenu filters={filters} now={now} />
      </PageHead>
      <Card className="overflow-clip">
        <FilterBar
          filters={filters}
          now={now}
          onChange={change}
          onClear={() => void navigate({ search: {}, replace: true })}
        />
        {head.isError ? <Problem error={head.error} retry={() => void head.refetch()} what="The list stands still" /> : null}
        {!list && !head.isError ? <SkeletonRows rows={8} label="Loading the requests" /> : null}
        {list && rows.length === 0 ? (
          <Empty
            icon={<List />}
            title={filtered ? "No request matches" : "No requests yet"}
            action={
              filtered ? (
                <Button onClick={() => void navigate({ search: {} })}>Clear the filters</Button>
              ) : (
                <Button weight="primary" onClick={() => void navigate({ to: "/keys", hash: "new" })}>
                  Create a key
                </Button>
              )
            }
          >
            {filtered
              ? "Nothing in the ledger fits these filters. New calls that fit appear here by themselves."
              : "Create a key, point an SDK at this server, and the first call appears here within two seconds."}
          </Empty>
        ) : null}
        {list && rows.length > 0 ? (
          <RequestTable rows={rows} fresh={list.fresh} zone={zone} openId={openId} keyName={keyName} onOpen={open} />
        ) : null}
        {older.error ? <Problem error={older.error} retry={() => void loadOlder()} what="Older requests" /> : null}
        {list && rows.length > 0 ? (
          <div className="flex items-center gap-3 px-4 py-3 text-sm text-muted">
            <span className="num">
              {rows.length.toLocaleString("en-US")} shown{list.older ? "" : ", all there are"}
            </span>
            {list.older ? (
              <Button size="small" className="ml-auto" busy={older.busy} onClick={() => void loadOlder()}>
                Load older
              </Button>
            ) : null}
          </div>
        ) : null}
      </Card>
      <Sheet
        open={openId !== undefined}
        onClose={() => open(undefined)}
        title={rows[place]?.model_requested ?? "Request"}
        description="Receipt"
        tools={
          place >= 0 ? (
            <>
              <Button weight="quiet" size="icon" aria-label="Newer request" disabled={place <= 0} onClick={() => open(rows[place - 1]?.id)}>
                <ChevronUp className="size-4" aria-hidden />
              </Button>
              <Button weight="quiet" size="icon" aria-label="Older request" disabled={place >= rows.length - 1} onClick={() => open(rows[place + 1]?.id)}>
                <ChevronDown className="size-4" aria-hidden />
              </Button>
            </>
          ) : null
        }
      >
        {openId ? <Receipt key={openId} id={openId} known={rows[place]} /> : null}
      </Sheet>
    </>
  );
}

function LiveButton({ live, failing, onChange }: { live: boolean; failing: boolean; onChange: (live: boolean) => void }) {
  return (
    <Button size="small" onClick={() => onChange(!live)} aria-pressed={live} title={live ? "Stop following" : "Follow new requests"}>
      {live ? <Pause className="size-3.5" aria-hidden /> : <Play className="size-3.5" aria-hidden />}
      <span
        className={cx("size-1.5 rounded-full", failing ? "bg-worse" : live ? "animate-pulse bg-accent" : "bg-muted")}
        aria-hidden
      />
      {live ? "Live" : "Paused"}
    </Button>
  );
}

const EXPORT_ITEM = "flex cursor-default flex-col rounded-lg px-2.5 py-1.5 text-sm outline-none data-[highlighted]:bg-sunken";

function ExportMenu({ filters, now }: { filters: RequestFilters; now: number }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className={buttonLook("plain", "small")}>
        <Download className="size-3.5" aria-hidden /> Export
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} align="end" className="z-50">
          <Menu.Popup className="enters min-w-52 rounded-xl border bg-surface p-1 shadow-xl">
            {(["csv", "jsonl"] as const).map((format) => (
              <Menu.LinkItem key={format} href={exportAddress(filters, format, now)} download className={EXPORT_ITEM}>
                {format === "csv" ? "CSV" : "JSON Lines"}
                <span className="text-xs text-muted">Everything that fits the filters</span>
              </Menu.LinkItem>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
