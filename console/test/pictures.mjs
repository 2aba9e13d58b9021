// Takes a picture of every screen in both themes and on a phone, and checks each with axe, for breaches of the
// content security policy, foreign requests and errors. `node test/pictures.mjs [directory] [name…]`
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openBrowser, openPage, settle } from "./browser.mjs";
import { makeWorld, startServer } from "./server.mjs";

const [directory = "pictures", ...only] = process.argv.slice(2);
await mkdir(directory, { recursive: true });

const chart = async (page) => page.waitForSelector("[role=img] svg path", { state: "attached", timeout: 8000 });
const SCREENS = [
  { name: "overview", path: "/", ready: chart },
  { name: "overview-proxy", path: "/?source=proxy&by=model&range=7d", ready: chart },
  { name: "overview-day", path: "/?range=24h&source=proxy&by=key", ready: chart },
  { name: "first-steps", path: "/", world: { empty: true } },
  { name: "overview-broken", path: "/", world: { broken: true }, ready: (page) => page.getByRole("alert").first().waitFor({ timeout: 20_000 }) },
  { name: "requests", path: "/requests" },
  { name: "requests-filtered", path: "/requests?model=in-house-llama&range=7d" },
  { name: "receipt", path: "/requests", act: async (page) => page.locator("tr[data-request] button").nth(1).click() },
  { name: "receipt-unpriced", path: "/requests?model=in-house-llama", act: async (page) => page.locator("tr[data-request] button").first().click() },
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
  { name: "bills-empty", path: "/bills", world: { empty: true } },
  { name: "bill", path: "/bills/bil_01" },
  { name: "bill-model", path: "/bills/bil_01?by=model" },
  { name: "bill-currencies", path: "/bills/bil_02?by=token_class&currency=EUR" },
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
  { name: "status", path: "/status", world: { signedIn: false }, ready: (page) => page.getByText("Incidents").waitFor() },
  { name: "workflows", path: "/workflows" },
  { name: "workflow", path: "/workflows?id=01a2150c-6a3f-70a6-829f-000000000002", ready: (page) => page.getByText("Its story").waitFor() },
  { name: "operator", path: "/workflows?all=jobs" },
  { name: "operator-redrive", path: "/workflows?all=jobs&queue=webhook.v1", act: async (page) => page.getByRole("button", { name: "Redrive" }).click() },
  { name: "operator-schedules", path: "/workflows?all=schedules" },
  { name: "operator-erasures", path: "/workflows?all=erasures" },
  { name: "account", path: "/account" },
  { name: "account-end", path: "/account?view=end", act: async (page) => page.getByRole("button", { name: "Close the account" }).click() },
  { name: "closing", path: "/keys", world: { closing: true }, ready: (page) => page.getByRole("button", { name: "Keep the account" }).waitFor() },
  { name: "confirm", path: "/confirm#t=good-token-0123456789", world: { signedIn: false }, act: async (page) => page.getByRole("button", { name: "Yes, tell me" }).click() },
  { name: "unsubscribe-refused", path: "/unsubscribe#t=bad-token-0123456789", world: { signedIn: false }, act: async (page) => page.getByRole("button", { name: "Unsubscribe" }).click() },
  { name: "keep-account", path: "/keep-account#t=good-token-0123456789", world: { signedIn: false } },
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
let faulty = 0;
for (const screen of SCREENS) {
  if (only.length > 0 && !only.includes(screen.name)) continue;
  for (const view of VIEWS) {
    const server = await startServer(makeWorld(screen.world));
    const { context, page, faults } = await openPage(browser, { ...view, origin: server.url });
    try {
      await page.goto(server.url + screen.path);
      if (screen.ready) await screen.ready(page);
      await settle(page);
      if (screen.act) await screen.act(page);
      await settle(page);
      await page.screenshot({ path: join(directory, `${screen.name}-${view.view}.png`) });
      const { violations } = await new AxeBuilder({ page })
        // The guards of an open popup take focus only to hand it on, and a popup stands beside the landmarks by design.
        .exclude("[data-base-ui-focus-guard]")
        // A mail runs no scripts in its frame, so it cannot be looked into.
        .exclude("iframe")
        .disableRules(screen.name === "menu" ? ["region"] : [])
        .analyze();
      for (const { id, nodes } of violations) faults.push(`axe ${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
      for (const breach of await page.evaluate(() => window.breaches)) faults.push(`policy: ${breach}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (wide > 0) faults.push(`the page is ${wide} px wider than the window`);
      
    } catch (error) {
      faults.push(`failed: ${error.message.split("\n")[0]}`);
    }
    for (const fault of faults) console.log(`${screen.name} ${view.view}: ${fault}`);
    faulty += faults.length;
    await context.close();
    await server.close();
  }
}
await browser.close();
console.log(faulty === 0 ? "every screen is clean" : `${faulty} faults`);
process.exitCode = faulty === 0 ? 0 : 1;
