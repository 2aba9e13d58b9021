// Browsers that nobody knows, for walks that begin signed out.
import { openBrowser, openPage } from "../test/browser.mjs";

export function insist(condition, what) {
  if (!condition) throw new Error(what);
}

/** Walks with a function that opens strangers: each a page, its context, its faults, and the addresses that it saw. */
export async function walk(steps) {
  const browser = await openBrowser();
  try {
    await steps(async () => {
      const { page, faults, context } = await openPage(browser, {});
      const seen = [];
      page.on("request", (request) => {
        if (request.isNavigationRequest()) seen.push(request.url());
      });
      return { page, faults, context, seen };
    });
    console.log("ok");
  } catch (error) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      console.error(page.url(), "shows", (await page.locator("body").innerText()).slice(0, 500));
    }
    throw error;
  } finally {
    await browser.close();
  }
}

export async function sessionOf({ context }) {
  return (await context.cookies()).find(({ name }) => name.endsWith("costlens_session"));
}

/** Signed in by a cookie that no script reads, with no secret in any address, no breach of the policy and no error. */
export async function checked(stranger) {
  const { page, faults, seen } = stranger;
  const session = await sessionOf(stranger);
  insist(session?.httpOnly && session.sameSite === "Strict", `the session's cookie is ${JSON.stringify(session)}`);
  for (const url of seen) insist(!url.includes(session.value), "the session stands in an address");
  insist(!page.url().includes("x="), "the code is still in the address");
  insist(await page.evaluate(() => window.breaches.length === 0), "the content security policy was breached");
  insist(faults.length === 0, faults.join("\n"));
}
