// A call that is made again: after the sign-in was continued, or after somebody proved anew who it is.
//
// A refresh token works once, so the tabs of a browser take turns: whoever waited finds the session continued.
import { continuedUntil, rememberContinues } from "./continues";
import { askForProof } from "./proof";

const REFRESH = "/api/v1/session/refresh";
/** What these say is an answer to what was typed, and not about the session. */
const ABOUT_WHAT_WAS_TYPED = new Set(["sign_in_refused", "second_factor_required", "sign_in_link_invalid"]);

async function codeOf(response: Response): Promise<string> {
  try {
    const body = (await response.clone().json()) as { code?: unknown };
    return typeof body.code === "string" ? body.code : "";
  } catch {
    return "";
  }
}

/** Whether the answer says that nobody is signed in any more. */
export function isAboutTheSession(status: number, code: string): boolean {
  return status === 401 && !ABOUT_WHAT_WAS_TYPED.has(code);
}

async function refreshOnce(seen: number | null): Promise<boolean> {
  // Another tab was quicker.
  if (continuedUntil() !== seen) return continuedUntil() !== null;
  const answer = await fetch(REFRESH, { method: "POST", credentials: "same-origin" });
  if (!answer.ok) {
    rememberContinues(null);
    return false;
  }
  const session = (await answer.json()) as { continues_until?: string | null; expires_at?: string };
  rememberContinues(session.continues_until ?? null, session.expires_at);
  return true;
}

/** Continues the sign-in, one tab at a time. Says whether there is a session again. */
export async function refresh(): Promise<boolean> {
  const seen = continuedUntil();
  if (seen === null) return false;
  if (!navigator.locks) return refreshOnce(seen);
  return navigator.locks.request("costlens-refresh", () => refreshOnce(seen));
}

/** `fetch` for the API's client. */
export async function fetchAgain(request: Request): Promise<Response> {
  const spare = request.clone();
  const response = await fetch(request);
  if (response.ok) return response;
  const code = await codeOf(response);
  if (isAboutTheSession(response.status, code)) return (await refresh()) ? fetch(spare) : response;
  if (response.status === 403 && code === "step_up_required") return (await askForProof()) ? fetch(spare) : response;
  return response;
}
