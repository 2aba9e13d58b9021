// Signing in by somebody who vouches, in a real browser: there, consent, back again, without a token in any address; an
// address that has a password is not taken over; whoever is signed in adds another way in, and comes by it.
//
//   node e2e/vouched.mjs <base-url> <provider-base-url> <newcomer> <taken>
//
// `newcomer` is somebody whom both providers know and nobody here; `taken` has the address of somebody with a password.
import { openBrowser, openPage } from "../test/browser.mjs";

const [base, providers, newcomer, taken] = process.argv.slice(2);
if (!taken) {
  console.error("usage: node e2e/vouched.mjs <base-url> <provider-base-url> <newcomer> <taken>");
  process.exit(2);
}
const origin = new URL(base).origin;

function insist(condition, what) {
  if (!condition) throw new Error(what);
}

const browser = await openBrowser();

/** A browser that nobody knows, and every address that it saw. */
async function stranger() {
  const { page, faults, context } = await openPage(browser, {});
  page.setDefaultTimeout(15_000);
  const seen = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest()) seen.push(request.url());
  });
  return { page, faults, context, seen };
}

async function leaveBy(page, provider) {
  await page.goto(`${origin}/sign-in`);
  await page.getByRole("link", { name: `Continue with ${provider}` }).or(page.getByRole("button", { name: `Continue with ${provider}` })).click();
  await page.getByRole("heading", { name: "Who are you?" }).waitFor();
  insist(page.url().startsWith(providers), `the browser is at ${page.url()}`);
}

async function checked({ page, faults, context, seen }) {
  const session = (await context.cookies()).find(({ name }) => name.endsWith("costlens_session"));
  insist(session?.httpOnly && session.sameSite === "Strict", `the session's cookie is ${JSON.stringify(session)}`);
  for (const url of seen) insist(!url.includes(session.value), "the session stands in an address");
  insist(!page.url().includes("x="), "the code is still in the address");
  insist(await page.evaluate(() => window.breaches.length === 0), "the content security policy was breached");
  insist(faults.length === 0, faults.join("\n"));
}

try {
  const first = await stranger();
  await leaveBy(first.page, "Google");
  await first.page.getByRole("link", { name: newcomer, exact: true }).click();
  await first.page.getByRole("heading", { name: "Overview" }).waitFor();
  await checked(first);
  console.log("a newcomer comes by Google");

  // Back in the history: the code works once, and nobody is signed in by it again.
  const used = first.seen.find((url) => url.includes("/signed-in"));
  insist(used === undefined || !used.includes("code="), "the provider's code reached the console");
  const other = await stranger();
  const callback = first.seen.find((url) => url.includes("/callback"));
  insist(callback, "no way back was seen");
  await other.page.goto(callback);
  await other.page.waitForURL(/\/sign-in\?problem=stale/);
  console.log("the way back leads nobody else in");

  await first.page.goto(`${origin}/profile`);
  await first.page.getByRole("link", { name: /GitHub/ }).or(first.page.getByRole("button", { name: /GitHub/ })).first().click();
  await first.page.getByRole("link", { name: newcomer, exact: true }).click();
  await first.page.waitForURL(/\/profile/);
  const second = await stranger();
  await leaveBy(second.page, "GitHub");
  await second.page.getByRole("link", { name: newcomer, exact: true }).click();
  await second.page.getByRole("heading", { name: "Overview" }).waitFor();
  await checked(second);
  console.log("GitHub was added, and leads to the same person");

  const third = await stranger();
  await leaveBy(third.page, "GitHub");
  await third.page.getByRole("link", { name: taken, exact: true }).click();
  await third.page.waitForURL(/\/sign-in\?problem=address_taken/);
  insist(!(await third.context.cookies()).some(({ name }) => name.endsWith("costlens_session")), "somebody was let in");
  console.log("an address with a password is not taken over");
  console.log("ok");
} catch (error) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    console.error(page.url(), "shows", (await page.locator("body").innerText()).slice(0, 500));
  }
  throw error;
} finally {
  await browser.close();
}
