// Back from somebody who vouched: the code behind the `#` is traded for a session, once, and taken out of the address.
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { client } from "@/api/client";
import { asApiError } from "@/api/problem";
import { LinkFrame } from "@/screens/links/frame";
import { buttonLook } from "@/ui/button";
import { Problem } from "@/ui/states";
import { useEntered } from "./entered";

let carried: string | null = /^#x=([A-Za-z0-9_-]+)$/.exec(window.location.hash)?.[1] ?? null;
if (window.location.pathname === "/signed-in") window.history.replaceState(window.history.state, "", window.location.pathname);

function takeCarried(): string | null {
  const code = carried;
  carried = null;
  return code;
}

export function SignedInScreen() {
  const entered = useEntered();
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const code = takeCarried();
    if (!code) return;
    void (async () => {
      try {
        const { data } = await client.POST("/api/v1/sessions/exchange", { body: { code } });
        if (data) await entered(data);
      } catch (reason) {
        setError(asApiError(reason));
      }
    })();
  }, [entered]);
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
