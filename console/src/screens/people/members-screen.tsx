// Who belongs to the organisation, as what, and who is asked to.
import { useQuery } from "@tanstack/react-query";
import { Mail, Trash2, UserPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { invitationsQuery, keysQuery, membersQuery, sessionQuery, tenantQuery } from "@/api/queries";
import type { Invitation, Member, Role } from "@/api/types";
import { isAtLeast, roleLabel, rolesUpTo } from "@/lib/people-words";
import { useNow } from "@/shell/hooks";
import { PageHead } from "@/shell/page";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { Choose } from "@/ui/choose";
import { CopyButton } from "@/ui/copy";
import { Confirm, Dialog } from "@/ui/dialog";
import { Labelled, TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Problem, SkeletonRows } from "@/ui/states";
import { Tick } from "@/ui/tick";
import { knownKeysInWords, knownTo } from "@/screens/keys/shown-to";
import { SingleSignOnCard } from "./single-sign-on";

const renew = () => {
  void queryClient.invalidateQueries({ queryKey: membersQuery().queryKey });
  void queryClient.invalidateQueries({ queryKey: invitationsQuery().queryKey });
};

export function MembersScreen() {
  const { data: session } = useQuery(sessionQuery());
  const [inviting, setInviting] = useState(false);
  if (!session) return null;
  const runs = isAtLeast(session.role, "admin");
  return (
    <>
      <PageHead title="Members" note={session.tenant_name}>
        {runs ? (
          <Button weight="primary" onClick={() => setInviting(true)} icon={<UserPlus className="size-4" aria-hidden />}>
            Invite somebody
          </Button>
        ) : null}
      </PageHead>
      <div className="flex flex-col gap-4">
        <MemberCard own={session.user?.id ?? null} role={session.role} />
        {runs ? <InvitationCard /> : null}
        {runs ? <SingleSignOnCard /> : null}
        {runs ? <PolicyCard /> : null}
      </div>
      <Dialog open={inviting} onOpenChange={setInviting} title="Invite somebody" description="A mail brings a link that works once, for seven days.">
        <InviteForm role={session.role} onDone={() => setInviting(false)} />
      </Dialog>
    </>
  );
}

function MemberCard({ own, role }: { own: string | null; role: Role }) {
  const members = useQuery(membersQuery());
  const keys = useQuery(keysQuery()).data?.items ?? [];
  const now = useNow(60_000);
  const [removing, setRemoving] = useState<Member | null>(null);
  const remove = api.useMutation("delete", "/api/v1/members/{user_id}", {
    onSuccess: () => {
      setRemoving(null);
      renew();
    },
  });
  return (
    <Card className="overflow-clip">
      <CardHead title="Who belongs here" note={members.data ? `${members.data.items.length}` : undefined} />
      {members.isPending ? <SkeletonRows rows={3} label="Loading the members" /> : null}
      {members.isError ? <Problem error={members.error} retry={() => void members.refetch()} /> : null}
      {members.data?.items.length === 0 ? (
        <p className="border-t px-4 py-6 text-muted">Nobody yet: you came by a link of the operator. Invite yourself by your address, and you can sign in without one.</p>
      ) : null}
      <ul className="divide-y border-t empty:border-0">
        {members.data?.items.map((member) => (
          <MemberRow key={member.user_id} member={member} isOwn={member.user_id === own} role={role} onRemove={() => setRemoving(member)} />
        ))}
      </ul>
      <Confirm
        open={removing !== null}
        onOpenChange={(open) => {
          if (open) return;
          remove.reset();
          setRemoving(null);
        }}
        title={`Remove ${removing?.name ?? ""}?`}
        action="Remove"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => (removing ? remove.mutate({ params: { path: { user_id: removing.user_id } } }) : undefined)}
      >
        Every session here ends at once. What the member made, keys and budgets, stays. {removing ? knownKeysInWords(knownTo(keys, removing.user_id, now)) : null}
      </Confirm>
    </Card>
  );
}

function MemberRow({ member, isOwn, role, onRemove }: { member: Member; isOwn: boolean; role: Role; onRemove: () => void }) {
  const update = api.useMutation("patch", "/api/v1/members/{user_id}", { onSettled: renew });
  const decides = isAtLeast(role, "admin") && isAtLeast(role, member.role);
  return (
    <li className="px-4 py-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-[1_1_14rem]">
          <p className="truncate font-medium">
            {member.name} {isOwn ? <span className="font-normal text-muted">(you)</span> : null}
          </p>
          <p className="truncate text-xs text-muted">
            {member.email}, since <Moment at={member.joined_at} />
          </p>
        </div>
        {member.second_factor ? <Badge tone="good">two factors</Badge> : null}
        {decides ? (
          <Choose
            label={`Role of ${member.name}`}
            value={update.isPending ? update.variables.body.role : member.role}
            options={rolesUpTo(role)}
            onChange={(next) => update.mutate({ params: { path: { user_id: member.user_id } }, body: { role: next } })}
          />
        ) : (
          <Badge>{roleLabel(member.role)}</Badge>
        )}
        {decides || isOwn ? (
          <Button weight="quiet" size="icon" className="hover:!text-worse" onClick={onRemove} aria-label={`Remove ${member.name}`}>
            <Trash2 className="size-4" aria-hidden />
          </Button>
        ) : null}
      </div>
      {update.error ? <Problem error={update.error} /> : null}
    </li>
  );
}

