// Signing in where Clerk keeps people, in a real browser: there and back, by a token that stands in no address and stays
// nowhere; whoever is not signed in there is not signed in here.
//
//   node e2e/clerk.mjs <base-url> <clerk-url> <name> <organisation>
import { checked, insist, sessionOf, walk } from "./strangers.mjs";

const [base, clerk, name, organisation] = process.argv.slice(2);
if (!organisation) {
  console.error("usage: node e2e/clerk.mjs <base-url> <clerk-url> <name> <organisation>");
  process.exit(2);
}

await walk(async (stranger) => {
  const nobody = await stranger();
  await nobody.page.goto(`${base}/signed-in/clerk`);
  await nobody.page.getByRole("heading", { name: "You are not signed in" }).waitFor();
  insist((await sessionOf(nobody)) === undefined, "somebody was let in whom Clerk does not know");
  console.log("whoever Clerk does not know stays outside");

  const member = await stranger();
  const tokens = [];
  member.page.on("response", (answer) => {
    if (answer.url().includes("/tokens")) tokens.push(answer.json().then(({ jwt }) => jwt));
  });
  await member.page.goto(`${base}/sign-in`);
  const onward = member.page.getByRole("link", { name: "Continue with Clerk" });
  await onward.waitFor();
  insist((await member.page.getByLabel("Password").count()) === 0, "a password is asked for");
  await onward.click();
  await member.page.getByRole("heading", { name: "Who are you?" }).waitFor();
  insist(member.page.url().startsWith(clerk), `the browser is at ${member.page.url()}`);
  await member.page.getByRole("link", { name, exact: true }).click();
  await member.page.getByRole("heading", { name: "Overview" }).waitFor();
  await member.page.getByText(organisation).first().waitFor();
  await checked(member);
  const [token] = await Promise.all(tokens);
  insist(tokens.length === 1 && token.split(".").length === 3, `Clerk gave ${tokens.length} tokens`);
  for (const url of member.seen) insist(!url.includes(token), "Clerk's token stands in an address");
  const kept = await member.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  insist(!kept.includes(token), "Clerk's token was kept");
  console.log("a member comes by Clerk, and its token stays nowhere");

  await member.page.reload();
  await member.page.getByRole("heading", { name: "Overview" }).waitFor();
  insist(tokens.length === 1, "Clerk is asked again within the hour");
  console.log("and is known for the hour without Clerk");
});
