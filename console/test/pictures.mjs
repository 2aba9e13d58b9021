// Takes a picture of every screen in both themes and on a phone, and checks each with axe, for breaches of the
// content security policy, foreign requests and errors. `node test/pictures.mjs [directory] [name…]`; a name stands for
// every screen whose name begins with it. With `WHOLE` set in the environment a picture is of the whole page.
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser, openPage, settle } from "./browser.mjs";
import { makeWorld, startServer } from "./server.mjs";

const [directory = "pictures", ...only] = process.argv.slice(2);
await mkdir(directory, { recursive: true });

const chart = async (page) => page.waitForSelector("[role=img] svg path", { state: "attached", timeout: 8000 });
const removeGrace = async (page) => page.getByRole("button", { name: "Remove Grace Hopper" }).click();
async function confirmedRemoval(page, asked) {
  await removeGrace(page);
  await page.getByRole("button", { name: "Remove", exact: true }).last().click();
  await page.getByText(asked, { exact: true }).waitFor();
}
const SCREENS = [
  { name: "overview", path: "/", ready: chart },
  { name: "overview-proxy", path: "/?source=proxy&by=model&range=7d", ready: chart },
  { name: "overview-day", path: "/?range=24h&source=proxy&by=key", ready: chart },
  { name: "first-steps", path: "/", world: { empty: true } },
  { name: "overview-broken", path: "/", world: { broken: true }, ready: (page) => page.getByRole("alert").first().waitFor({ timeout: 20_000 }) },
  { name: "requests", path: "/requests" },
  { name: "requests-filtered", path: "/requests?model=in-house-llama&range=7d" },
  { name: "receipt", path: "/requests", act: async (page) => page.locator("tr[data-request] button").nth(1).click() },
  {
    name: "receipt-settled",
    path: "/requests?provider=anthropic",
    act: async (page) => {
      await page.locator("tr[data-request] button").nth(2).click();
      await page.getByRole("button", { name: "Show them" }).click();
    },
  },
  { name: "receipt-unpriced", path: "/requests?model=in-house-llama", act: async (page) => page.locator("tr[data-request] button").first().click() },
  { name: "receipt-imported", path: "/requests?origin=litellm", act: async (page) => page.locator("tr[data-request] button").first().click() },
  { name: "keys", path: "/keys" },
  { name: "keys-empty", path: "/keys", world: { empty: true } },
  { name: "key-form", path: "/keys#new", act: async (page) => page.getByText("How calls are recorded").click() },
  {
    name: "key-secret",
    path: "/keys#new",
    act: async (page) => {
      await page.getByLabel("Name").fill("checkout-agent-2");
      await page.getByRole("button", { name: "Create the key" }).click();
      await page.getByText("Waiting for the first request").waitFor();
    },
  },
  { name: "key-revoke", path: "/keys", act: async (page) => page.getByRole("button", { name: "Revoke checkout-agent" }).click() },
  { name: "connections", path: "/connections" },
  { name: "connection-form", path: "/connections", act: async (page) => page.getByRole("button", { name: "Connect a provider" }).click() },
  { name: "bills", path: "/bills" },
  {
    name: "bills-logs",
    path: "/bills",
    act: async (page) => {
      await page.getByLabel("Spend log", { exact: true }).setInputFiles({ name: "spend-logs.jsonl", mimeType: "application/json", buffer: Buffer.from("{}") });
      await page.getByTestId("import-report").waitFor();
    },
  },
  { name: "bills-empty", path: "/bills", world: { empty: true } },
  { name: "bill", path: "/bills/bil_01" },
  { name: "bill-model", path: "/bills/bil_01?by=model" },
  { name: "bill-net-amortised", path: "/bills/bil_01?measure=net_amortised" },
  { name: "bill-list-unknown", path: "/bills/bil_02?measure=list" },
  { name: "bill-measures", path: "/bills/bil_01", act: async (page) => page.getByRole("combobox", { name: /^Cost/ }).click() },
  { name: "bill-currencies", path: "/bills/bil_02?by=token_class&currency=EUR" },
  { name: "aws", path: "/bills/aws" },
  { name: "aws-empty", path: "/bills/aws", world: { empty: true } },
  { name: "aws-form", path: "/bills/aws", world: { empty: true }, act: async (page) => page.getByRole("button", { name: "Connect an account" }).first().click() },
  {
    name: "aws-role",
    path: "/bills/aws",
    act: async (page) => {
      await page.getByRole("button", { name: "Connect an account" }).first().click();
      await page.getByLabel("AWS account", { exact: true }).fill("123456789012");
      await page.getByLabel("Bucket").fill("acme-billing-reports");
      await page.getByLabel("Folder").fill("cur/costlens");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("dialog").getByText("By hand").click();
    },
  },
  { name: "aws-deliveries", path: "/bills/aws", act: async (page) => page.getByRole("button", { name: /^Deliveries of/ }).nth(1).click() },
  { name: "aws-end", path: "/bills/aws", act: async (page) => page.getByRole("button", { name: "End", exact: true }).first().click() },
  { name: "vendors", path: "/bills/vendors" },
  { name: "vendors-empty", path: "/bills/vendors", world: { empty: true } },
  { name: "vendor-form", path: "/bills/vendors", act: async (page) => page.getByRole("button", { name: "Connect a vendor" }).first().click() },
  { name: "vendor-key", path: "/bills/vendors", act: async (page) => page.getByRole("button", { name: "Replace key" }).nth(1).click() },
  { name: "drift", path: "/bills/drift" },
  { name: "drift-empty", path: "/bills/drift", world: { empty: true } },
  { name: "settlement", path: "/settlement" },
  { name: "settlement-connection", path: "/settlement?by=connection&measure=amortised" },
  { name: "settlement-amber", path: "/settlement?by=key", world: { amber: true } },
  { name: "settlement-issuers", path: "/settlement?issuer=openai", world: { issuers: true } },
  { name: "settlement-empty", path: "/settlement", world: { empty: true } },
  { name: "chargeback", path: "/chargeback" },
  { name: "chargeback-key", path: "/chargeback?by=key" },
  { name: "chargeback-empty", path: "/chargeback", world: { empty: true } },
  { name: "key-labels", path: "/keys", act: async (page) => page.getByRole("button", { name: /^Labels of/ }).first().click() },
  { name: "savings", path: "/savings" },
  { name: "savings-empty", path: "/savings", world: { empty: true } },
  { name: "savings-dismiss", path: "/savings", act: async (page) => page.getByRole("button", { name: /^Dismiss/ }).first().click() },
  { name: "surprise-decide", path: "/budgets", act: async (page) => page.getByRole("button", { name: "Decide" }).first().click() },
  { name: "notifications", path: "/notifications" },
  { name: "notifications-empty", path: "/notifications", world: { empty: true } },
  { name: "recipient-form", path: "/notifications", act: async (page) => page.getByRole("button", { name: "Add somebody" }).click() },
  {
    name: "webhook-secret",
    path: "/notifications",
    act: async (page) => {
      await page.getByRole("button", { name: "Add a webhook" }).click();
      await page.getByLabel("Name").fill("sink");
      await page.getByLabel("URL", { exact: true }).fill("https://hooks.example.com/");
      await page.getByRole("button", { name: "Add the webhook" }).click();
      await page.getByText("I have stored it").waitFor();
    },
  },
  { name: "deliveries", path: `/notifications?endpoint=whk_${"2".padStart(32, "0")}`, ready: (page) => page.getByText("Send again").first().waitFor() },
  { name: "sent", path: "/notifications?view=sent" },
  { name: "preview-mail", path: "/notifications?view=previews", ready: (page) => page.locator("iframe").waitFor() },
  { name: "preview-slack", path: "/notifications?view=previews", act: async (page) => page.getByRole("button", { name: "Slack", exact: true }).click() },
  { name: "budgets", path: "/budgets" },
  { name: "budgets-empty", path: "/budgets", world: { empty: true } },
  { name: "budget-form", path: "/budgets#new", act: async (page) => page.getByText("What counts").click() },
  { name: "exports", path: "/exports" },
  { name: "exports-empty", path: "/exports", world: { empty: true } },
  { name: "export-form", path: "/exports#new", act: async (page) => page.getByText("What is in it").click() },
  { name: "export-focus", path: "/exports#new", act: async (page) => page.getByRole("button", { name: "FOCUS 1.2" }).click() },
  { name: "status", path: "/status", world: { signedIn: false }, ready: (page) => page.getByText("Incidents").waitFor() },
  { name: "workflows", path: "/workflows" },
  { name: "workflow", path: "/workflows?id=01a2150c-6a3f-70a6-829f-000000000002", ready: (page) => page.getByText("Its story").waitFor() },
  { name: "operator", path: "/workflows?all=jobs" },
  { name: "operator-redrive", path: "/workflows?all=jobs&queue=webhook.v1", act: async (page) => page.getByRole("button", { name: "Redrive" }).click() },
  { name: "operator-schedules", path: "/workflows?all=schedules" },
  { name: "operator-erasures", path: "/workflows?all=erasures" },
  { name: "operator-prices", path: "/workflows?all=prices" },
  { name: "operator-prices-empty", path: "/workflows?all=prices", world: { empty: true } },
  { name: "operator-events", path: "/workflows?all=events" },
  { name: "members", path: "/members" },
  { name: "members-empty", path: "/members", world: { empty: true, byLink: true } },
  { name: "members-viewer", path: "/members", world: { role: "viewer" } },
  { name: "member-remove", path: "/members", act: removeGrace },
  { name: "step-up", path: "/members", world: { stale: true }, act: async (page) => confirmedRemoval(page, "Go on") },
  { name: "step-up-provider", path: "/members", world: { stale: true, method: "oidc" }, act: async (page) => confirmedRemoval(page, "Continue with single sign-on") },
  { name: "step-up-google", path: "/members", world: { stale: true, method: "google" }, act: async (page) => confirmedRemoval(page, "Continue with Google") },
  { name: "invite", path: "/members", act: async (page) => page.getByRole("button", { name: "Invite somebody" }).click() },
  { name: "single-sign-on-form", path: "/members", act: async (page) => page.getByRole("button", { name: "Change", exact: true }).first().click() },
  { name: "profile", path: "/profile" },
  { name: "profile-new", path: "/profile", world: { empty: true } },
  { name: "profile-by-link", path: "/profile", world: { byLink: true } },
  { name: "second-factor", path: "/profile", world: { empty: true }, act: async (page) => page.getByRole("button", { name: "Set it up" }).click() },
  { name: "recovery-codes", path: "/profile", act: async (page) => page.getByRole("button", { name: "New recovery codes" }).click() },
  { name: "account", path: "/account" },
  { name: "account-privacy", path: "/account?view=privacy" },
  { name: "account-privacy-new", path: "/account?view=privacy", world: { empty: true } },
  { name: "account-end", path: "/account?view=end", act: async (page) => page.getByRole("button", { name: "Close the account" }).click() },
  { name: "closing", path: "/keys", world: { closing: true }, ready: (page) => page.getByRole("button", { name: "Keep the account" }).waitFor() },
  { name: "confirm", path: "/confirm#t=good-token-0123456789", world: { signedIn: false }, act: async (page) => page.getByRole("button", { name: "Yes, tell me" }).click() },
  { name: "unsubscribe-refused", path: "/unsubscribe#t=bad-token-0123456789", world: { signedIn: false }, act: async (page) => page.getByRole("button", { name: "Unsubscribe" }).click() },
  { name: "keep-account", path: "/keep-account#t=good-token-0123456789", world: { signedIn: false } },
  { name: "sign-in", path: "/sign-in", world: { signedIn: false } },
  {
    name: "sign-in-organisation",
    path: "/sign-in?problem=foreign_domain",
    world: { signedIn: false, wantsSingleSignOn: true },
    act: async (page) => {
      await page.getByLabel("E-mail address").fill("ada@acme.example");
      await page.getByLabel("Password").fill("correct horse");
      await page.getByRole("button", { name: "Sign in", exact: true }).click();
    },
  },
  { name: "sign-in-clerk", path: "/sign-in", world: { signedIn: false, clerk: true } },
  { name: "signed-in", path: "/signed-in#x=bad-code", world: { signedIn: false } },
  { name: "register", path: "/register", world: { signedIn: false } },
  { name: "register-complete", path: "/register#t=good-token-0123456789", world: { signedIn: false } },
  {
    name: "register-sent",
    path: "/register",
    world: { signedIn: false },
    act: async (page) => {
      await page.getByLabel("E-mail address").fill("ada@acme.example");
      await page.getByRole("button", { name: "Send me the link" }).click();
    },
  },
  { name: "new-password", path: "/new-password", world: { signedIn: false } },
  { name: "new-password-set", path: "/new-password#t=good-token-0123456789", world: { signedIn: false } },
  { name: "invitation", path: "/invitation#t=good-token-0123456789", world: { signedIn: false }, act: async (page) => page.getByLabel("Your name").fill("Ada Lovelace") },
  { name: "invitation-nowhere", path: "/invitation", world: { signedIn: false } },
  { name: "not-found", path: "/nowhere" },
  { name: "trust", path: "/trust", world: { signedIn: false }, act: async (page) => page.getByText("2 tests prove it").click() },
  { name: "subprocessors", path: "/subprocessors", world: { signedIn: false }, ready: (page) => page.getByText("mail.example.com:465").waitFor() },
  { name: "privacy", path: "/privacy", world: { signedIn: false }, ready: (page) => page.getByText("clients retry within a day").waitFor() },
  { name: "certificate", path: `/certificates/era_${"2".padStart(32, "0")}`, world: { signedIn: false }, ready: (page) => page.getByText("What was done").waitFor() },
  { name: "menu", path: "/", act: async (page) => page.getByRole("button", { name: /account menu/ }).filter({ visible: true }).click() },
  { name: "welcome", path: "/welcome", world: { signedIn: false } },
  { name: "welcome-refused", path: "/welcome#t=bad-token-0123456789", world: { signedIn: false } },
];
const VIEWS = [
  { view: "light", theme: "light" },
  { view: "dark", theme: "dark" },
  { view: "phone", theme: "light", width: 390, height: 844 },
];

