// The people who are told by mail. Each is asked first; nothing else goes to an address that has not said yes.
import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2, UsersRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { recipientsQuery } from "@/api/queries";
import type { Recipient } from "@/api/types";
import { recipientWord } from "@/lib/notice-words";
import { WordBadge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Confirm, Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Empty, Problem, SkeletonRows } from "@/ui/states";
import { WishFields, WishTicks } from "./wishes";

const renew = () => void queryClient.invalidateQueries({ queryKey: recipientsQuery().queryKey });

export function PeopleCard() {
  const recipients = useQuery({ ...recipientsQuery(), refetchInterval: 15_000 });
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Recipient | null>(null);
  const items = recipients.data?.items ?? [];
  const add = (
    <Button size="small" onClick={() => setAdding(true)} icon={<Plus className="size-4" aria-hidden />}>
      Add somebody
    </Button>
  );
  return (
    <Card className="overflow-clip">
      <CardHead title="People" note="Told by mail, once they agree">
        {items.length > 0 ? add : null}
      </CardHead>
      {recipients.data && !recipients.data.mail_configured ? (
        <div className="px-4 pb-3">
          <Note tone="caution" title="This service has no mail server">
            Mail waits for some hours and then expires. Whoever runs Costlens sets one with <code className="font-mono text-xs">COSTLENS_SMTP_URL</code>.
          </Note>
        </div>
      ) : null}
      {recipients.isPending ? <SkeletonRows rows={3} label="Loading the people" /> : null}
      {recipients.isError ? <Problem error={recipients.error} retry={() => void recipients.refetch()} /> : null}
      {recipients.data && items.length === 0 ? (
        <Empty icon={<UsersRound />} title="Nobody is told by mail" action={add}>
          Add an address, and a mail asks whether it wants this. Only after it says yes does the weekly digest go there, and a
          word when a budget is reached or an hour costs surprisingly much.
        </Empty>
      ) : null}
      {items.length > 0 ? (
        <ul className="divide-y border-t">
          {items.map((recipient) => (
            <RecipientRow key={recipient.id} recipient={recipient} onRemove={() => setRemoving(recipient)} />
          ))}
        </ul>
      ) : null}
      <Dialog open={adding} onOpenChange={setAdding} title="Add somebody" description="A mail with a link asks the address first. The link works for seven days.">
        <AddForm onDone={() => setAdding(false)} />
      </Dialog>
      <RemoveDialog removing={removing} onClose={() => setRemoving(null)} />
    </Card>
  );
}

function RecipientRow({ recipient, onRemove }: { recipient: Recipient; onRemove: () => void }) {
  const update = api.useMutation("patch", "/api/v1/recipients/{id}", { onSettled: renew });
  const resend = api.useMutation("post", "/api/v1/recipients/{id}/confirmation");
  const params = { path: { id: recipient.id } };
  const isTold = recipient.confirmed_at && !recipient.stopped_at;
  const error = update.error ?? resend.error;
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_14rem]">
          <p className="truncate font-medium" title={recipient.email}>
            {recipient.email}
          </p>
          <p className="text-xs text-muted">
            {recipient.stopped_at ? (
              <>
                nothing goes there since <Moment at={recipient.stopped_at} />
              </>
            ) : recipient.confirmed_at ? (
              <>
                said yes <Moment at={recipient.confirmed_at} />
              </>
            ) : (
              <>
                added <Moment at={recipient.created_at} />
              </>
            )}
          </p>
        </div>
        <WordBadge word={recipientWord(recipient)} />
        <WishTicks
          value={update.isPending ? { ...recipient, ...update.variables.body } : recipient}
          name={recipient.email}
          disabled={update.isPending}
          onChange={(body) => update.mutate({ params, body })}
        />
        <span className="ml-auto flex items-center gap-1">
          {isTold ? null : (
            <Button weight="quiet" size="small" busy={resend.isPending} disabled={resend.isSuccess} onClick={() => resend.mutate({ params })} aria-label={`Ask ${recipient.email} again`}>
              {resend.isSuccess ? "Asked" : "Ask again"}
            </Button>
          )}
          <Button weight="quiet" size="icon" className="hover:!text-worse" onClick={onRemove} aria-label={`Remove ${recipient.email}`}>
            <Trash2 className="size-4" aria-hidden />
          </Button>
        </span>
      </div>
      {error ? <Problem error={error} /> : null}
    </li>
  );
}

function AddForm({ onDone }: { onDone: () => void }) {
  const [email, setEmail] = useState("");
  const [wishes, setWishes] = useState({ digest: true, alerts: true });
  const create = api.useMutation("post", "/api/v1/recipients", {
    onSuccess: () => {
      renew();
      onDone();
    },
  });
  const problem = create.error ? asApiError(create.error) : null;
  const emailProblem = fieldProblem(problem, "email");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { email: email.trim(), ...wishes } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="E-mail address"
        type="email"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        placeholder="someone@example.com"
        problem={emailProblem}
        required
        maxLength={254}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this address
        autoFocus
      />
      <WishFields value={wishes} onChange={setWishes} />
      {problem && !emailProblem ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={email.trim() === ""}>
          Ask this address
        </Button>
      </div>
    </form>
  );
}

function RemoveDialog({ removing, onClose }: { removing: Recipient | null; onClose: () => void }) {
  const remove = api.useMutation("delete", "/api/v1/recipients/{id}", {
    onSuccess: () => {
      renew();
      onClose();
    },
  });
  return (
    <Confirm
      open={removing !== null}
      onOpenChange={(open) => {
        if (open) return;
        remove.reset();
        onClose();
      }}
      title={`Remove ${removing?.email ?? ""}?`}
      action="Remove the address"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => (removing ? remove.mutate({ params: { path: { id: removing.id } } }) : undefined)}
    >
      Nothing goes there any more, and the address is forgotten. It can be added again, and is asked again then.
    </Confirm>
  );
}