const MAIL: Record<string, string> = {
  queued: "the mail waits",
  sending: "the mail is going out",
  sent: "the mail was sent",
  unknown: "the mail may have arrived",
  refused: "the mail was refused",
  expired: "the mail came too late",
};

function InvitationCard() {
  const invitations = useQuery({ ...invitationsQuery(), refetchInterval: 15_000 });
  const revoke = api.useMutation("delete", "/api/v1/invitations/{id}", { onSettled: renew });
  const items = invitations.data?.items ?? [];
  if (invitations.isError) return <Problem error={invitations.error} retry={() => void invitations.refetch()} />;
  if (items.length === 0) return null;
  return (
    <Card className="overflow-clip">
      <CardHead title="Invited" note="They have not answered yet" />
      <ul className="divide-y border-t">
        {items.map((invitation: Invitation) => (
          <li key={invitation.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
            <Mail className="size-4 text-muted" aria-hidden />
            <div className="min-w-0 flex-[1_1_14rem]">
              <p className="truncate font-medium">{invitation.email}</p>
              <p className="text-xs text-muted">
                as {roleLabel(invitation.role).toLowerCase()}, {MAIL[invitation.mail] ?? invitation.mail}; ends <Moment at={invitation.expires_at} ahead />
              </p>
            </div>
            <Button
              weight="quiet"
              size="small"
              busy={revoke.isPending && revoke.variables.params.path.id === invitation.id}
              onClick={() => revoke.mutate({ params: { path: { id: invitation.id } } })}
              aria-label={`Take the invitation of ${invitation.email} back`}
            >
              Take back
            </Button>
          </li>
        ))}
      </ul>
      {revoke.error ? <Problem error={revoke.error} /> : null}
    </Card>
  );
}

function InviteForm({ role, onDone }: { role: Role; onDone: () => void }) {
  const [email, setEmail] = useState("");
  const [as, setAs] = useState<Role>("member");
  const create = api.useMutation("post", "/api/v1/invitations", { onSuccess: renew });
  const problem = create.error ? asApiError(create.error) : null;
  const emailProblem = fieldProblem(problem, "email");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { email: email.trim(), role: as } });
  };
  if (create.data) {
    return (
      <div role="status" className="flex flex-col gap-3">
        <p className="text-muted">
          {create.data.link
            ? `No mail is sent here: hand this link on to ${create.data.email} yourself. It is shown once, and whoever has it can join.`
            : `A mail is on its way to ${create.data.email}. Its link works once, for seven days.`}
        </p>
        {create.data.link ? (
          <div className="flex items-center gap-2 rounded-lg border bg-sunken px-3 py-2">
            <code className="min-w-0 flex-1 truncate font-mono text-xs">{create.data.link}</code>
            <CopyButton text={create.data.link} label="Copy the link" />
          </div>
        ) : null}
        <div className="flex justify-end">
          <Button weight="primary" onClick={onDone}>
            Done
          </Button>
        </div>
      </div>
    );
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="E-mail address"
        type="email"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        problem={emailProblem}
        required
        maxLength={254}
        autoComplete="off"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog was opened to type this address
        autoFocus
      />
      <Labelled label="Role">
        <Choose label="Role" value={as} options={rolesUpTo(role)} onChange={setAs} wide />
      </Labelled>
      {problem && !emailProblem ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={create.isPending} disabled={email.trim() === ""}>
          Invite
        </Button>
      </div>
    </form>
  );
}

function PolicyCard() {
  const tenant = useQuery(tenantQuery());
  const [name, setName] = useState<string | null>(null);
  const update = api.useMutation("patch", "/api/v1/tenant", {
    onSuccess: (changed) => {
      queryClient.setQueryData(tenantQuery().queryKey, changed);
      void queryClient.invalidateQueries({ queryKey: sessionQuery().queryKey });
      setName(null);
    },
  });
  if (!tenant.data) return null;
  const shown = name ?? tenant.data.name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    update.mutate({ body: { name: shown } });
  };
  return (
    <Card className="max-w-2xl p-5">
      <h2 className="text-base font-semibold">The organisation</h2>
      <form onSubmit={submit} className="mt-3 flex items-end gap-2">
        <TextField label="Name" className="flex-1" required maxLength={200} value={shown} onChange={(event) => setName(event.target.value)} />
        <Button type="submit" busy={update.isPending} disabled={shown === tenant.data.name}>
          Rename
        </Button>
      </form>
      <div className="mt-4">
        <Tick
          label="Everybody signs in anew after an hour"
          checked={tenant.data.one_hour_sign_in}
          disabled={update.isPending}
          onChange={(event) => update.mutate({ body: { one_hour_sign_in: event.target.checked } })}
        />
        <p className="mt-1 text-sm text-muted">Owners and admins always do, and everybody while an AWS account is connected. Others may stay for up to seven days in the browser they use.</p>
      </div>
      {update.error ? (
        <Note tone="worse" title="Nothing was changed" className="mt-3">
          {asApiError(update.error).message}
        </Note>
      ) : null}
    </Card>
  );
}
