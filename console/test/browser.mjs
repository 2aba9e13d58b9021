// Opens the machine's own Chromium, the same way for pictures and for checks.
import { chromium } from "playwright-core";

/** How long is waited for what must come, on a machine that is busy with others. */
export const PATIENCE_MS = 120_000;

export async function openBrowser() {
  return chromium.launch({
    timeout: PATIENCE_MS,
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--font-render-hinting=none"],
  });
}

/** A page that writes down every breach of the content security policy, every foreign request and every error. */
export async function openPage(browser, { theme = "light", width = 1360, height = 900, origin, scale = 1 } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor: scale,
    colorScheme: theme,
    timezoneId: "UTC",
    locale: "en-US",
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    const expected = /status of (401|403|404|422|503)/.test(text);
    if (message.type() === "error" && !expected) faults.push(`console: ${text}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (origin && !url.startsWith(origin) && !url.startsWith("data:") && !url.startsWith("blob:")) faults.push(`foreign: ${url}`);
  });
  await page.addInitScript(() => {
    window.breaches = [];
    document.addEventListener("securitypolicyviolation", (event) => window.breaches.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  return { context, page, faults };
}

export async function settle(page) {
  await page.evaluate(() => document.fonts.ready);
  await page.waitForLoadState("networkidle", { timeout: 15_000 }).catch(() => undefined);
  await page.waitForTimeout(350);
}

/** Looks again until what the work in the background brings is shown. */
export async function untilShown(page, what) {
  const begun = Date.now();
  while (!(await what().isVisible())) {
    if (Date.now() - begun > PATIENCE_MS) throw new Error(`${what()} does not come`);
    await new Promise((resume) => setTimeout(resume, 250));
    await page.reload();
    await settle(page);
  }
}
