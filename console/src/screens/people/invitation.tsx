// Accepting an invitation: one click for who is a user already, a name and a password for who is not.
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { LinkFrame } from "@/screens/links/frame";
import { useLinkToken } from "@/screens/links/token";
import { Button, buttonLook } from "@/ui/button";
import { TextField } from "@/ui/field";
import { LINK } from "@/ui/link";
import { Note } from "@/ui/note";
import { Problem } from "@/ui/states";
import { useEntered } from "./entered";
import { PasswordField } from "./password-field";

export function InvitationScreen() {
  const token = useLinkToken();
  return <LinkFrame title="Join an organisation">{token ? <Accept token={token} /> : <Nowhere />}</LinkFrame>;
}

function Nowhere() {
  return (
    <Note tone="worse" title="This link leads nowhere" className="mt-4">
      It may be incomplete, used, taken back, or older than seven days. Whoever invited you can send another.
    </Note>
  );
}

function Accept({ token }: { token: string }) {
  const entered = useEntered();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const accept = api.useMutation("post", "/api/v1/invitations/accept", {
    onSuccess: (session) => (session ? entered(session) : undefined),
  });
  const problem = accept.error ? asApiError(accept.error) : null;
  const isNew = name !== "" || password !== "" || fieldProblem(problem, "password") !== undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    accept.mutate({ body: { token, ...(isNew ? { name, password } : {}) } });
  };
  if (problem?.code === "link_invalid") return <Nowhere />;
  if (accept.isSuccess && !accept.data) {
    return (
      <div role="status" className="mt-3">
        <p className="text-muted">You belong to it now. The menu at the bottom left switches between your organisations.</p>
        <Link to="/" className={`${buttonLook("primary")} mt-4 w-full`}>
          Go on
        </Link>
      </div>
    );
  }
  return (
    <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
      <p className="text-muted">Are you signed in with the invited address? Leave the fields empty. Otherwise say who you are, and choose a password.</p>
      <TextField label="Your name" autoComplete="name" maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      {isNew ? <PasswordField value={password} onChange={setPassword} problem={fieldProblem(problem, "password")} /> : null}
      {problem?.code === "conflict" ? (
        <Note tone="caution" title="You sign in here already">
          <p>
            <a href="/sign-in" target="_blank" rel="noopener" className={LINK}>
              Sign in
            </a>{" "}
            with the invited address, in a tab of its own, then press Join again.
          </p>
        </Note>
      ) : problem && !fieldProblem(problem, "password") ? (
        <Problem error={problem} />
      ) : null}
      <Button type="submit" weight="primary" busy={accept.isPending}>
        Join
      </Button>
    </form>
  );
}
