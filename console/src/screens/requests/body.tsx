// The prompt and the answer of a call, behind a button: reading them is written down.
import { useQuery } from "@tanstack/react-query";
import { Eye } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import type { RequestBody, RequestRow } from "@/api/types";
import { absenceInWords, bodyInWords, readableBody } from "@/lib/privacy-words";
import { sizeInWords } from "@/lib/size";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Moment } from "@/ui/moment";
import { Problem, Skeleton } from "@/ui/states";

export function BodySection({ row }: { row: RequestRow }) {
  const [shown, setShown] = useState(false);
  const isKept = row.body === "sealed" || row.body === "truncated";
  return (
    <section aria-label="Prompt and answer" className="rounded-card border p-4">
      <h3 className="mb-1 text-sm font-medium">Prompt and answer</h3>
      {shown ? (
        <Body id={row.id} />
      ) : (
        <>
          <p className="text-sm text-muted">{bodyInWords(row.body)}</p>
          {isKept ? (
            <div className="mt-3 flex flex-wrap items-center gap-3">
              <Button size="small" icon={<Eye className="size-4" aria-hidden />} onClick={() => setShown(true)}>
                Show them
              </Button>
              <span className="text-xs text-muted">That you read them is written into the account’s audit.</span>
            </div>
          ) : null}
        </>
      )}
    </section>
  );
}

function Body({ id }: { id: string }) {
  // Each look is one event of the audit: it is asked for once, and not again behind somebody's back.
  const body = useQuery(
    api.queryOptions("get", "/api/v1/requests/{id}/body", { params: { path: { id } } }, { staleTime: Infinity, gcTime: 0, retry: false, refetchOnWindowFocus: false, refetchOnReconnect: false }),
  );
  if (body.isPending) return <Skeleton className="mt-2 h-40" />;
  if (body.isError) return <Problem error={body.error} retry={() => void body.refetch()} />;
  const absence = absenceInWords(body.data);
  if (absence) return <p className="text-sm text-muted">{absence}</p>;
  return (
    <>
      <p className="text-sm text-muted">
        {body.data.redacted ? "Personal data was taken out before they were kept. " : ""}
        {body.data.expires_at ? (
          <>
            Kept until <Moment at={body.data.expires_at} ahead />.
          </>
        ) : (
          "Kept for ever."
        )}
      </p>
      <Text title="Prompt" text={body.data.request} passed={body.data.request_bytes} state={body.data.state} />
      <Text title="Answer" text={body.data.response} passed={body.data.response_bytes} state={body.data.state} />
    </>
  );
}

interface TextProps {
  title: string;
  text: string | null | undefined;
  passed: number | null | undefined;
  state: RequestBody["state"];
}

function Text({ title, text, passed, state }: TextProps) {
  if (text === null || text === undefined) return null;
  return (
    <div className="mt-3">
      <div className="flex items-center gap-2">
        <h4 className="text-sm font-medium">{title}</h4>
        {passed === null || passed === undefined ? null : <span className="num text-xs text-muted">{sizeInWords(passed)} passed{state === "truncated" ? "; the end may be missing" : ""}</span>}
        <CopyButton text={text} label={`Copy: ${title}`} className="-my-1 ml-auto" />
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a text that scrolls must be reachable by keys */}
      <pre tabIndex={0} aria-label={title} className="mt-1 max-h-80 overflow-auto rounded-lg bg-sunken p-2.5 font-mono text-xs leading-5 [overflow-wrap:anywhere] whitespace-pre-wrap">
        {text === "" ? "(empty)" : readableBody(text)}
      </pre>
    </div>
  );
}
