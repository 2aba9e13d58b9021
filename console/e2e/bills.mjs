// A bill from a customer's own bucket, in a real browser: an account is connected by its form, the link that makes the role
// is the right one, its month comes and is restated, and every screen that follows from it shows what is in it. All in
// the light theme and in the dark one.
//
//   node e2e/bills.mjs <base-url> <sign-in-url> <account> <bucket> <month>
//
// Whoever calls this holds the account: makes the role, delivers the month, and delivers it again with a credit of 412.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser, openPage, settle, untilShown } from "../test/browser.mjs";
import { insist } from "./strangers.mjs";

const [base, signInUrl, account, bucket, month] = process.argv.slice(2);
if (!month) {
  console.error("usage: node e2e/bills.mjs <base-url> <sign-in-url> <account> <bucket> <month>");
  process.exit(2);
}
const origin = new URL(base).origin;
const pictures = process.env.PICTURES;
const monthName = new Date(`${month}-01T00:00:00Z`).toLocaleDateString("en-US", { month: "long", year: "numeric", timeZone: "UTC" });

const browser = await openBrowser();
const { page, faults, context } = await openPage(browser, { origin });

const ink = () => page.evaluate(() => getComputedStyle(document.body).color);

/** Shows a screen in both themes, and takes pictures where they are wanted. */
async function picture(name) {
  const shown = [];
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await settle(page);
    shown.push(await ink());
    if (!pictures) continue;
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}-${theme}.png`), fullPage: true });
  }
  insist(shown[0] !== shown[1], `${name} has one theme alone`);
  await page.emulateMedia({ colorScheme: "light" });
}

const row = (...texts) => texts.reduce((rows, text) => rows.filter({ hasText: text }), page.getByRole("row")).first();
const place = (name) => page.getByRole("link", { name, exact: true }).filter({ visible: true }).first().click();

try {
  await page.goto(signInUrl);
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  await place("Bills");
  await page.getByRole("link", { name: "AWS accounts" }).first().click();
  await page.getByRole("button", { name: "Connect the first account" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("AWS account").fill("1234");
  await dialog.getByLabel("Bucket").fill(bucket);
  await dialog.getByLabel("Folder").fill("exports");
  await dialog.getByRole("button", { name: "Continue" }).click();
  insist(await dialog.getByLabel("AWS account").evaluate((field) => !field.validity.valid), "four digits are taken for an account");
  await dialog.getByLabel("AWS account").fill(account);
  await dialog.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: "Make the role" }).waitFor();
  const link = new URL(await dialog.getByRole("link", { name: "Create the role in AWS" }).getAttribute("href"));
  const asked = new URLSearchParams(link.hash.replace(/^#\/stacks\/create\/review\?/, ""));
  const shown = (await dialog.getByLabel("ExternalId").first().innerText()).trim();
  insist(link.host.endsWith("console.aws.amazon.com"), `the role is made at ${link.host}`);
  insist(asked.get("param_ExternalId") === shown, `the link has the ExternalId ${asked.get("param_ExternalId")}, the page ${shown}`);
  insist(asked.get("param_BucketName") === bucket && asked.get("param_Prefix") === "exports", `the link is ${link}`);
  await picture("1-connect");
  await dialog.getByRole("button", { name: "Done" }).click();
  console.log("an account is connected, and its link makes the role for this bucket and this ExternalId");

  await untilShown(page, () => row(monthName, "Current", "Restated"));
  await page.getByText("Active", { exact: true }).first().waitFor();
  const change = `AWS changed ${monthName} by -$412.00, a credit`;
  await row(monthName, change).waitFor();
  await page.getByRole("button", { name: `Deliveries of ${monthName}` }).click();
  const deliveries = page.getByRole("dialog");
  await deliveries.getByText("The first delivery").waitFor();
  await deliveries.getByRole("row").filter({ hasText: "Credit" }).filter({ hasText: "$412" }).waitFor();
  await picture("2-account");
  await page.keyboard.press("Escape");
  console.log("its month came, and what AWS changed in it is told");

  await page.getByRole("link", { name: monthName, exact: true }).click();
  await page.getByRole("heading", { name: new RegExp(`^${month} of AWS account ${account}`) }).waitFor();
  await row("SageMaker").waitFor();
  await row("p5.48xlarge", "8 × H100", "$100").waitFor();
  const count = () => page.getByRole("button", { name: "Count p5.48xlarge in 222233334444, us-east-1 as AI" });
  await count().click();
  await page.getByText("Counts p5.48xlarge of Amazon EC2 in 222233334444.").waitFor();
  await picture("3-candidate");
  await page.getByRole("dialog").getByRole("button", { name: "Count as AI" }).click();
  await row("p5.48xlarge", "Counts as AI").waitFor();
  await row("Amazon EC2", "$100").waitFor();
  await page.getByText("$2,441.11", { exact: true }).first().waitFor();
  await picture("3-bill");
  await page.getByRole("button", { name: "End the rule for p5.48xlarge of Amazon EC2 in 222233334444" }).click();
  await page.getByRole("button", { name: "End the rule", exact: true }).click();
  await count().waitFor();
  await page.getByText("$2,341.11", { exact: true }).first().waitFor();
  console.log("what may be AI counts as such for as long as somebody says so");
  await page.goto(`${origin}/bills/drift`);
  await row("USE1-ImaginaryModel9-telepathy", "$3.21").waitFor();
  await picture("4-drift");
  console.log("what no rule knows stands apart with its dollars");

  await place("Settlement");
  await untilShown(page, () => page.getByText("AI on the bill", { exact: true }).first());
  await row("rogue", "nova-lite", "$15").waitFor();
  await row("gateway", "nova-pro", "100").waitFor();
  await row("nova-pro", "Discount", "$0.72", "$0.8").waitFor();
  await row("nova-lite", "$0.06").waitFor();
  await page.getByRole("heading", { name: "Why they differ" }).waitFor();
  await picture("5-settlement");
  console.log("who went around the proxy is named, and what each price is by the bill");

  await place("Savings");
  await untilShown(page, () => page.getByText("g5.xlarge in us-east-1 of 222233334444").first());
  await page.getByText("$1,013.76").first().waitFor();
  await row("Use past the proxy", "rogue", "$15").waitFor();
  await picture("6-savings");
  console.log("an endpoint that nobody calls is told with what it costs");

  await place("Budgets");
  await untilShown(page, () => row("on the bill", "$700"));
  await row("on the bill", "$35", "more use").waitFor();
  await picture("7-surprises");
  await row("on the bill").getByRole("button", { name: "Decide" }).filter({ visible: true }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("the index was built anew");
  await page.getByRole("dialog").getByRole("button", { name: "Dismiss" }).click();
  await row("on the bill", "Dismissed").waitFor();
  console.log("a day that cost twentyfold stands out, and somebody decides upon it");

  await place("Bills");
  await page.getByRole("link", { name: "AWS accounts" }).first().click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await untilShown(page, () => page.getByText("Active", { exact: true }).first());
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByRole("button", { name: "End the connection" }).click();
  await page.getByText("Ended", { exact: true }).waitFor();
  await row(monthName, "Current").waitFor();
  await picture("8-ended");
  console.log("it is paused, resumed and ended, and what was read stays");

  insist((await context.pages()).length === 1, "a page was opened");
  insist(await page.evaluate(() => window.breaches.length === 0), "the content security policy was breached");
  insist(faults.length === 0, `the browser complained: ${faults.join("; ")}`);
  console.log("ok");
} catch (error) {
  console.error(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
  console.error(`at ${page.url().replace(/#.*/, "")}: ${(await page.locator("main").innerText().catch(() => "")).slice(0, 3_000)}`);
  for (const fault of faults) console.error(fault);
  if (pictures) await page.screenshot({ path: join(pictures, "failed.png") }).catch(() => undefined);
  process.exitCode = 1;
} finally {
  await browser.close();
}
