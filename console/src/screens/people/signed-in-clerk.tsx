// Back from Clerk: its session token is traded for a session here. The token passes through this page and stays nowhere.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { client } from "@/api/client";
import { ApiError, asApiError } from "@/api/problem";
import { signInOptionsQuery } from "@/api/queries";
import { clerkEnd, clerkSignIn, clerkToken } from "@/lib/clerk-token";
import { LinkFrame } from "@/screens/links/frame";
import { Button } from "@/ui/button";
import { Problem } from "@/ui/states";
import { useEntered } from "./entered";

export function SignedInClerkScreen() {
  const entered = useEntered();
  const options = useQuery(signInOptionsQuery());
  const clerk = options.data?.clerk;
  const begun = useRef(false);
  const [error, setError] = useState<unknown>(null);
  const [nobody, setNobody] = useState(false);
  useEffect(() => {
    if (!clerk || begun.current) return;
    begun.current = true;
    void (async () => {
      try {
        const token = await clerkToken(clerk.frontend_url);
        if (!token) return setNobody(true);
        const { data } = await client.POST("/api/v1/sessions/clerk", { body: { token } });
        if (data) await entered(data);
      } catch (reason) {
        setError(asApiError(reason));
      }
    })();
  }, [clerk, entered]);
  const failed = error ?? options.error;
  // A sign-in there that is too old for this one is ended first: Clerk would send its person straight back by it.
  const signIn = async (frontendUrl: string, signInUrl: string) => {
    if (error instanceof ApiError && error.code === "session_invalid") await clerkEnd(frontendUrl).catch(() => undefined);
    window.location.assign(clerkSignIn(signInUrl, window.location.origin));
  };
  const isOver = nobody || failed !== null || options.data?.clerk === null;
  return (
    <LinkFrame title={isOver ? "You are not signed in" : "Signing in"}>
      {failed ? <Problem error={failed} /> : null}
      {isOver && clerk ? (
        <Button weight="primary" className="mt-4 w-full" onClick={() => void signIn(clerk.frontend_url, clerk.sign_in_url)}>
          Sign in
        </Button>
      ) : null}
      {isOver ? null : (
        <p role="status" className="mt-2 text-muted">
          One moment.
        </p>
      )}
    </LinkFrame>
  );
}
