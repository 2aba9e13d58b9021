// Signing in by one's organisation's own provider, in a real browser: the typed address leads there, consent leads back,
// and an address of a domain that nobody has proven leads nowhere.
//
//   node e2e/single-sign-on.mjs <base-url> <provider-url> <address> <who> <organisation>
//
// `who` is what the provider calls the person of that address.
import { checked, insist, sessionOf, walk } from "./strangers.mjs";

const [base, provider, address, who, organisation] = process.argv.slice(2);
if (!organisation) {
  console.error("usage: node e2e/single-sign-on.mjs <base-url> <provider-url> <address> <who> <organisation>");
  process.exit(2);
}
const origin = new URL(base).origin;

await walk(async (stranger) => {
  async function leave({ page }, as) {
    await page.goto(`${origin}/sign-in`);
    await page.getByLabel("E-mail address").fill(as);
    await page.getByRole("button", { name: "Continue with single sign-on" }).click();
  }

  const foreign = await stranger();
  await leave(foreign, "somebody@unproven.example");
  await foreign.page.getByRole("alert").first().waitFor();
  insist(foreign.page.url().startsWith(origin), "an unproven domain leads away");
  insist((await sessionOf(foreign)) === undefined, "somebody was let in");
  console.log("an address of nobody's domain leads nowhere");

  const member = await stranger();
  await leave(member, address);
  await member.page.getByRole("heading", { name: "Who are you?" }).waitFor();
  insist(member.page.url().startsWith(provider), `the browser is at ${member.page.url()}`);
  await member.page.getByRole("link", { name: who, exact: true }).click();
  await member.page.getByRole("heading", { name: "Overview" }).waitFor();
  await member.page.getByText(organisation).first().waitFor();
  await checked(member);
  console.log("a member comes by its organisation's provider");

  const thief = await stranger();
  await thief.page.goto(member.seen.find((url) => url.includes("/callback")));
  await thief.page.waitForURL(/\/sign-in\?problem=stale/);
  insist((await sessionOf(thief)) === undefined, "somebody came by another's way back");
  console.log("the way back leads nobody else in");
});
