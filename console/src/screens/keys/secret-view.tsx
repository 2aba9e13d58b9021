// The secret, the lines to paste, and then the wait for the first call.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, LoaderCircle, TriangleAlert } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { connectionsQuery } from "@/api/queries";
import type { CreatedKey, RequestRow } from "@/api/types";
import { DEMO_MODEL, LANGUAGE_LABELS, LANGUAGES, type Language, snippet } from "@/lib/snippets";
import { duration } from "@/lib/time";
import { OUTCOME_WORDS } from "@/lib/words";
import { Amount } from "@/ui/amount";
import { Button } from "@/ui/button";
import { Choose } from "@/ui/choose";
import { CodeBlock } from "@/ui/copy";
import { Tabs } from "@/ui/tabs";
import { hintOf } from "./hint";

export interface SecretViewProps {
  created: CreatedKey;
  stored: boolean;
  onStored: () => void;
  onDone: () => void;
}

export function SecretView({ created, stored, onStored, onDone }: SecretViewProps) {
  const [language, setLanguage] = useState<Language>("curl");
  const connections = useQuery(connectionsQuery());
  const models = [...new Set([DEMO_MODEL, ...(connections.data?.items ?? []).flatMap((connection) => connection.models)])];
  const [model, setModel] = useState<string>(DEMO_MODEL);
  const shown = stored ? hintOf(created.key) : created.secret;
  return (
    <div className="flex flex-col gap-4">
      {stored ? null : <CodeBlock code={created.secret} label="The secret" wrap />}
      <div>
        <Tabs
          label="Language"
          value={language}
          onChange={setLanguage}
          tabs={LANGUAGES.map((value) => ({ value, label: LANGUAGE_LABELS[value] }))}
        >
          <div className="pt-3">
            <CodeBlock code={snippet(language, window.location.origin, shown, model)} label={`A first call in ${LANGUAGE_LABELS[language]}`} />
          </div>
        </Tabs>
        {models.length > 1 ? (
          <div className="mt-2">
            <Choose label="Model" prefix="Model" value={model} options={models.map((value) => ({ value, label: value }))} onChange={setModel} />
          </div>
        ) : (
          <p className="mt-2 text-xs text-muted">{DEMO_MODEL} is built in and needs no vendor key.</p>
        )}
      </div>
      <FirstRequest keyId={created.key.id} leave={stored} />
      <div className="flex justify-end gap-2">
        {stored ? (
          <Button onClick={onDone}>Close</Button>
        ) : (
          <Button weight="primary" onClick={onStored}>
            I have stored it
          </Button>
        )}
      </div>
    </div>
  );
}

/** `leave` offers the way to the receipt, which closes the dialog: not before the secret is stored. */
function FirstRequest({ keyId, leave }: { keyId: string; leave: boolean }) {
  const { data } = useQuery(
    api.queryOptions(
      "get",
      "/api/v1/requests",
      { params: { query: { api_key_id: keyId, limit: 1 } } },
      { refetchInterval: (query) => (query.state.data?.items.length ? false : 1_000), staleTime: 0 },
    ),
  );
  const first = data?.items[0];
  return (
    <div role="status" className="flex min-h-12 items-center gap-3 rounded-lg border bg-sunken px-4 py-2.5">
      {first ? (
        <Arrived row={first} leave={leave} />
      ) : (
        <>
          <LoaderCircle className="size-5 shrink-0 animate-spin text-muted" aria-hidden />
          <span className="text-muted">Waiting for the first request…</span>
        </>
      )}
    </div>
  );
}

function Arrived({ row, leave }: { row: RequestRow; leave: boolean }) {
  const good = row.outcome === "completed";
  return (
    <>
      {good ? (
        <CircleCheck className="size-5 shrink-0 text-accent-ink" aria-hidden />
      ) : (
        <TriangleAlert className="size-5 shrink-0 text-caution" aria-hidden />
      )}
      <span className="min-w-0 flex-1">
        {good ? "Received" : OUTCOME_WORDS[row.outcome].label} {row.status ?? ""} in {duration(row.duration_ms)},{" "}
        <Amount value={row.cost} currency={row.currency} className="font-medium" />
      </span>
      {leave ? (
        <Link to="/requests" search={{ id: row.id }} className="shrink-0 font-medium text-accent-ink hover:underline">
          Receipt
        </Link>
      ) : null}
    </>
  );
}
