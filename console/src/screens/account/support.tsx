// Leave for whoever runs the service to read prompts and answers: given for hours, taken back at once, never unseen.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { supportGrantsQuery } from "@/api/queries";
import type { SupportGrant } from "@/api/types";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Problem, SkeletonRows } from "@/ui/states";

const HOURS = ["1", "4", "24", "72"] as const;

const refresh = () => void queryClient.invalidateQueries({ queryKey: supportGrantsQuery().queryKey });

export function SupportCard() {
  const grants = useQuery(supportGrantsQuery());
  const [asking, setAsking] = useState(false);
  const items = grants.data?.items ?? [];
  return (
    <Card>
      <CardHead title="Help from the operator" note="Whoever runs this service reads no prompt and no answer without your leave">
        <Button size="small" onClick={() => setAsking(true)}>
          Give leave
        </Button>
      </CardHead>
      {grants.isPending ? <SkeletonRows rows={1} label="Loading the leaves that were given" /> : null}
      {grants.isError ? <Problem error={grants.error} retry={() => void grants.refetch()} /> : null}
      {grants.data && items.length === 0 ? <p className="px-4 pb-4 text-sm text-muted">No leave was ever given.</p> : null}
      {items.length > 0 ? (
        <ul className="divide-y border-t">
          {items.map((grant) => (
            <GrantRow key={grant.id} grant={grant} />
          ))}
        </ul>
      ) : null}
      <Dialog
        open={asking}
        onOpenChange={setAsking}
        title="Let the operator read prompts and answers"
        description="For some hours. Each time one is read stands in the account’s audit. You can take it back at once."
      >
        <GrantForm onDone={() => setAsking(false)} />
      </Dialog>
    </Card>
  );
}

function GrantRow({ grant }: { grant: SupportGrant }) {
  const revoke = api.useMutation("delete", "/api/v1/support-grants/{id}", { onSuccess: refresh });
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
      <span className="min-w-0 flex-[1_1_12rem] [overflow-wrap:anywhere]">{grant.reason}</span>
      {grant.holds ? (
        <>
          <span className="text-muted">
            ends <Moment at={grant.expires_at} ahead />
          </span>
          <Badge tone="caution">Holds</Badge>
          <Button weight="danger" size="small" busy={revoke.isPending} aria-label={`Take back: ${grant.reason}`} onClick={() => revoke.mutate({ params: { path: { id: grant.id } } })}>
            Take back
          </Button>
        </>
      ) : (
        <span className="text-muted">
          {grant.revoked_at ? "taken back " : "over since "}
          <Moment at={grant.revoked_at ?? grant.expires_at} />
        </span>
      )}
      {revoke.error ? <Problem error={revoke.error} /> : null}
    </li>
  );
}

function GrantForm({ onDone }: { onDone: () => void }) {
  const [reason, setReason] = useState("");
  const [hours, setHours] = useState<(typeof HOURS)[number]>("4");
  const create = api.useMutation("post", "/api/v1/support-grants", {
    onSuccess: () => {
      refresh();
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const reasonProblem = fieldProblem(problem, "reason");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { hours: Number(hours), reason: reason.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="What for"
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        placeholder="Answers break off since this morning"
        problem={reasonProblem}
        required
        maxLength={500}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this
        autoFocus
      />
      <Labelled label="For">
        <Choose wide label="For" value={hours} options={HOURS.map((value) => ({ value, label: value === "1" ? "1 hour" : `${value} hours` }))} onChange={setHours} />
      </Labelled>
      {problem && !reasonProblem ? <Problem error={problem} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" weight="primary" busy={create.isPending} disabled={reason.trim() === ""}>
          Give leave
        </Button>
      </div>
    </form>
  );
}
