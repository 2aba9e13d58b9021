import { describe, expect, it } from "vitest";
import { clerkEnd, clerkSignIn, clerkToken } from "./clerk-token";

function answers(...bodies: unknown[]) {
  const asked: { url: string; init: RequestInit }[] = [];
  const ask = (url: string, init: RequestInit) => {
    asked.push({ url, init });
    const body = bodies.shift();
    return Promise.resolve(new Response(JSON.stringify(body ?? {}), { status: body === undefined ? 500 : 200 }));
  };
  return { asked, ask };
}

describe("a token of Clerk's", () => {
  it("is of the session that was used last", async () => {
    const { asked, ask } = answers({ response: { last_active_session_id: "sess_1" } }, { jwt: "eyJ.a.b" });
    expect(await clerkToken("https://clerk.example", ask)).toBe("eyJ.a.b");
    expect(asked.map(({ url }) => url.split("?")[0])).toEqual(["https://clerk.example/v1/client", "https://clerk.example/v1/client/sessions/sess_1/tokens"]);
    expect(asked.map(({ init }) => [init.method ?? "GET", init.credentials])).toEqual([
      ["GET", "include"],
      ["POST", "include"],
    ]);
  });

  it("is not there where nobody is signed in, or the answer is another", async () => {
    for (const bodies of [[], [{ response: null }], [{ response: { last_active_session_id: "a/../b" } }], [{ response: { last_active_session_id: "sess_1" } }, { jwt: 7 }], [{ response: { last_active_session_id: "sess_1" } }]]) {
      expect(await clerkToken("https://clerk.example", answers(...bodies).ask)).toBeNull();
    }
  });

  it("is of a session that can be ended there", async () => {
    const { asked, ask } = answers({ response: { last_active_session_id: "sess_1" } }, {});
    await clerkEnd("https://clerk.example", ask);
    expect(asked.map(({ url, init }) => [init.method ?? "GET", url.split("?")[0], init.credentials])).toEqual([
      ["GET", "https://clerk.example/v1/client", "include"],
      ["POST", "https://clerk.example/v1/client/sessions/sess_1/end", "include"],
    ]);
    const nobody = answers({ response: null });
    await clerkEnd("https://clerk.example", nobody.ask);
    expect(nobody.asked.length).toBe(1);
  });

  it("is fetched by whoever comes back from signing in", () => {
    expect(clerkSignIn("https://accounts.example/sign-in?x=1", "https://costlens.example")).toBe("https://accounts.example/sign-in?x=1&redirect_url=https%3A%2F%2Fcostlens.example%2Fsigned-in%2Fclerk");
  });
});
