// What begins with a mail: an address, and the word that one is on its way.
import { type FormEvent, useState } from "react";
import { fieldProblem, asApiError } from "@/api/problem";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";

export interface AskByMailProps {
  action: string;
  busy: boolean;
  error: unknown;
  sent: boolean;
  children: React.ReactNode;
  onAsk: (email: string) => void;
}

export function AskByMail({ action, busy, error, sent, children, onAsk }: AskByMailProps) {
  const [email, setEmail] = useState("");
  const problem = error ? asApiError(error) : null;
  const emailProblem = fieldProblem(problem, "email");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onAsk(email.trim());
  };
  if (sent) {
    return (
      <p role="status" className="mt-3 text-muted">
        Look into the mailbox of <strong className="font-semibold text-ink">{email.trim()}</strong>. The link in the mail works once, for two hours.
      </p>
    );
  }
  return (
    <>
      <p className="mt-2 text-muted">{children}</p>
      <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
        <TextField label="E-mail address" type="email" autoComplete="email" required maxLength={254} value={email} onChange={(event) => setEmail(event.target.value)} problem={emailProblem} />
        {problem && !emailProblem ? <Problem error={problem} /> : null}
        <Button type="submit" weight="primary" busy={busy} disabled={email.trim() === ""}>
          {action}
        </Button>
      </form>
    </>
  );
}
