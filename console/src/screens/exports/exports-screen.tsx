// Files of calls and hourly spend: asked for, written by a worker, downloaded within seven days.
import { useQuery } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { Download, FileDown, Plus } from "lucide-react";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { BY_CURSOR, connectionsQuery, useKeyNames } from "@/api/queries";
import type { Export } from "@/api/types";
import { EXPORT_FORMATS, EXPORT_KINDS, EXPORT_STATES, fileAddress, isUnderWay, narrowedBy, progressOf } from "@/lib/exports";
import { sizeInWords } from "@/lib/size";
import { fullDay, until } from "@/lib/time";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { usePreferences } from "@/shell/preferences";
import { WordBadge } from "@/ui/badge";
import { Button, buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/dialog";
import { Moment } from "@/ui/moment";
import { More } from "@/ui/more";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { Table, Td, Th } from "@/ui/table";
import { CreateExportDialog } from "./create-dialog";

const LIST = ["get", "/api/v1/exports"] as const;

/** The lists of exports ask again. */
function askAgain() {
  void queryClient.invalidateQueries({ queryKey: [...LIST] });
}

export function ExportsScreen() {
  const exports = api.useInfiniteQuery("get", "/api/v1/exports", { params: { query: { limit: 50 } } }, {
    ...BY_CURSOR,
    // A file in the making is looked at each second, as often as it tells.
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.items.some(isUnderWay)) ? 1_000 : 15_000),
  });
  const { hash } = useLocation();
  const navigate = useNavigate();
  const setAsking = (open: boolean) => void navigate({ to: "/exports", hash: open ? "new" : "", replace: true });
  const [removing, setRemoving] = useState<Export | null>(null);
  const items = exports.data?.pages.flatMap((page) => page.items) ?? [];
  const ask = (
    <Button weight="primary" onClick={() => setAsking(true)} icon={<Plus className="size-4" aria-hidden />}>
      Ask for an export
    </Button>
  );
  return (
    <>
      <PageHead title="Exports" note="Every call or hour of a period as a file. It is kept for seven days.">
        {ask}
      </PageHead>
      <Card className="overflow-clip">
        {exports.isPending ? <SkeletonRows rows={4} label="Loading the exports" /> : null}
        {exports.isError && !exports.data ? <Problem error={exports.error} retry={() => void exports.refetch()} /> : null}
        {exports.data && items.length === 0 ? (
          <Empty icon={<FileDown />} title="No export yet" action={ask}>
            A worker writes the file, however large the period is; the page may be closed meanwhile. Amounts are exact to the last
            digit, and what is unknown is empty.
          </Empty>
        ) : null}
        {items.length > 0 ? <ExportTable items={items} onRemove={setRemoving} /> : null}
        <More shown={items.length} {...exports} />
      </Card>
      <CreateExportDialog open={hash === "new"} onOpenChange={setAsking} onDone={askAgain} />
      <RemoveDialog removing={removing} onClose={() => setRemoving(null)} />
    </>
  );
}

function ExportTable({ items, onRemove }: { items: Export[]; onRemove: (one: Export) => void }) {
  const keyName = useKeyNames();
  const connections = useQuery(connectionsQuery());
  const connectionName = (id: string) => connections.data?.items.find((one) => one.id === id)?.name ?? id;
  return (
    <Table>
      <thead>
        <tr>
          <Th>Export</Th>
          <Th>State</Th>
          <Th className="hidden md:table-cell">Period, UTC</Th>
          <Th className="hidden sm:table-cell">Asked for</Th>
          <Th end>
            <span className="sr-only">What can be done</span>
          </Th>
        </tr>
      </thead>
      <tbody className="divide-y">
        {items.map((one) => (
          <ExportRow key={one.id} one={one} narrowed={narrowedBy(one.filter, { key: keyName, connection: connectionName })} onRemove={() => onRemove(one)} />
        ))}
      </tbody>
    </Table>
  );
}

function ExportRow({ one, narrowed, onRemove }: { one: Export; narrowed: string; onRemove: () => void }) {
  const { zone } = usePreferences();
  const now = useNow(30_000);
  const name = `${EXPORT_KINDS[one.what].label} as ${EXPORT_FORMATS[one.format].label}`;
  return (
    <tr className="align-top">
      <Td className="min-w-0 py-2.5">
        <span className="block font-medium">{name}</span>
        <span className="block max-w-72 truncate text-xs text-muted" title={narrowed || undefined}>
          {narrowed === "" ? "everything" : narrowed}
        </span>
      </Td>
      <Td className="py-2.5">
        <WordBadge word={EXPORT_STATES[one.state]} />
        {one.state === "running" ? (
          <div
            role="progressbar"
            aria-label={name}
            aria-valuenow={Math.floor(one.permille / 10)}
            aria-valuemin={0}
            aria-valuemax={100}
            className="mt-1.5 h-1.5 w-28 overflow-hidden rounded-full bg-sunken"
          >
            <div className="h-full rounded-full bg-accent transition-[width]" style={{ width: `${one.permille / 10}%` }} />
          </div>
        ) : null}
        <span className="num mt-1 block text-xs text-muted">
          {one.state === "queued" || one.state === "failed" || one.state === "cancelled" ? null : progressOf(one)}
          {one.size_bytes != null && one.state === "done" ? `, ${sizeInWords(one.size_bytes)}` : null}
        </span>
        {one.problem ? <span className="block max-w-prose break-words text-xs text-worse">{one.problem.detail}</span> : null}
        {one.state === "done" && one.expires_at ? (
          <span className="block text-xs text-muted">goes {until(one.expires_at, now, zone)}</span>
        ) : null}
      </Td>
      <Td className="num hidden whitespace-nowrap py-2.5 md:table-cell">
        {one.filter.from ? fullDay(one.filter.from, "UTC") : "the beginning"} to {one.filter.to ? fullDay(one.filter.to, "UTC") : "now"}
      </Td>
      <Td className="hidden py-2.5 text-muted sm:table-cell">
        <Moment at={one.created_at} />
      </Td>
      <Td end className="whitespace-nowrap py-2">
        {one.state === "done" ? (
          <a className={buttonLook("plain", "small")} href={fileAddress(one.id)} download={one.file_name}>
            <Download className="size-3.5" aria-hidden /> Download
          </a>
        ) : null}
        {one.state === "done" || isUnderWay(one) ? (
          <Button weight="quiet" size="small" className="ml-1 hover:!text-worse" onClick={onRemove} aria-label={`${isUnderWay(one) ? "Cancel" : "Remove"} ${name}`}>
            {isUnderWay(one) ? "Cancel" : "Remove"}
          </Button>
        ) : null}
      </Td>
    </tr>
  );
}

function RemoveDialog({ removing, onClose }: { removing: Export | null; onClose: () => void }) {
  const remove = api.useMutation("delete", "/api/v1/exports/{id}", {
    onSuccess: () => {
      askAgain();
      onClose();
    },
  });
  const isOpen = removing !== null && isUnderWay(removing);
  return (
    <Confirm
      open={removing !== null}
      onOpenChange={(open) => {
        if (open) return;
        remove.reset();
        onClose();
      }}
      title={isOpen ? "Cancel this export?" : "Remove this file?"}
      action={isOpen ? "Cancel the export" : "Remove the file"}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => (removing ? remove.mutate({ params: { path: { id: removing.id } } }) : undefined)}
    >
      {isOpen ? "It leaves no file. It can be asked for again at any time." : "Nobody can download it any more. It can be asked for again at any time."}
    </Confirm>
  );
}
