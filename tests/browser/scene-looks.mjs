// Every view in three widths, in light and dark: it fits, it can be read, and axe finds nothing to complain about.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { picture, visit } from "./browser.mjs";
import { agree, becomes, equal } from "./check.mjs";

const { PLAYGROUND_DRIVER: driver } = process.env;
const axe = readFileSync(createRequire(join(driver, "package.json")).resolve("axe-core/axe.min.js"), "utf8");

const TRIP = JSON.stringify(
  {
    destination: "LIS",
    passengers: [{ name: "Ada Lovelace", age: 36, vegetarian: true }],
    payment: { kind: "card", last_four: "4242" },
  },
  null,
  2,
);

const WIDTHS = [
  ["wide", { width: 1440, height: 900 }],
  ["tablet", { width: 1024, height: 768 }],
  ["phone", { width: 390, height: 844 }],
];

/** Puts the pointer where it shows nothing, and the focus away. */
const rest = (page) => page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());

/** Views: a name, where it is, what has to be there, and what is done first. */
const VIEWS = [
  ["tools", "call", "#tool-count"],
  ["form", "call/lookup_order", ".tool-head"],
  ["definition", "call/lookup_order", ".definition", (page) => page.getByRole("tab", { name: "Definition" }).click()],
  ["answer", "call/book_trip", ".outcome .answer"],
  ["frames", "call/book_trip", ".outcome .piece", (page) => page.locator(".outcome").getByRole("tab", { name: "Frames" }).click()],
  ["signature", "call/book_trip", ".explained", (page) => page.locator(".outcome").getByRole("tab", { name: "Signature" }).click()],
  ["shapes", "call/shapes", ".fields"],
  ["impossible", "call/impossible", ".fields"],
  ["content", "call/report", ".blocks audio"],
  ["image", "call/sales_chart", ".media img"],
  ["error", "call/fail", '.outcome .answer[data-outcome="error"]'],
  ["question", "call/book_trip", "dialog.confirm", (page) => page.locator("#send").click(), (page) => page.keyboard.press("Escape")],
  ["caller", "call/whoami", ".session .caller-fields", openCaller],
  ["history", "history", ".call-list a"],
  ["history-call", "history", ".detail .answer", openCall],
  ["health", "health", ".figures"],
  ["faults", "faults", ".fault-cards"],
  ["events", "events", ".timeline li"],
  ["shortcuts", "events", "#shortcuts[open]", (page) => page.keyboard.press("?"), (page) => page.keyboard.press("Escape")],
];

async function openCaller(page) {
  await page.locator(".caller").evaluate((caller) => (caller.open = true));
  await page.locator(".session").evaluate((session) => (session.open = true));
}

async function openCall(page) {
  await page.locator(".call-list a").first().click();
}

async function look(page, name) {
  await rest(page);
  await fitsTheWidth(page, name);
  await picture(page, name);
  await isAccessible(page, name);
}

/** Looks at a view in light and dark. */
async function inBothThemes(page, name) {
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await look(page, `${name}-${theme}`);
  }
}

async function all(page, width) {
  for (const [name, hash, landmark, prepare, leave] of VIEWS) {
    await visit(page, hash);
    if (prepare) await prepare(page);
    await page.locator(`${landmark}:visible`).first().waitFor();
    await inBothThemes(page, `${name}-${width}`);
    if (leave) await leave(page);
  }
}

/** What axe says of a page, a line for each element. */
async function isAccessible(page, what) {
  // By the protocol of the browser's tools, which the page's policy does not concern.
  if (!(await page.evaluate("typeof axe !== 'undefined'"))) await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.any[0]?.message ?? ""}`));
  });
  equal(`axe on ${what}`, found, []);
}

/** Nothing may stick out to the right. */
async function fitsTheWidth(page, what) {
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  equal(`${what} fits`, wide <= width, true);
  const cramped = await page
    .locator(".figure .value:visible")
    .evaluateAll((all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent));
  equal(`${what} has room for its figures`, cramped, []);
}

/** Sees to it that there are answers to look at; a page that was loaded anew has none. */
async function prepare(page) {
  for (const [tool, argumentsText, outcome] of [
    ["sales_chart", "{}", "result"],
    ["report", "{}", "result"],
    ["fail", '{"message": "there is no order ord-9"}', "error"],
    ["book_trip", TRIP, "result"],
  ]) {
    await visit(page, `call/${tool}`);
    await page.getByRole("heading", { name: tool }).waitFor();
    await page.locator("#arguments-json").fill(argumentsText);
    await page.locator("#send").click();
    if (tool === "book_trip") await agree(page, "Send");
    await page.locator(`.answer[data-outcome="${outcome}"]`).waitFor();
  }
}

async function every_view_in_every_width_and_theme({ page }) {
  await prepare(page);
  for (const [width, size] of WIDTHS) {
    await page.setViewportSize(size);
    await all(page, width);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(WIDTHS[0][1]);
}

/** The card that is shown while no host is connected, and the door. */
async function so_are_the_empty_page_and_the_door({ page, forgetCookies, expectTrouble }) {
  await page.locator("#seat").selectOption({ label: "local · prod (no host)" });
  for (const isDoor of [false, true]) {
    if (isDoor) {
      // The page may ask for something between these two.
      await expectTrouble(async () => {
        await forgetCookies();
        await page.reload();
        await page.locator("#door-token").waitFor();
      });
    } else await visit(page, "call");
    await page.locator(isDoor ? "#door-token" : ".connect").waitFor();
    for (const [width, size] of WIDTHS) {
      await page.setViewportSize(size);
      await inBothThemes(page, `${isDoor ? "door" : "connect"}-${width}`);
    }
  }
}

async function the_theme_can_be_chosen({ page }) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.keyboard.press("t");
  await becomes("dark", ground, "rgb(15, 19, 23)");
  await page.reload();
  await becomes("still dark", ground, "rgb(15, 19, 23)");
  await page.getByRole("button", { name: "Light or dark" }).click();
  await becomes("light", ground, "rgb(245, 246, 248)");
  await page.evaluate(() => localStorage.removeItem("platools.theme"));
  await page.reload();
}

export default [the_theme_can_be_chosen, every_view_in_every_width_and_theme, so_are_the_empty_page_and_the_door];
