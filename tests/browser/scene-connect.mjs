// Nobody is there yet; then a host comes, and the page shows it without being asked.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";
import { stage } from "./stage.mjs";

async function the_empty_page_shows_the_lines_to_paste({ page }) {
  await visit(page, "call");
  const lines = page.locator(".connect .lines");
  await lines.waitFor();
  includes("the lines", await lines.innerText(), "export PLATOS_URL='ws://127.0.0.1:");
  includes("the lines", await lines.innerText(), "••••");
  await picture(page, "connect-light");

  await page.getByRole("button", { name: "Copy: the lines, with the secret" }).click();
  await page.getByText("Copied:").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  equal("the copied secret", /PLATOS_SECRET='[0-9a-f]{64}'/.test(copied), true);
  await page.getByRole("button", { name: "Show the secret" }).click();
  await becomes("the shown lines", () => lines.innerText(), copied);
}

async function a_host_that_connects_is_seen_at_once({ page }) {
  equal("before", await page.locator("#status").innerText(), "no host");
  await stage("host start");
  await becomes("the status", () => page.locator("#status").getAttribute("data-connected"), "true");
  await becomes("the tools", () => page.locator(".tool-list a").count(), 14);
  await page.getByRole("heading", { name: "Choose a tool" }).waitFor();
  await picture(page, "tools-light");
}

export default [the_empty_page_shows_the_lines_to_paste, a_host_that_connects_is_seen_at_once];
