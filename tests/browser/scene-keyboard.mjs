// The whole page by keyboard alone: not one click. Whatever has the focus is seen to have it.

import { visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const MOST_STOPS = 80;

/** What has the focus, and how it looks. */
const focused = (page, selector) =>
  page.evaluate((selector) => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { width, height, top, left, bottom, right } = element.getBoundingClientRect();
    return {
      what: `${element.tagName} ${element.id || element.className || element.textContent.slice(0, 30)}`,
      isWanted: element.matches(selector),
      isNowhere: element === document.body || element === document.documentElement,
      isMarked: outlineStyle !== "none" && outlineWidth !== "0px",
      isThere: width > 0 && height > 0 && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
    };
  }, selector);

/** Presses Tab until something has the focus. */
async function tabTo(page, selector, key = "Tab") {
  const passed = [];
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press(key);
    const { what, isWanted, isNowhere, isMarked, isThere } = await focused(page, selector);
    passed.push(what);
    // The browser's own bar comes between the end of the page and its beginning.
    if (isNowhere) continue;
    if (!isMarked || !isThere) throw new Error(`the focus is not seen: ${what}, on the way to ${selector}`);
    if (isWanted) return;
  }
  throw new Error(`no way to ${selector} by ${key}: ${passed.join(" > ")}`);
}

const back = (page, selector) => tabTo(page, selector, "Shift+Tab");
const heading = (page, name) => page.getByRole("heading", { name, exact: true }).waitFor();
const said = (page, selector) => page.locator(selector).innerText();

/** Finds a tool and opens it: its form has the focus then. */
async function openTool(page, words, tool, name = tool) {
  await page.keyboard.press("/");
  await page.keyboard.type(words);
  const found = () => page.locator(".tool-list a").evaluateAll((all) => all.map((each) => each.dataset.tool));
  await becomes("what is found", found, [tool]);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await heading(page, name);
  const isInForm = () => page.evaluate(() => Boolean(document.activeElement.closest(".fields")));
  await becomes("the focus is in the form", isInForm, true);
}

async function a_tool_is_found_called_and_understood({ page }) {
  await visit(page, "call");
  await page.reload();
  await becomes("the tools", () => said(page, "#tool-count"), "14 tools");
  await tabTo(page, ".skip");
  await page.keyboard.press("Enter");
  await openTool(page, "order look", "lookup_order", "Order look-up");
  await page.keyboard.type("ord-1042");
  await page.keyboard.press("Enter");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  includes("what was sent", await said(page, ".outcome .tree"), '"ord-1042"');
  await tabTo(page, '.outcome [role="tab"]');
  await page.keyboard.press("ArrowRight");
  await page.getByText("Sent to the host").waitFor();
  await back(page, '.work [role="tab"]');
  await page.keyboard.press("ArrowRight");
  await heading(page, "What a model sees");
  await page.keyboard.press("Home");
  await page.locator('[data-field="order_id"]').waitFor();
}

async function the_history_is_walked_and_a_call_made_again({ page }) {
  await page.keyboard.press("2");
  await heading(page, "History");
  await tabTo(page, ".call-list a");
  const first = await page.evaluate(() => document.activeElement.getAttribute("href"));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.locator(".detail .answer").waitFor();
  includes("the call", page.url(), first);
  await tabTo(page, ".detail button[title='Ask the same, signed anew']");
  await page.keyboard.press("Space");
  await becomes("another call", () => page.url().includes(first), false);
  await page.locator('.detail .answer[data-outcome="result"]').waitFor();
}

async function a_destructive_tool_is_meant_or_not({ page }) {
  await page.keyboard.press("1");
  await openTool(page, "itinerary", "book_trip");
  await tabTo(page, "#arguments-json");
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(
    JSON.stringify({ destination: "LIS", passengers: [{ name: "Ada" }], payment: { kind: "card", last_four: "4242" } }),
  );
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alertdialog").waitFor();
  await page.keyboard.press("Escape");
  await becomes("not meant", () => page.getByRole("alertdialog").count(), 0);
  equal("the focus is back", await page.evaluate(() => document.activeElement.id), "arguments-json");
  await page.keyboard.press("Control+Enter");
  await tabTo(page, "dialog .filled");
  await page.keyboard.press("Enter");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  await page.keyboard.press("Escape");
}

async function faults_health_and_events_are_reached({ page }) {
  await page.keyboard.press("4");
  await heading(page, "Faults");
  await tabTo(page, '[data-fault="Tamper"] select');
  await tabTo(page, '[data-fault="Garbage"] button');
  await page.keyboard.press("Enter");
  await page.locator('.watch [data-event="fault"]').first().waitFor();
  await page.keyboard.press("3");
  await heading(page, "Health");
  await tabTo(page, ".bars .bar");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("5");
  await heading(page, "Events");
  await tabTo(page, "#events-quiet");
  await page.keyboard.press("Space");
  equal("heartbeats are wanted", await page.locator("#events-quiet").isChecked(), false);
  await page.keyboard.press("Space");
}

async function seat_theme_and_help_are_within_reach({ page }) {
  await back(page, "#seat");
  await page.keyboard.press("ArrowDown");
  await becomes("another environment", () => page.locator("#seat option:checked").innerText(), "local · staging (no host)");
  await page.keyboard.press("ArrowUp");
  await becomes("and back", () => page.locator("#seat option:checked").innerText(), "local · dev");
  await page.keyboard.press("Escape");
  await page.keyboard.press("t");
  await becomes("dark", () => page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.keyboard.press("t");
  await page.evaluate(() => localStorage.removeItem("platools.theme"));
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  equal("no key that repeats a call", (await page.getByRole("dialog").innerText()).includes("again"), false);
  await page.keyboard.press("Escape");
  await becomes("closed", () => page.getByRole("dialog").count(), 0);
}

export default [
  a_tool_is_found_called_and_understood,
  the_history_is_walked_and_a_call_made_again,
  a_destructive_tool_is_meant_or_not,
  faults_health_and_events_are_reached,
  seat_theme_and_help_are_within_reach,
];
