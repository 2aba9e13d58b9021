// One's own user: name, password, second factor, who else vouches, and where one is signed in.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { sessionQuery, signInOptionsQuery, signInsQuery, userQuery } from "@/api/queries";
import type { SecondFactorSetup, SignIn, User } from "@/api/types";
import { browserLabel, issuerLabel, methodLabel } from "@/lib/people-words";
import { PageHead } from "@/shell/page";
import { Badge } from "@/ui/badge";
import { Button, buttonLook } from "@/ui/button";
import { Card, CardHead } from "@/ui/card";
import { CopyButton } from "@/ui/copy";
import { Confirm, Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Moment } from "@/ui/moment";
import { Note } from "@/ui/note";
import { Problem, SkeletonRows } from "@/ui/states";
import { PasswordField } from "./password-field";
import { QrCode } from "./qr-code";

const renew = () => void queryClient.invalidateQueries({ queryKey: userQuery().queryKey });

export function ProfileScreen() {
  const { data: session } = useQuery(sessionQuery());
  const user = useQuery({ ...userQuery(), enabled: Boolean(session?.user) });
  if (session && !session.user) {
    return (
      <>
        <PageHead title="Profile" />
        <Note tone="caution" title="You came by a link of the operator">
          It lets somebody in, and says nothing of who that is. Invite yourself under Members, and this page is yours.
        </Note>
      </>
    );
  }
  return (
    <>
      <PageHead title="Profile" note={user.data?.email} />
      {user.isPending ? <SkeletonRows rows={4} label="Loading your profile" /> : null}
      {user.isError ? <Problem error={user.error} retry={() => void user.refetch()} /> : null}
      {user.data ? (
        <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
          <div className="grid grid-cols-1 gap-4">
            <NameCard user={user.data} />
            <FactorCard user={user.data} />
          </div>
          <div className="grid grid-cols-1 gap-4">
            <PasswordCard user={user.data} />
            <IdentityCard user={user.data} />
          </div>
          <SignInCard />
        </div>
      ) : null}
    </>
  );
}

