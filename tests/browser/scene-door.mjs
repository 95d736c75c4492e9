// Who gets in: whoever has the link. Everybody else is told what to do.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const { PLAYGROUND_URL: url, PLAYGROUND_LINK: link, PLAYGROUND_TOKEN: token } = process.env;

const isOpen = (page) => page.locator("#tabs").isVisible();

async function another_user_is_told_what_to_do({ page, expectTrouble }) {
  await page.goto(url);
  await page.getByRole("heading", { name: "This playground opens with a link" }).waitFor();
  equal("the views", await isOpen(page), false);
  equal("a problem", await page.locator("#door-problem").isVisible(), false);
  await picture(page, "door-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "door-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 360, height: 780 });
  equal("it fits a phone", await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await picture(page, "door-phone");
  await page.setViewportSize({ width: 1440, height: 900 });
  const asked = (path) => page.evaluate(async (path) => (await fetch(path)).status, path);
  await expectTrouble(async () => {
    equal("what its scripts may ask", await asked("/api/v1/entities"), 401);
    await page.getByLabel("Or enter the API token").fill("0123456789abcdef");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("this is not the API token").waitFor();
  });
  equal("the views", await isOpen(page), false);
}

async function the_link_opens_the_page_and_leaves_nothing_in_the_address({ page, newPage, expectTrouble }) {
  // As when it is pasted where the page is already.
  await page.goto(link);
  await page.locator("#tabs").waitFor();
  equal("the address", await page.evaluate(() => location.href), url);
  equal("what scripts see of the cookie", await page.evaluate(() => document.cookie), "");
  await page.reload();
  await page.locator("#tabs").waitFor();
  const second = await newPage();
  await visit(second, "history");
  await second.locator("#tabs").waitFor();
  // A link that is used up does no harm where the page is open.
  await expectTrouble(async () => {
    const tried = second.waitForResponse((response) => response.url().endsWith("/api/v1/page"));
    const loadedAnew = second.waitForEvent("load");
    await second.goto(link);
    equal("a used link", (await tried).status(), 401);
    // A page that is closed while it loads may never close.
    await loadedAnew;
    await second.waitForURL(url);
    await second.locator("#tabs").waitFor();
  });
  await second.close();
}

async function a_link_works_once_and_the_token_always({ page, newPage, forgetCookies, expectTrouble }) {
  await page.goto("about:blank");
  await forgetCookies();
  const other = await newPage();
  await expectTrouble(async () => {
    await other.goto(link);
    await other.locator("#door-problem").waitFor();
    includes("the problem", await other.locator("#door-problem").innerText(), "This link was opened before");
    equal("the views", await isOpen(other), false);
    await picture(other, "door-used");
  });
  await other.getByLabel("Or enter the API token").fill(token);
  await other.keyboard.press("Enter");
  await other.locator("#tabs").waitFor();
  await becomes("the door", () => other.locator("#door").count(), 0);
  await other.close();
}

export default [
  another_user_is_told_what_to_do,
  the_link_opens_the_page_and_leaves_nothing_in_the_address,
  a_link_works_once_and_the_token_always,
];
