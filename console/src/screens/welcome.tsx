// Sign-in by link. The token stands behind the `#`, which never travels to a server's log; it is taken out of the
// address at once, because it works only a single time.
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useCallback, useEffect, useState } from "react";
import { queryClient } from "@/api/cache";
import { api, client } from "@/api/client";
import { asApiError } from "@/api/problem";
import { tokenIn } from "@/lib/link-token";
import { Mark } from "@/shell/logo";
import { useTitle } from "@/shell/hooks";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { LINK } from "@/ui/link";
import { Problem } from "@/ui/states";

export interface WelcomeSearch {
  next?: string;
}

/** Only a path of this console may be the next place. */
export function readWelcomeSearch(search: Record<string, unknown>): WelcomeSearch {
  const { next } = search;
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? { next } : {};
}

/** The token of the address, taken out of it; read once, so that a second render cannot spend it twice. */
let carried: string | null = window.location.pathname === "/welcome" ? tokenIn(window.location.hash) : null;
if (carried) window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);

function takeCarried(): string | null {
  const token = carried;
  carried = null;
  return token;
}

export function WelcomeScreen() {
  useTitle("Sign in");
  const { next } = useSearch({ from: "/welcome" });
  const navigate = useNavigate();
  const [busy, setBusy] = useState(() => carried !== null);
  const [error, setError] = useState<unknown>(null);
  const [link, setLink] = useState("");
  const [unread, setUnread] = useState(false);

  const redeem = useCallback(
    async (token: string) => {
      try {
        const { data } = await client.POST("/api/v1/sessions", { body: { token } });
        queryClient.clear();
        queryClient.setQueryData(api.queryOptions("get", "/api/v1/session").queryKey, data);
        await navigate({ to: next ?? "/", replace: true });
      } catch (reason) {
        setError(asApiError(reason));
        setBusy(false);
      }
    },
    [navigate, next],
  );

  useEffect(() => {
    const token = takeCarried();
    // oxlint-disable-next-line react/set-state-in-effect -- state is set only after the server has answered
    if (token) void redeem(token);
  }, [redeem]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const token = tokenIn(link);
    setUnread(token === null);
    if (!token) return;
    setBusy(true);
    setError(null);
    void redeem(token);
  };

  return (
    <main className="grid min-h-dvh place-items-center px-4">
      <div className="w-full max-w-md">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-9" />
          <div>
            <h1 className="text-lg font-semibold tracking-tight">Costlens</h1>
            <p className="text-sm text-muted">The ledger of your AI spend that agrees with the bill.</p>
          </div>
        </div>
        <div className="rounded-card border bg-surface p-5 shadow-pop">
          {error ? (
            <div className="mb-4 rounded-lg bg-worse-soft">
              <Problem error={error} />
            </div>
          ) : null}
          <form onSubmit={submit} className="flex flex-col gap-3">
            <TextField
              label="Sign-in link"
              placeholder="Paste the link, or the part behind #t="
              value={link}
              onChange={(event) => setLink(event.target.value)}
              problem={unread ? "This holds no sign-in token. Paste the whole link." : undefined}
              help="Costlens prints one when it starts; `costlens sign-in` prints another. It works once, for 30 minutes."
              autoComplete="off"
              spellCheck={false}
            />
            <Button type="submit" weight="primary" busy={busy}>
              {busy ? "Signing in" : "Sign in"}
            </Button>
          </form>
          <p className="mt-4 border-t pt-4 text-sm">
            <Link to="/sign-in" search={next ? { next } : {}} className={LINK}>
              Sign in with a password instead
            </Link>
          </p>
        </div>
        <nav aria-label="What anybody may read" className="mt-4 flex gap-4 text-sm text-muted">
          <Link to="/trust" className="rounded hover:underline">
            Trust
          </Link>
          <Link to="/subprocessors" className="rounded hover:underline">
            Subprocessors
          </Link>
          <Link to="/privacy" className="rounded hover:underline">
            Privacy
          </Link>
          <Link to="/status" className="rounded hover:underline">
            Status
          </Link>
        </nav>
      </div>
    </main>
  );
}
