// The browser: started with a profile of its own, watched for complaints, and photographed.

import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { PLAYGROUND_DRIVER: driver, PLAYGROUND_PICTURES: pictures, PLAYGROUND_URL: url } = process.env;
const { chromium } = createRequire(join(driver, "package.json"))("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
];
const PATIENCE = 15_000;

/** A browser that fails the run when a page complains, or asks anybody but the platform. */
export async function launch() {
  const profile = mkdtempSync(join(tmpdir(), "playground-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(PATIENCE);
  const complaints = [];
  let isTroubleExpected = false;
  const watch = (page) => {
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // The browser itself reports requests that fail; a script expects some of those.
      if (isTroubleExpected && message.text().startsWith("Failed to load resource")) return;
      complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    });
    page.on("pageerror", (error) => complaints.push(`thrown: ${error.stack}`));
    page.on("request", (request) => {
      const asked = request.url();
      if (!asked.startsWith(url) && !asked.startsWith("data:") && !asked.startsWith("blob:"))
        complaints.push(`asked ${asked}`);
    });
  };
  context.on("page", watch);
  context.pages().forEach(watch);
  return {
    page: context.pages()[0],
    newPage: () => context.newPage(),
    /** Makes somebody else of the browser: without the cookies that it has. */
    forgetCookies: () => context.clearCookies(),
    complaints,
    /** Does something during which requests may fail. */
    async expectTrouble(action) {
      isTroubleExpected = true;
      await action();
      isTroubleExpected = false;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** Keeps a picture of what is seen. */
export async function picture(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), animations: "disabled" });
}

/** Goes to a view. */
export async function visit(page, hash) {
  await page.goto(`${url}#/${hash}`);
}