function NameCard({ user }: { user: User }) {
  const [name, setName] = useState(user.name);
  const update = api.useMutation("patch", "/api/v1/user", {
    onSuccess: () => {
      renew();
      void queryClient.invalidateQueries({ queryKey: sessionQuery().queryKey });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    update.mutate({ body: { name } });
  };
  return (
    <Card className="p-5">
      <h2 className="text-base font-semibold">Name</h2>
      <form onSubmit={submit} className="mt-3 flex items-end gap-2">
        <TextField label="What others see" className="flex-1" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        <Button type="submit" busy={update.isPending} disabled={name.trim() === "" || name === user.name}>
          Save
        </Button>
      </form>
      {update.error ? <Problem error={update.error} /> : null}
    </Card>
  );
}

function PasswordCard({ user }: { user: User }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const change = api.useMutation("put", "/api/v1/user/password", {
    onSuccess: () => {
      setCurrent("");
      setNext("");
      renew();
      void queryClient.invalidateQueries({ queryKey: signInsQuery().queryKey });
    },
  });
  const problem = change.error ? asApiError(change.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate({ body: { new: next, ...(user.has_password ? { current } : {}) } });
  };
  return (
    <Card className="p-5">
      <h2 className="text-base font-semibold">Password</h2>
      <form onSubmit={submit} className="mt-3 flex flex-col gap-3">
        {user.has_password ? (
          <TextField label="Password so far" type="password" autoComplete="current-password" required value={current} onChange={(event) => setCurrent(event.target.value)} />
        ) : null}
        <PasswordField label="New password" value={next} onChange={setNext} problem={fieldProblem(problem, "new")} />
        {problem && !fieldProblem(problem, "new") ? <Problem error={problem} /> : null}
        {change.isSuccess ? <p role="status">It is changed. Every other sign-in has ended.</p> : null}
        <div>
          <Button type="submit" busy={change.isPending} disabled={next === ""}>
            {user.has_password ? "Change the password" : "Set a password"}
          </Button>
        </div>
      </form>
    </Card>
  );
}

function FactorCard({ user }: { user: User }) {
  const [setup, setSetup] = useState<SecondFactorSetup | null>(null);
  const [codes, setCodes] = useState<readonly string[] | null>(null);
  const [removing, setRemoving] = useState(false);
  const begin = api.useMutation("post", "/api/v1/user/second-factor", { onSuccess: setSetup });
  const replace = api.useMutation("post", "/api/v1/user/recovery-codes", {
    onSuccess: (made) => {
      setCodes(made.codes);
      renew();
    },
  });
  const remove = api.useMutation("delete", "/api/v1/user/second-factor", {
    onSuccess: () => {
      setRemoving(false);
      renew();
    },
  });
  const error = begin.error ?? replace.error;
  return (
    <Card className="p-5">
      <h2 className="flex items-center gap-2 text-base font-semibold">
        Second factor {user.second_factor ? <Badge tone="good">on</Badge> : <Badge>off</Badge>}
      </h2>
      <p className="mt-1 text-muted">
        {user.second_factor
          ? `An authenticator's code is asked for with the password. ${user.recovery_codes_left} recovery codes are left.`
          : "A code of an authenticator app, asked for with the password: who has one of the two alone stays out."}
      </p>
      {error ? <Problem error={error} /> : null}
      <div className="mt-4 flex flex-wrap gap-2">
        {user.second_factor ? (
          <>
            <Button busy={replace.isPending} onClick={() => replace.mutate({})}>
              New recovery codes
            </Button>
            <Button weight="danger" onClick={() => setRemoving(true)}>
              Switch it off
            </Button>
          </>
        ) : (
          <Button weight="primary" busy={begin.isPending} disabled={!user.has_password} onClick={() => begin.mutate({})}>
            Set it up
          </Button>
        )}
      </div>
      <Dialog open={setup !== null} onOpenChange={(open) => (open ? undefined : setSetup(null))} title="Set up the second factor" description="Read the picture with an authenticator app, then enter the code that it shows.">
        {setup ? (
          <SetupForm
            setup={setup}
            onDone={(made) => {
              setSetup(null);
              setCodes(made);
              renew();
            }}
          />
        ) : null}
      </Dialog>
      <Dialog open={codes !== null} onOpenChange={(open) => (open ? undefined : setCodes(null))} title="Recovery codes" description="Each stands in for the authenticator once. They are shown now and never again: keep them where the authenticator is not." held>
        <ol className="grid gap-1 rounded-lg border bg-sunken p-3 font-mono text-xs">
          {codes?.map((code) => (
            <li key={code} className="truncate">
              {code}
            </li>
          ))}
        </ol>
        <div className="mt-4 flex items-center justify-between gap-2">
          <CopyButton text={codes?.join("\n") ?? ""} label="Copy the codes">
            Copy
          </CopyButton>
          <Button weight="primary" onClick={() => setCodes(null)}>
            I have kept them
          </Button>
        </div>
      </Dialog>
      <Confirm open={removing} onOpenChange={setRemoving} title="Switch the second factor off?" action="Switch it off" busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate({})}>
        From then on the password alone signs in.
      </Confirm>
    </Card>
  );
}

function SetupForm({ setup, onDone }: { setup: SecondFactorSetup; onDone: (codes: readonly string[]) => void }) {
  const [code, setCode] = useState("");
  const confirm = api.useMutation("post", "/api/v1/user/second-factor/confirm", { onSuccess: (made) => onDone(made.codes) });
  const problem = confirm.error ? asApiError(confirm.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    confirm.mutate({ body: { code: code.trim() } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <QrCode rows={setup.qr} label="The second factor as a QR code" />
      <div className="flex items-center gap-2 text-sm">
        <span className="text-muted">or type</span>
        <code className="min-w-0 flex-1 break-all font-mono text-xs">{setup.secret}</code>
        <CopyButton text={setup.secret} label="Copy the secret" />
      </div>
      <TextField label="Code" inputMode="numeric" autoComplete="one-time-code" required value={code} onChange={(event) => setCode(event.target.value)} problem={fieldProblem(problem, "code")} />
      {problem && !fieldProblem(problem, "code") ? <Problem error={problem} /> : null}
      <div className="flex justify-end">
        <Button type="submit" weight="primary" busy={confirm.isPending} disabled={code.trim().length < 6}>
          Confirm
        </Button>
      </div>
    </form>
  );
}

const PROVIDERS: Record<string, string> = { google: "Google", github: "GitHub" };

function IdentityCard({ user }: { user: User }) {
  const options = useQuery(signInOptionsQuery());
  const unlink = api.useMutation("delete", "/api/v1/user/identities", { onSettled: renew });
  const depart = api.useMutation("post", "/api/v1/single-sign-on/trips", { onSuccess: ({ url }) => window.location.assign(url) });
  const offered = options.data?.providers ?? [];
  const local = options.data ? !options.data.clerk : false;
  if (!local && user.identities.length === 0) return null;
  return (
    <Card className="overflow-clip">
      <CardHead title="Who else vouches for you" />
      <ul className="divide-y border-t">
        {user.identities.map((identity) => (
          <li key={identity.issuer} className="flex flex-wrap items-center gap-3 px-4 py-3">
            <div className="min-w-0 flex-1">
              <p className="font-medium [overflow-wrap:anywhere]">{issuerLabel(identity.issuer)}</p>
              <p className="text-xs text-muted">
                since <Moment at={identity.linked_at} />
              </p>
            </div>
            <Button weight="quiet" size="small" busy={unlink.isPending} onClick={() => unlink.mutate({ params: { query: { issuer: identity.issuer } } })}>
              Remove
            </Button>
          </li>
        ))}
      </ul>
      {unlink.error ? <Problem error={unlink.error} /> : null}
      {depart.error ? <Problem error={depart.error} /> : null}
      <div className="flex flex-wrap gap-2 border-t px-4 py-3">
        {offered.map((provider) => (
          <a key={provider} href={`/api/v1/oauth/${provider}/start?link=true`} className={buttonLook("plain", "small")}>
            Add {PROVIDERS[provider] ?? provider}
          </a>
        ))}
        {local ? (
          <Button size="small" busy={depart.isPending} onClick={() => depart.mutate({ body: { link: true } })}>
            Add single sign-on
          </Button>
        ) : null}
      </div>
    </Card>
  );
}

function SignInCard() {
  const signIns = useQuery(signInsQuery());
  const end = api.useMutation("delete", "/api/v1/user/sign-ins/{id}", {
    onSettled: () => void queryClient.invalidateQueries({ queryKey: signInsQuery().queryKey }),
  });
  return (
    <Card className="overflow-clip lg:col-span-2">
      <CardHead title="Where you are signed in" />
      {signIns.isPending ? <SkeletonRows rows={2} label="Loading your sign-ins" /> : null}
      {signIns.isError ? <Problem error={signIns.error} retry={() => void signIns.refetch()} /> : null}
      <ul className="divide-y border-t">
        {signIns.data?.items.map((signIn: SignIn) => (
          <li key={signIn.id} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
            <div className="min-w-0 flex-[1_1_14rem]">
              <p className="truncate font-medium" title={signIn.browser ?? undefined}>
                {browserLabel(signIn.browser ?? null)}
              </p>
              <p className="text-xs text-muted">
                {signIn.tenant_name}, by {methodLabel(signIn.method)}, <Moment at={signIn.since} />; over <Moment at={signIn.continues_until ?? signIn.expires_at} ahead />
              </p>
            </div>
            {signIn.two_factors ? <Badge tone="good">two factors</Badge> : null}
            {signIn.current ? (
              <Badge>this one</Badge>
            ) : (
              <Button weight="quiet" size="small" busy={end.isPending && end.variables.params.path.id === signIn.id} onClick={() => end.mutate({ params: { path: { id: signIn.id } } })}>
                End it
              </Button>
            )}
          </li>
        ))}
      </ul>
      {end.error ? <Problem error={end.error} /> : null}
    </Card>
  );
}
