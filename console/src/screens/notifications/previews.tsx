// How each kind of message looks, over made-up figures: as mail, as plain text, and as Slack shows it.
import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { messageKindsQuery } from "@/api/queries";
import { mailPage } from "@/lib/mail-page";
import { messageKind } from "@/lib/notice-words";
import { buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Segments } from "@/ui/segments";
import { Problem, Skeleton, SkeletonRows } from "@/ui/states";
import { SlackMessage } from "./slack-message";

type Medium = "mail" | "text" | "slack";

export function Previews({ kind, onKind }: { kind: string | undefined; onKind: (kind: string) => void }) {
  const kinds = useQuery(messageKindsQuery());
  const items = kinds.data?.items ?? [];
  const shown = items.find(({ name }) => name === kind) ?? items[0];
  const [medium, setMedium] = useState<Medium>("mail");
  if (kinds.isError) return <Problem error={kinds.error} retry={() => void kinds.refetch()} />;
  if (!shown) return <SkeletonRows label="Loading the kinds of messages" />;
  const media: { value: Medium; label: string }[] = [
    { value: "mail", label: "Mail" },
    { value: "text", label: "Plain text" },
    ...(shown.slack ? [{ value: "slack" as const, label: "Slack" }] : []),
  ];
  const chosen = media.some(({ value }) => value === medium) ? medium : "mail";
  return (
    <Card className="overflow-clip">
      <div className="flex flex-wrap items-center gap-2 border-b px-4 py-3">
        <Choose label="Message" value={shown.name} options={items.map(({ name }) => ({ value: name, label: messageKind(name) }))} onChange={onKind} />
        <Segments label="Medium" value={chosen} options={media} onChange={setMedium} />
        <span className="text-xs text-muted">The figures are made up.</span>
      </div>
      <Preview kind={shown.name} medium={chosen} />
    </Card>
  );
}

function Preview({ kind, medium }: { kind: string; medium: Medium }) {
  const preview = useQuery(api.queryOptions("get", "/api/v1/message-kinds/{kind}/preview", { params: { path: { kind } } }, { staleTime: 600_000 }));
  if (preview.isPending) return <Skeleton className="m-4 h-96" />;
  if (preview.isError) return <Problem error={preview.error} retry={() => void preview.refetch()} />;
  const { subject, html, text, slack } = preview.data;
  if (medium === "slack") {
    return (
      <div className="p-4">
        <SlackMessage message={slack} />
      </div>
    );
  }
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b px-4 py-2.5 text-sm">
        <span className="text-muted">Subject</span>
        <span className="min-w-0 flex-1 font-medium">{subject}</span>
        {medium === "mail" ? (
          <a className={buttonLook("quiet", "small")} href={`data:text/html;charset=utf-8,${encodeURIComponent(html)}`} download={`${kind}.html`}>
            <Download className="size-3.5" aria-hidden /> HTML
          </a>
        ) : null}
      </div>
      {medium === "mail" ? (
        <iframe title={`The mail “${subject}”`} sandbox="" srcDoc={mailPage(html)} className="block h-[70dvh] min-h-96 w-full bg-white scheme-light" />
      ) : (
        <pre
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a region that scrolls must be reachable by keyboard
          tabIndex={0}
          aria-label="The mail as plain text"
          className="overflow-x-auto whitespace-pre-wrap break-words p-4 font-mono text-xs leading-5 outline-offset-[-3px]"
        >
          {text}
        </pre>
      )}
    </>
  );
}
