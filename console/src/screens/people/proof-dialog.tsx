// Asks whoever is signed in to prove it, before something dangerous.
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState, useSyncExternalStore } from "react";
import { queryClient } from "@/api/cache";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { answerProof, proofAsked } from "@/api/proof";
import { sessionQuery, userQuery } from "@/api/queries";
import { VOUCHERS } from "@/lib/people-words";
import { rememberPlace } from "@/lib/place-before";
import { Button, buttonLook } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

export function ProofDialog() {
  const asked = useSyncExternalStore(proofAsked.subscribe, proofAsked.isAsked);
  return (
    <Dialog open={asked} onOpenChange={(open) => (open ? undefined : answerProof(false))} title="Is it you?" description="This changes something that cannot be undone, or lets somebody in.">
      <ProofForm />
    </Dialog>
  );
}

/** Its organisation's own provider alone can say who it is. */
function ByProvider({ email }: { email: string }) {
  const depart = api.useMutation("post", "/api/v1/single-sign-on/trips", {
    onSuccess: ({ url }) => {
      rememberPlace(sessionStorage, here(), Date.now());
      window.location.assign(url);
    },
  });
  return (
    <div className="flex flex-col gap-3">
      <p className="text-muted">Your organisation's identity provider asks you once more who you are. You come back to this page; then do it once more.</p>
      {depart.error ? <Problem error={depart.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={() => answerProof(false)}>Cancel</Button>
        <Button weight="primary" busy={depart.isPending} onClick={() => depart.mutate({ body: { email, link: false, anew: true } })}>
          Continue with single sign-on
        </Button>
      </div>
    </div>
  );
}

/** Whoever has neither a password nor a second factor here signs in once more. */
function ByVoucher({ method }: { method: string }) {
  const name = VOUCHERS[method];
  if (!name) return <p className="text-muted">Somebody else vouches for you. Sign out and in again, then try again.</p>;
  return (
    <div className="flex flex-col gap-3">
      <p className="text-muted">{name} asks you once more who you are. You come back to this page; then do it once more.</p>
      <div className="flex justify-end gap-2">
        <Button onClick={() => answerProof(false)}>Cancel</Button>
        <a href={`/api/v1/oauth/${method}/start?anew=true`} className={buttonLook("primary")} onClick={() => rememberPlace(sessionStorage, here(), Date.now())}>
          Continue with {name}
        </a>
      </div>
    </div>
  );
}

const here = () => window.location.pathname + window.location.search;

function ProofForm() {
  const { data: session } = useQuery(sessionQuery());
  const user = useQuery({ ...userQuery(), enabled: Boolean(session?.user) });
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const prove = api.useMutation("post", "/api/v1/session/proof", {
    onSuccess: (proven) => {
      queryClient.setQueryData(sessionQuery().queryKey, proven);
      answerProof(true);
    },
  });
  const problem = prove.error ? asApiError(prove.error) : null;
  if (!session?.user) {
    return <p className="text-muted">You came by a sign-in link, and it is too long ago. Use a new one of `costlens sign-in`, then try again.</p>;
  }
  if (session.method === "oidc") return <ByProvider email={session.user.email} />;
  if (user.data && !user.data.has_password && !user.data.second_factor) return <ByVoucher method={session.method} />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    prove.mutate({ body: { ...(password ? { password } : {}), ...(code.trim() ? { code: code.trim() } : {}) } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      {user.data?.has_password === false ? null : (
        <TextField
          label="Password"
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- the dialog asks for nothing else
          autoFocus
        />
      )}
      {user.data?.second_factor ? <TextField label="Code" inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(event) => setCode(event.target.value)} /> : null}
      {problem ? <Problem error={problem} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={() => answerProof(false)}>Cancel</Button>
        <Button type="submit" weight="primary" busy={prove.isPending}>
          Go on
        </Button>
      </div>
    </form>
  );
}
