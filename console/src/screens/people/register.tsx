// Becoming a user: an address first, and with the mail's link a name, an organisation and a password.
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { LinkFrame } from "@/screens/links/frame";
import { useLinkToken } from "@/screens/links/token";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";
import { AskByMail } from "./ask-by-mail";
import { useEntered } from "./entered";
import { PasswordField } from "./password-field";

export function RegisterScreen() {
  const token = useLinkToken();
  const ask = api.useMutation("post", "/api/v1/registrations");
  return (
    <LinkFrame title="Register">
      {token ? (
        <Complete token={token} />
      ) : (
        <AskByMail action="Send me the link" busy={ask.isPending} error={ask.error} sent={ask.isSuccess} onAsk={(email) => ask.mutate({ body: { email } })}>
          A mail brings you a link. With it you choose a password and name your organisation.
        </AskByMail>
      )}
    </LinkFrame>
  );
}

function Complete({ token }: { token: string }) {
  const entered = useEntered();
  const [name, setName] = useState("");
  const [tenant, setTenant] = useState("");
  const [password, setPassword] = useState("");
  const complete = api.useMutation("post", "/api/v1/registrations/complete", { onSuccess: (session) => entered(session) });
  const problem = complete.error ? asApiError(complete.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    complete.mutate({ body: { token, name, tenant_name: tenant, password } });
  };
  return (
    <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
      <TextField label="Your name" autoComplete="name" required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
      <TextField label="Organisation" autoComplete="organization" required maxLength={200} value={tenant} onChange={(event) => setTenant(event.target.value)} />
      <PasswordField value={password} onChange={setPassword} problem={fieldProblem(problem, "password")} />
      {problem && !fieldProblem(problem, "password") ? <Problem error={problem} /> : null}
      <Button type="submit" weight="primary" busy={complete.isPending}>
        Register
      </Button>
    </form>
  );
}
