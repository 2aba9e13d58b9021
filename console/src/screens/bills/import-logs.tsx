// Takes the spend logs of a LiteLLM by drop or by choice, as calls of one of the account's keys, and says what became of
// each row. The same file may come again: a row counts once.
import { useQuery } from "@tanstack/react-query";
import { Rows3 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { keysQuery } from "@/api/queries";
import type { ImportReport } from "@/api/types";
import { importLogs } from "@/api/upload";
import { importedInWords } from "@/lib/import-words";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { FileDrop, type FileProblem } from "./file-drop";

export function ImportLogs() {
  const keys = useQuery(keysQuery());
  const items = keys.data?.items ?? [];
  const [chosen, setChosen] = useState<string>();
  const [busy, setBusy] = useState<File | null>(null);
  const [done, setDone] = useState<{ name: string; report: ImportReport } | null>(null);
  const [error, setError] = useState<FileProblem | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const cancel = useRef<AbortController | null>(null);
  useEffect(() => () => cancel.current?.abort(), []);

  const keyId = chosen ?? items.find((key) => !key.revoked_at)?.id;
  if (keyId === undefined) return null;

  const send = async (file: File) => {
    const controller = new AbortController();
    cancel.current = controller;
    setBusy(file);
    setDone(null);
    setError(null);
    try {
      setDone({ name: file.name, report: await importLogs(file, keyId, controller.signal) });
    } catch (reason) {
      if (!controller.signal.aborted) setError({ file, reason });
    } finally {
      setBusy(null);
    }
  };

  return (
    <FileDrop
      label="Import LiteLLM's spend logs"
      inputLabel="Spend log"
      accept=".json,.jsonl,.ndjson,.csv"
      busy={busy !== null}
      problem={error}
      onFile={(file) => void send(file)}
      input={input}
      className="mt-3"
    >
      <div className="flex flex-wrap items-center gap-4 px-5 py-4">
        <span className="grid size-11 shrink-0 place-items-center rounded-xl bg-sunken text-muted" aria-hidden>
          <Rows3 className="size-5" />
        </span>
        <div className="min-w-0 flex-1 basis-56">
          <h2 className="font-semibold">Calls that never passed the proxy</h2>
          <p className="mt-0.5 text-sm text-muted">
            Drop the spend logs of a LiteLLM here: JSON, JSON lines or CSV. Each row counts once and is priced here; prompts
            and answers are not read.
          </p>
        </div>
        <Choose
          label="As calls of"
          prefix="as"
          value={keyId}
          options={items.map((key) => ({ value: key.id, label: key.name, note: key.revoked_at ? "revoked" : undefined }))}
          onChange={setChosen}
        />
        <Button busy={busy !== null} onClick={() => input.current?.click()}>
          Choose a log
        </Button>
      </div>
      {done ? (
        <div className="border-t px-5 py-4 text-sm" aria-live="polite" data-testid="import-report">
          <p className="font-medium">
            {done.name}: {importedInWords(done.report)}
          </p>
          {done.report.refusals.length > 0 ? (
            <ul className="mt-2 flex flex-col gap-1 text-muted">
              {done.report.refusals.map((refusal) => (
                <li key={refusal.line}>
                  <span className="num">Line {refusal.line}</span> {refusal.detail}
                </li>
              ))}
            </ul>
          ) : null}
        </div>
      ) : null}
    </FileDrop>
  );
}
