// Back from somebody who vouched: the code behind the `#` is traded for a session, once, and taken out of the address.
import { Link } from "@tanstack/react-router";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { placeBefore } from "@/lib/place-before";
import { LinkFrame } from "@/screens/links/frame";
import { Button, buttonLook } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Problem } from "@/ui/states";
import { useEntered } from "./entered";

const carried: string | null = /^#x=([A-Za-z0-9_-]+)$/.exec(window.location.hash)?.[1] ?? null;
if (window.location.pathname === "/signed-in") window.history.replaceState(window.history.state, "", window.location.pathname);

export function SignedInScreen() {
  const entered = useEntered();
  const asked = useRef(false);
  const [secondFactor, setSecondFactor] = useState("");
  const exchange = api.useMutation("post", "/api/v1/sessions/exchange", { onSuccess: (session) => entered(session, placeBefore(sessionStorage, Date.now())) });
  const { mutate } = exchange;
  useEffect(() => {
    if (carried === null || asked.current) return;
    asked.current = true;
    mutate({ body: { code: carried } });
  }, [mutate]);
  const error = exchange.error ? asApiError(exchange.error) : null;
  const wantsCode = error?.code === "second_factor_required" || secondFactor !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (carried !== null) mutate({ body: { code: carried, second_factor: secondFactor.trim() } });
  };
  if (wantsCode && (!error || error.code === "second_factor_required")) {
    return (
      <LinkFrame title="One more step">
        <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
          <TextField
            label="Code"
            inputMode="numeric"
            autoComplete="one-time-code"
            required
            value={secondFactor}
            onChange={(event) => setSecondFactor(event.target.value)}
            help="Of your authenticator, or one of your recovery codes. Within a minute, or you begin again."
            problem={exchange.variables?.body.second_factor ? error?.detail : undefined}
            // oxlint-disable-next-line jsx-a11y/no-autofocus -- it is all that the page asks for
            autoFocus
          />
          <Button type="submit" weight="primary" busy={exchange.isPending}>
            Sign in
          </Button>
        </form>
      </LinkFrame>
    );
  }
  return (
    <LinkFrame title={error ? "You are not signed in" : "Signing in"}>
      {error ? (
        <>
          <Problem error={error} />
          <Link to="/sign-in" className={`${buttonLook("primary")} mt-4 w-full`}>
            Sign in
          </Link>
        </>
      ) : (
        <p role="status" className="mt-2 text-muted">
          One moment.
        </p>
      )}
    </LinkFrame>
  );
}
