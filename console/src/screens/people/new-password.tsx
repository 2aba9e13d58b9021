// A new password: an address first, and with the mail's link the password itself.
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { asApiError, fieldProblem } from "@/api/problem";
import { LinkFrame } from "@/screens/links/frame";
import { useLinkToken } from "@/screens/links/token";
import { Button, buttonLook } from "@/ui/button";
import { Problem } from "@/ui/states";
import { AskByMail } from "./ask-by-mail";
import { PasswordField } from "./password-field";

export function NewPasswordScreen() {
  const token = useLinkToken();
  const ask = api.useMutation("post", "/api/v1/password-resets");
  return (
    <LinkFrame title="Set a new password">
      {token ? (
        <Complete token={token} />
      ) : (
        <AskByMail action="Send me the link" busy={ask.isPending} error={ask.error} sent={ask.isSuccess} onAsk={(email) => ask.mutate({ body: { email } })}>
          If somebody signs in with this address and a password, a mail brings a link that sets a new one.
        </AskByMail>
      )}
    </LinkFrame>
  );
}

function Complete({ token }: { token: string }) {
  const [password, setPassword] = useState("");
  const complete = api.useMutation("post", "/api/v1/password-resets/complete");
  const problem = complete.error ? asApiError(complete.error) : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    complete.mutate({ body: { token, password } });
  };
  if (complete.isSuccess) {
    return (
      <div role="status" className="mt-3">
        <p className="text-muted">The new password is set, and every sign-in has ended.</p>
        <Link to="/sign-in" className={`${buttonLook("primary")} mt-4 w-full`}>
          Sign in
        </Link>
      </div>
    );
  }
  return (
    <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
      <PasswordField label="New password" value={password} onChange={setPassword} problem={fieldProblem(problem, "password")} />
      {problem && !fieldProblem(problem, "password") ? <Problem error={problem} /> : null}
      <Button type="submit" weight="primary" busy={complete.isPending}>
        Set the password
      </Button>
    </form>
  );
}
