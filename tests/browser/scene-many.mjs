// Ten thousand tools, two browsers at once, and a platform that goes away.

import { picture, visit } from "./browser.mjs";
import { becomes, equal } from "./check.mjs";
import { stage } from "./stage.mjs";

async function ten_thousand_tools_are_no_trouble({ page }) {
  await stage("crowd start");
  await visit(page, "call");
  await page.locator("#seat").selectOption({ label: "crowd · dev" });
  await becomes("the count", () => page.locator("#tool-count").innerText(), "10,000 tools");
  equal("the first page only", (await page.locator(".tool-list a").count()) <= 300, true);
  await becomes(
    "more at the end of the list",
    async () => {
      // The count is there before the list is, and a list that is not there yet has no end.
      await page.locator(".tool-scroll").evaluate((each) => each.scrollTo(0, each.scrollHeight));
      return (await page.locator(".tool-list a").count()) > 150;
    },
    true,
  );
  await page.locator("#tool-search").fill("number 7777");
  await becomes("the search", () => page.locator("#tool-count").innerText(), "1 of 10,000 tools");
  await picture(page, "crowd-light");
  await page.locator('[data-tool="tool_07777"]').click();
  await page.getByRole("heading", { name: "tool_07777" }).waitFor();
  await page.locator("#tool-search").fill("");
  await page.locator("#seat").selectOption({ label: "local · dev" });
  await becomes("back", () => page.locator("#tool-count").innerText(), "14 tools");
}

async function two_browsers_see_the_same({ page, newPage }) {
  await visit(page, "history");
  const other = await newPage();
  await visit(other, "call/add");
  await other.getByRole("heading", { name: "add", exact: true }).waitFor();
  await other.locator("#arguments-json").fill('{"a": 1, "b": 2}');
  const newest = () => page.locator(".call-list a").first().getAttribute("href");
  const before = await newest();
  await other.locator("#send").click();
  await other.locator('.answer[data-outcome="result"]').waitFor();
  await becomes("the other's call", async () => (await newest()) !== before, true);
  await visit(other, "faults");
  await other.locator('[data-fault="Freeze"]').getByRole("button", { name: "Freeze" }).click();
  await becomes(
    "the other's fault",
    () =>
      page
        .locator("#status")
        .innerText()
        .then((text) => text.startsWith("frozen")),
    true,
  );
  await other.locator('[data-fault="Freeze"]').getByRole("button", { name: "Thaw" }).click();
  await becomes(
    "thawed",
    () =>
      page
        .locator("#status")
        .innerText()
        .then((text) => text.startsWith("connected")),
    true,
  );
  await other.close();
}

async function a_platform_that_restarts_finds_its_pages_again({ page, expectTrouble }) {
  await visit(page, "events");
  const closes = () => page.getByText("server shutting down").count();
  const before = await closes();
  await expectTrouble(async () => {
    await stage("platform restart");
    await becomes("the close", async () => (await closes()) > before, true);
    await becomes("the host is back", () => page.locator("#status").getAttribute("data-connected"), "true");
    await becomes("no banner", () => page.locator("#banner").isHidden(), true);
  });
}

/** Makes a page believe that it is in the background, or in front. */
const setHidden = (isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
};

async function pages_in_the_background_leave_room_and_catch_up({ page, newPage }) {
  await visit(page, "history");
  const newest = (each) => each.locator(".call-list a").first().getAttribute("href");
  const before = await newest(page);
  // A browser opens six connections to one platform.
  const others = [];
  for (let number = 0; number < 7; number += 1) {
    const other = await newPage();
    others.push(other);
    await visit(other, "history");
    await becomes("the history", () => newest(other), before);
    await other.evaluate(setHidden, true);
  }
  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  await page.locator("#arguments-json").fill('{"a": 3, "b": 4}');
  await page.locator("#send").click();
  await becomes("the sum", () => page.locator(".outcome .tree").allInnerTexts(), ["7"]);
  await visit(page, "history");
  await becomes("the new call", async () => (await newest(page)) !== before, true);
  equal("nobody looks there", await newest(others[0]), before);
  await others[0].evaluate(setHidden, false);
  await becomes("it catches up", async () => (await newest(others[0])) === (await newest(page)), true);
  for (const other of others) await other.close();
}

export default [
  ten_thousand_tools_are_no_trouble,
  two_browsers_see_the_same,
  pages_in_the_background_leave_room_and_catch_up,
  a_platform_that_restarts_finds_its_pages_again,
];
