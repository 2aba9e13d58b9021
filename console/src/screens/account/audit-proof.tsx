// The audit as a chain: where it ends, whether every event is as it was written, and the export that proves it elsewhere.
import { useMutation } from "@tanstack/react-query";
import { Download, ShieldCheck } from "lucide-react";
import { api, client } from "@/api/client";
import type { AuditVerification } from "@/api/types";
import { headInWords, proofInWords, type Proof } from "@/lib/audit-words";
import { Button, buttonLook } from "@/ui/button";
import { Card } from "@/ui/card";
import { CopyButton } from "@/ui/copy";
import { Note } from "@/ui/note";
import { Problem } from "@/ui/states";

/** Goes through the whole chain, some thousands of events a call, up to its end or the first that is wrong. */
async function verified(): Promise<Proof> {
  let events = 0;
  let after: number | null = null;
  for (;;) {
    const query: { after?: number } = after === null ? {} : { after };
    const answer = await client.GET("/api/v1/audit/verification", { params: { query } });
    const part: AuditVerification | undefined = answer.data;
    if (!part) throw answer.error;
    events += part.events;
    const next = part.next_after ?? null;
    if (part.fault || next === null) return { events, to: part.to_seq, fault: part.fault ?? null };
    after = next;
  }
}

export function AuditProof() {
  const head = api.useQuery("get", "/api/v1/audit/head");
  const proof = useMutation({ mutationFn: verified });
  const words = proof.data ? proofInWords(proof.data) : null;
  return (
    <Card className="space-y-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <div className="min-w-0 grow">
          <h2 className="font-medium">Nothing here can be changed unseen</h2>
          <p className="text-sm text-muted">Each event carries the hash of the one before it.</p>
        </div>
        <Button icon={<ShieldCheck className="size-4" aria-hidden />} busy={proof.isPending} onClick={() => proof.mutate()}>
          Verify
        </Button>
        <a className={buttonLook("plain")} href="/api/v1/audit/export" download>
          <Download className="size-4" aria-hidden />
          Export
        </a>
      </div>
      {head.data ? (
        <p className="flex flex-wrap items-center gap-2 text-xs text-muted">
          <span className="[overflow-wrap:anywhere]">
            {headInWords(head.data.seq)} <code className="font-mono">{head.data.hash}</code>
          </span>
          <CopyButton text={`${head.data.seq}:${head.data.hash}`} label="Copy the head">
            Copy
          </CopyButton>
        </p>
      ) : null}
      <div role="status">{words ? <Note tone={words.tone}>{words.text}</Note> : null}</div>
      {proof.isError ? <Problem error={proof.error} retry={() => proof.mutate()} /> : null}
    </Card>
  );
}
