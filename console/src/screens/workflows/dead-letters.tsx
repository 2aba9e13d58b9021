// Brings dead letters back, or puts them away, many at a time: first how many, then why.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import type { DeadLetters } from "@/api/types";
import { JOB_CLASSES } from "@/lib/job-words";
import { TextField } from "@/ui/field";
import { Note } from "@/ui/note";
import { ReasonDialog } from "./reason-dialog";

export type DeadLetterAct = "redrive" | "discard";

const WORDS: Record<DeadLetterAct, { title: string; description: string; action: string }> = {
  redrive: { title: "Bring dead letters back", description: "They are due again, the oldest first, a few in each second, so that what failed together does not return together.", action: "Redrive" },
  discard: { title: "Put dead letters away", description: "They are never tried again. This cannot be undone.", action: "Discard" },
};

/** A whole number of 1 to `most`; `null` for anything else. */
function wholeNumber(text: string, most: number): number | null {
  return /^\d{1,6}$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= most ? Number(text) : null;
}

function inWords({ queue, error_class, tenant_id }: DeadLetters): string {
  const parts = [queue ? `of ${queue}` : null, error_class ? `that failed as “${JOB_CLASSES[error_class].label}”` : null, tenant_id ? `of ${tenant_id}` : null];
  const given = parts.filter((part) => part !== null);
  return given.length === 0 ? "every dead letter of every tenant" : `dead letters ${given.join(" ")}`;
}

export function DeadLetterDialogs({ act, which, onClose }: { act: DeadLetterAct | null; which: DeadLetters; onClose: () => void }) {
  return act ? <DeadLetterDialog key={act} act={act} which={which} onClose={onClose} /> : null;
}

function DeadLetterDialog({ act, which: filters, onClose }: { act: DeadLetterAct; which: DeadLetters; onClose: () => void }) {
  const which: DeadLetters = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined));
  const preview = useQuery(api.queryOptions("post", "/api/v1/operator/redrive/preview", { body: which }, { staleTime: 0, gcTime: 0 }));
  const [most, setMost] = useState("1000");
  const [perSecond, setPerSecond] = useState("10");
  const [done, setDone] = useState<number | null>(null);
  const onSuccess = ({ jobs }: { jobs: number }) => {
    setDone(jobs);
    void queryClient.invalidateQueries();
  };
  const redrive = api.useMutation("post", "/api/v1/operator/redrive", { onSuccess });
  const discard = api.useMutation("post", "/api/v1/operator/discard", { onSuccess });
  const acting = act === "redrive" ? redrive : discard;
  const howMany = wholeNumber(most, 10_000);
  const howFast = wholeNumber(perSecond, 1000);
  const fits = preview.data?.jobs;
  return (
    <ReasonDialog
      open
      title={WORDS[act].title}
      description={WORDS[act].description}
      action={WORDS[act].action}
      danger={act === "discard"}
      busy={acting.isPending}
      done={done !== null}
      error={acting.error ?? preview.error}
      onClose={onClose}
      onReason={(reason) => {
        if (howMany === null || howFast === null) return;
        if (act === "redrive") redrive.mutate({ body: { which, reason, most: howMany, per_second: howFast } });
        else discard.mutate({ body: { which, reason, most: howMany } });
      }}
    >
      {done === null ? (
        <Note tone={fits ? "caution" : "neutral"} title={fits === undefined ? "Counting…" : `${fits.toLocaleString("en-US")} fit: ${inWords(which)}`}>
          The list&apos;s filters choose which: queue, failure and tenant.
        </Note>
      ) : (
        <Note tone="good" title={`${done.toLocaleString("en-US")} ${act === "redrive" ? "come back" : "were put away"}`} />
      )}
      <div className="grid grid-cols-2 gap-4">
        <TextField label="At most" value={most} inputMode="numeric" onChange={(event) => setMost(event.target.value)} problem={howMany === null ? "1 to 10000" : undefined} />
        {act === "redrive" ? (
          <TextField label="In each second" value={perSecond} inputMode="numeric" onChange={(event) => setPerSecond(event.target.value)} problem={howFast === null ? "1 to 1000" : undefined} />
        ) : null}
      </div>
    </ReasonDialog>
  );
}
