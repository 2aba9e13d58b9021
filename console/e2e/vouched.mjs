// Signing in by somebody who vouches, in a real browser: there, consent, back again, without a token in any address; an
// address that has a password is not taken over; whoever is signed in adds another way in, and comes by it.
//
//   node e2e/vouched.mjs <base-url> <provider-base-url> <newcomer> <taken>
//
// `newcomer` is somebody whom both providers know and nobody here; `taken` has the address of somebody with a password.
import { checked, insist, walk } from "./strangers.mjs";

const [base, providers, newcomer, taken] = process.argv.slice(2);
if (!taken) {
  console.error("usage: node e2e/vouched.mjs <base-url> <provider-base-url> <newcomer> <taken>");
  process.exit(2);
}
const origin = new URL(base).origin;

await walk(async (stranger) => {
  async function leaveBy(page, provider) {
    await page.goto(`${origin}/sign-in`);
    await page.getByRole("link", { name: `Continue with ${provider}` }).or(page.getByRole("button", { name: `Continue with ${provider}` })).click();
    await page.getByRole("heading", { name: "Who are you?" }).waitFor();
    insist(page.url().startsWith(providers), `the browser is at ${page.url()}`);
  }

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
});
