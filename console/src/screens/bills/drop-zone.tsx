// Takes a bill by drop or by choice, and tells how far it is: sent, then read on the server, which goes on by itself.
import { useNavigate } from "@tanstack/react-router";
import { FileUp } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { queryClient } from "@/api/cache";
import { billsQuery } from "@/api/queries";
import { type Progress, uploadBill } from "@/api/upload";
import { sizeInWords } from "@/lib/size";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { FileDrop, type FileProblem } from "./file-drop";

interface Upload {
  file: File;
  progress: Progress;
}

export function DropZone({ large }: { large: boolean }) {
  const [upload, setUpload] = useState<Upload | null>(null);
  const [error, setError] = useState<FileProblem | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const cancel = useRef<AbortController | null>(null);
  const navigate = useNavigate();

  const send = useCallback(
    async (file: File) => {
      const controller = new AbortController();
      cancel.current = controller;
      setError(null);
      setUpload({ file, progress: { phase: "sending", sent: 0, total: file.size } });
      try {
        const billId = await uploadBill(file, (progress) => setUpload({ file, progress }), controller.signal);
        await queryClient.invalidateQueries({ queryKey: billsQuery().queryKey });
        void navigate({ to: "/bills/$billId", params: { billId } });
      } catch (reason) {
        if (!controller.signal.aborted) setError({ file, reason });
      } finally {
        setUpload(null);
      }
    },
    [navigate],
  );

  useEffect(() => () => cancel.current?.abort(), []);

  return (
    <FileDrop
      label="Import a bill"
      inputLabel="Bill file"
      accept=".csv,.gz,.parquet,.snappy,.json,.jsonl,.ndjson"
      busy={upload !== null}
      problem={error}
      onFile={(file) => void send(file)}
      input={input}
    >
      {upload ? (
        <Sending upload={upload} onCancel={() => cancel.current?.abort()} />
      ) : (
        <div className={cx("flex items-center gap-4 px-5", large ? "flex-col py-12 text-center" : "flex-wrap py-4")}>
          <span className="grid size-11 shrink-0 place-items-center rounded-xl bg-bill-soft text-bill-ink" aria-hidden>
            <FileUp className="size-5" />
          </span>
          <div className={cx("min-w-0", large ? "max-w-lg" : "flex-1 basis-56")}>
            <h2 className="font-semibold">Drop a bill here</h2>
            <p className="mt-0.5 text-sm text-muted">
              AWS Cost and Usage Report (2.0 or legacy), a cost export of Azure, rows of Google Cloud's billing export, or
              FOCUS 1.x of any of them, as CSV, Parquet or lines of JSON, with gzip or without. It is recognised by what is
              in it, not by its name.
            </p>
          </div>
          <Button weight={large ? "primary" : "plain"} onClick={() => input.current?.click()}>
            Choose a file
          </Button>
        </div>
      )}
    </FileDrop>
  );
}

function Sending({ upload, onCancel }: { upload: Upload; onCancel: () => void }) {
  const { file, progress } = upload;
  const isSending = progress.phase === "sending";
  const done = isSending ? progress.sent / Math.max(1, progress.total) : (progress.permille ?? 0) / 1000;
  // Until the reading tells how far it is, the bar is full and pulses.
  const isUnknown = !isSending && progress.permille === null;
  const percent = isUnknown ? 100 : Math.floor(done * 100);
  const doing = isSending ? "Sending" : "Reading and classifying every line";
  const said = isUnknown ? doing : `${doing}, ${percent} %`;
  return (
    <div className="flex flex-wrap items-center gap-4 px-5 py-6">
      <div className="min-w-0 flex-1 basis-56">
        <p className="truncate font-medium">{file.name}</p>
        <div
          role="progressbar"
          aria-label={`Import of ${file.name}`}
          aria-valuenow={isUnknown ? undefined : percent}
          aria-valuemin={0}
          aria-valuemax={100}
          className="my-2 h-1.5 overflow-hidden rounded-full bg-sunken"
        >
          <div
            className={cx("h-full rounded-full bg-accent transition-[width]", !isSending && "animate-pulse")}
            style={{ width: `${percent}%` }}
          />
        </div>
        <p className="num text-sm text-muted" aria-live="polite">
          {said}, {sizeInWords(file.size)}
        </p>
      </div>
      <Button onClick={onCancel}>{isSending ? "Cancel" : "Do not wait"}</Button>
    </div>
  );
}
