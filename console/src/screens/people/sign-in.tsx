// Signing in: by password, or by somebody who vouches. The second factor is asked for once the password is right.
import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { asApiError } from "@/api/problem";
import { signInOptionsQuery } from "@/api/queries";
import { clerkSignIn } from "@/lib/clerk-token";
import { comebackInWords, VOUCHERS } from "@/lib/people-words";
import { LinkFrame } from "@/screens/links/frame";
import { Button, buttonLook } from "@/ui/button";
import { TextField } from "@/ui/field";
import { LINK } from "@/ui/link";
import { Note } from "@/ui/note";
import { Problem } from "@/ui/states";
import { useEntered } from "./entered";

export function SignInScreen() {
  const { next, problem } = useSearch({ from: "/sign-in" });
  const options = useQuery(signInOptionsQuery());
  const entered = useEntered();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const signIn = api.useMutation("post", "/api/v1/sessions/password", { onSuccess: (session) => entered(session, next) });
  const depart = api.useMutation("post", "/api/v1/single-sign-on/trips", { onSuccess: ({ url }) => window.location.assign(url) });
  const error = signIn.error ? asApiError(signIn.error) : null;
  // The organisation wants its own provider: with the right password that is linked on the way.
  const organisationOnly = error?.code === "single_sign_on_required";
  const away = depart.error ? asApiError(depart.error) : null;
  const wantsProof = away?.code === "second_factor_required";
  const wantsCode = error?.code === "second_factor_required" || wantsProof || code !== "";
  const comeback = comebackInWords(problem);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate({ body: { email: email.trim(), password, ...(code.trim() ? { code: code.trim() } : {}) } });
  };
  const leave = (proof: boolean) => {
    if (!proof) signIn.reset();
    depart.mutate({ body: { email: email.trim(), link: false, ...(proof ? { password } : {}), ...(proof && code.trim() ? { code: code.trim() } : {}) } });
  };
  // Whether there are passwords here at all is not known yet.
  if (options.isPending) {
    return (
      <LinkFrame title="Sign in">
        <p role="status" className="mt-2 text-muted">
          One moment.
        </p>
      </LinkFrame>
    );
  }
  if (options.data?.clerk) {
    return (
      <LinkFrame title="Sign in">
        <a href={clerkSignIn(options.data.clerk.sign_in_url, window.location.origin)} className={`${buttonLook("primary")} mt-4 w-full`}>
          Continue with Clerk
        </a>
        <div className="mt-4 border-t pt-4 text-sm text-muted">
          <Link to="/welcome" search={next ? { next } : {}} className={LINK}>
            Use a sign-in link
          </Link>
        </div>
      </LinkFrame>
    );
  }
  return (
    <LinkFrame title="Sign in">
      {comeback ? (
        <Note tone="caution" title="You are not signed in" className="mt-4">
          {comeback}
        </Note>
      ) : null}
      <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
        <TextField label="E-mail address" type="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.target.value)} />
        <TextField label="Password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
        {wantsCode ? (
          <TextField
            label="Code"
            inputMode="numeric"
            autoComplete="one-time-code"
            value={code}
            onChange={(event) => setCode(event.target.value)}
            help="Of your authenticator, or one of your recovery codes."
            problem={error?.code === "second_factor_required" && signIn.variables?.body.code ? error.detail : undefined}
            // oxlint-disable-next-line jsx-a11y/no-autofocus -- it appears because this is asked for now
            autoFocus
          />
        ) : null}
        {organisationOnly ? (
          <Note tone="caution" title="Your organisation wants its own sign-in">
            <p>Go on with single sign-on. If it does not know you yet, let it vouch for you from now on.</p>
            <Button size="small" className="mt-2" busy={depart.isPending} onClick={() => leave(true)}>
              Link and go on
            </Button>
          </Note>
        ) : null}
        {error && error.code !== "second_factor_required" && !organisationOnly ? <Problem error={error} /> : null}
        {away ? <Problem error={away} /> : null}
        <Button type="submit" weight="primary" busy={signIn.isPending}>
          Sign in
        </Button>
        <Button
          busy={depart.isPending}
          onClick={(event) => {
            // The address says whose provider it is: without one the field says so.
            const field = event.currentTarget.form?.querySelector<HTMLInputElement>("input[type=email]");
            if (field?.reportValidity()) leave(false);
          }}
        >
          Continue with single sign-on
        </Button>
      </form>
      {options.data && options.data.providers.length > 0 ? (
        <div className="mt-4 flex flex-col gap-2 border-t pt-4">
          {options.data.providers.map((provider) => (
            <a key={provider} href={`/api/v1/oauth/${provider}/start`} className={buttonLook("plain")}>
              Continue with {VOUCHERS[provider] ?? provider}
            </a>
          ))}
        </div>
      ) : null}
      <div className="mt-4 flex flex-wrap gap-x-4 gap-y-1 border-t pt-4 text-sm text-muted">
        <Link to="/new-password" className={LINK}>
          Forgot the password?
        </Link>
        {options.data?.registration ? (
          <Link to="/register" className={LINK}>
            Register
          </Link>
        ) : null}
        <Link to="/welcome" search={next ? { next } : {}} className={LINK}>
          Use a sign-in link
        </Link>
      </div>
    </LinkFrame>
  );
}
