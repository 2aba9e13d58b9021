import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fetchAgain, isAboutTheSession } from "./again";
import { continuedUntil, rememberContinues } from "./continues";

const store = new Map<string, string>();
const calls: string[] = [];
let answers: Response[] = [];

beforeEach(() => {
  store.clear();
  calls.length = 0;
  vi.stubGlobal("window", {
    localStorage: {
      getItem: (key: string) => store.get(key) ?? null,
      setItem: (key: string, value: string) => store.set(key, value),
      removeItem: (key: string) => store.delete(key),
    },
  });
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("fetch", (input: Request | string) => {
    calls.push(typeof input === "string" ? input : new URL(input.url).pathname);
    const answer = answers.shift();
    return answer ? Promise.resolve(answer) : Promise.reject(new Error("no answer is left"));
  });
});

afterEach(() => vi.unstubAllGlobals());

const problem = (status: number, code: string) => new Response(JSON.stringify({ code }), { status });
const soon = () => new Date(Date.now() + 86_400_000).toISOString();
const ask = () => fetchAgain(new Request("https://costlens.test/api/v1/keys", { method: "POST", body: "{}" }));

test("a session that is over is continued, and the call made again", async () => {
  rememberContinues(soon(), "2026-11-26T10:00:00Z");
  const session = { continues_until: soon(), expires_at: "2026-11-26T11:00:00Z" };
  answers = [problem(401, "session_invalid"), new Response(JSON.stringify(session), { status: 201 }), new Response("ok")];
  expect((await ask()).status).toBe(200);
  expect(calls).toEqual(["/api/v1/keys", "/api/v1/session/refresh", "/api/v1/keys"]);
  expect(continuedUntil()).toBe(Date.parse("2026-11-26T11:00:00Z"));
});

test("who cannot continue is asked once and then no more", async () => {
  rememberContinues(soon(), "2026-11-26T10:00:00Z");
  answers = [problem(401, "session_invalid"), problem(401, "session_invalid")];
  expect((await ask()).status).toBe(401);
  answers = [problem(401, "session_invalid")];
  expect((await ask()).status).toBe(401);
  expect(calls).toEqual(["/api/v1/keys", "/api/v1/session/refresh", "/api/v1/keys"]);
});

test("a wrong password is no end of a session", async () => {
  rememberContinues(soon(), "2026-11-26T10:00:00Z");
  answers = [problem(401, "sign_in_refused")];
  expect((await ask()).status).toBe(401);
  expect(calls).toEqual(["/api/v1/keys"]);
  expect(isAboutTheSession(401, "second_factor_required")).toBe(false);
  expect(isAboutTheSession(401, "session_invalid")).toBe(true);
});

test("what may be continued ends at its time", () => {
  rememberContinues("2026-11-26T10:00:00Z", "2026-11-26T09:00:00Z");
  expect(continuedUntil(Date.parse("2026-11-26T09:59:59Z"))).not.toBeNull();
  expect(continuedUntil(Date.parse("2026-11-26T10:00:00Z"))).toBeNull();
  store.set("costlens.continues", "nonsense");
  expect(continuedUntil()).toBeNull();
});