const browser = await openBrowser();

/** One screen in one view, on a server and in a world of its own; what is wrong with it. */
async function look(screen, view) {
  const server = await startServer(makeWorld(screen.world));
  const { context, page, faults } = await openPage(browser, { ...view, origin: server.url });
  try {
    await page.goto(server.url + screen.path);
    if (screen.ready) await screen.ready(page);
    await settle(page);
    if (screen.act) await screen.act(page);
    await settle(page);
    await page.screenshot({ path: join(directory, `${screen.name}-${view.view}.png`), fullPage: Boolean(process.env.WHOLE) });
    const { violations } = await new AxeBuilder({ page })
      // The guards of an open popup take focus only to hand it on, and a popup stands beside the landmarks by design.
      .exclude("[data-base-ui-focus-guard]")
      // A mail runs no scripts in its frame, so it cannot be looked into.
      .exclude("iframe")
      .disableRules(["menu", "bill-measures"].includes(screen.name) ? ["region"] : [])
      .analyze();
    for (const { id, nodes } of violations) faults.push(`axe ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
    for (const breach of await page.evaluate(() => window.breaches)) faults.push(`policy: ${breach}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (wide > 0) faults.push(`the page is ${wide} px wider than the window`);
    const cut = await page.evaluate(() => Math.max(0, ...[...document.querySelectorAll("[role$=dialog] .overflow-y-auto")].map((body) => body.scrollWidth - body.clientWidth)));
    if (cut > 0) faults.push(`the dialog scrolls sideways by ${cut} px`);
  } catch (error) {
    faults.push(`failed: ${error.message.split("\n")[0]}`);
  }
  await context.close();
  await server.close();
  return faults.map((fault) => `${screen.name} ${view.view}: ${fault}`);
}

let faulty = 0;
for (const screen of SCREENS) {
  if (only.length > 0 && !only.some((name) => screen.name === name || screen.name.startsWith(`${name}-`))) continue;
  // Much of a look is waiting: the views wait side by side.
  const faults = (await Promise.all(VIEWS.map((view) => look(screen, view)))).flat();
  for (const fault of faults) console.log(fault);
  faulty += faults.length;
}
await browser.close();
console.log(faulty === 0 ? "every screen is clean" : `${faulty} faults`);
process.exitCode = faulty === 0 ? 0 : 1;
