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
