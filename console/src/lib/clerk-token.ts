// A session token of Clerk's, asked for in the way of its own browser library: who this browser is, by its cookie there,
// then a token of the session that it last used. Nothing of it is kept.

type Ask = (url: string, init: RequestInit) => Promise<Response>;

const VERSION = "__clerk_api_version=2025-04-10&_is_native=0";

const INIT: RequestInit = { credentials: "include", cache: "no-store", referrerPolicy: "no-referrer" };

/** The token; `null` where nobody is signed in there. */
export async function clerkToken(frontendUrl: string, ask: Ask = (url, init) => fetch(url, init)): Promise<string | null> {
  const session = await lastSession(frontendUrl, ask);
  if (!session) return null;
  const path = `${frontendUrl}/v1/client/sessions/${session}/tokens?${VERSION}`;
  return textAt(await body(await ask(path, { ...INIT, method: "POST" })), "jwt");
}

/** Ends the session there. Whoever is still signed in is not asked who it is, and comes back as it went. */
export async function clerkEnd(frontendUrl: string, ask: Ask = (url, init) => fetch(url, init)): Promise<void> {
  const session = await lastSession(frontendUrl, ask);
  if (session) await ask(`${frontendUrl}/v1/client/sessions/${session}/end?${VERSION}`, { ...INIT, method: "POST" });
}

async function lastSession(frontendUrl: string, ask: Ask): Promise<string | null> {
  const client = await body(await ask(`${frontendUrl}/v1/client?${VERSION}`, INIT));
  const session = textAt(client, "response", "last_active_session_id");
  return session && /^[A-Za-z0-9_]+$/.test(session) ? session : null;
}

async function body(answer: Response): Promise<unknown> {
  return answer.ok ? await answer.json() : null;
}

function textAt(value: unknown, ...path: string[]): string | null {
  let at: unknown = value;
  for (const name of path) {
    if (typeof at !== "object" || at === null) return null;
    at = (at as Record<string, unknown>)[name];
  }
  return typeof at === "string" && at !== "" ? at : null;
}

/** Where to sign in, and back again. */
export function clerkSignIn(signInUrl: string, here: string): string {
  const url = new URL(signInUrl);
  url.searchParams.set("redirect_url", `${here}/signed-in/clerk`);
  return url.href;
}
