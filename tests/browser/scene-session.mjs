// A session token: minted for a user, looked at, and called with.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const session = (page) => page.locator(".session");
const frame = async (page) => {
  await page.locator(".outcome").getByRole("tab", { name: "Frames" }).click();
  return JSON.parse(await page.locator(".outcome .tab-panel .code").first().innerText());
};

async function a_token_is_minted_and_says_what_it_says({ page }) {
  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  await page.locator("#arguments-json").fill('{"a": 20, "b": 22}');
  await page.locator(".caller").evaluate((caller) => (caller.open = true));
  await session(page).locator("> summary").click();
  await session(page).getByLabel("For the user").fill("zoë");
  await session(page).getByLabel("Only for the agent").fill("agent_pinned");
  await session(page).getByLabel("With the user token").fill("tok-of-zoe");
  await session(page).getByLabel("Lives for").selectOption({ label: "1 day" });
  await session(page).getByRole("button", { name: "Mint" }).click();
  await session(page).getByText(/^Lives for 23 h 59 min more/).waitFor();
  const claims = JSON.parse(await session(page).locator(".claims").innerText());
  equal(
    "the claims",
    [claims.userId, claims.agentId, claims.userToken, claims.entityId, claims.exp - claims.iat],
    ["zoë", "agent_pinned", "tok-of-zoe", "local", 86_400],
  );
  await session(page).getByRole("button", { name: "Copy the token" }).click();
  await becomes(
    "the copied token has three parts",
    async () => (await page.evaluate(() => navigator.clipboard.readText())).split(".").length,
    3,
  );
  const token = await page.evaluate(() => navigator.clipboard.readText());
  const checked = await fetch(`${process.env.PLAYGROUND_URL}api/v1/session`, {
    headers: { Authorization: `Bearer ${process.env.PLAYGROUND_TOKEN}`, "X-Platos-Session-Token": token },
  });
  equal("the platform takes it", (await checked.json()).userId, "zoë");
}

async function calls_are_made_by_the_session_and_then_no_longer({ page }) {
  await session(page).getByRole("button", { name: "Call as this session" }).click();
  equal("the user is the session's", await page.locator("#caller-user").isDisabled(), true);
  includes("the summary", await page.locator(".caller > summary").innerText(), "session of zoë");
  await session(page).scrollIntoViewIfNeeded();
  await picture(page, "session-light");
  await page.locator("#send").click();
  await becomes("the sum", () => page.locator(".outcome .answer .tree").innerText(), "42");
  const { userId, agentId, userToken } = (await frame(page)).params.__platos;
  equal("who called", [userId, agentId, userToken], ["zoë", "agent_pinned", "tok-of-zoe"]);

  await session(page).getByRole("button", { name: "Call as yourself again" }).click();
  const first = await page.locator(".outcome .answer").getAttribute("data-call");
  await page.locator("#send").click();
  await becomes(
    "another call",
    async () =>
      (await page.locator(".outcome .answer").count()) > 0 &&
      (await page.locator(".outcome .answer").getAttribute("data-call")) !== first,
    true,
  );
  equal("who called then", (await frame(page)).params.__platos.userId, "usr_ada");
}

async function calls_to_another_environment_are_not_made_by_it({ page, expectTrouble }) {
  await session(page).getByRole("button", { name: "Call as this session" }).click();
  equal("the user is the session's", await page.locator("#caller-user").isDisabled(), true);
  await expectTrouble(async () => {
    await page.locator("#seat").selectOption({ label: "local · prod (no host)" });
    await page.getByRole("heading", { name: "This tool is not there" }).waitFor();
  });
  await page.locator("#seat").selectOption({ label: "local · dev" });
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  equal("the user is free again", await page.locator("#caller-user").isDisabled(), false);
  await session(page).getByRole("button", { name: "Call as this session" }).waitFor();
  await session(page).getByText(/^Lives for/).first().waitFor();
}

async function what_cannot_be_minted_is_said_in_its_place({ page, expectTrouble }) {
  await expectTrouble(async () => {
    await session(page).getByLabel("For the user").fill("   ");
    await session(page).getByLabel("For the user").press("Enter");
    await session(page).locator(".note.bad").waitFor();
  });
  equal("no token is left", await session(page).locator(".claims").count(), 0);
}

/** Keeps a picture of the menu that copies a call. */
async function copyMenu(page, name) {
  const menu = page.locator(".outcome .menu");
  await menu.locator("summary").click();
  await menu.scrollIntoViewIfNeeded();
  const { x, width } = await menu.locator(".menu-items").boundingBox();
  equal(`${name} is inside the page`, x >= 0 && x + width <= page.viewportSize().width, true);
  await picture(page, name);
  await menu.locator("summary").press("Escape");
}

async function it_is_seen_in_the_dark_and_on_a_phone({ page }) {
  await session(page).getByLabel("For the user").fill("zoë");
  await session(page).getByRole("button", { name: "Mint" }).click();
  await session(page).getByRole("button", { name: "Call as this session" }).click();
  await page.emulateMedia({ colorScheme: "dark" });
  await session(page).locator(".claims").scrollIntoViewIfNeeded();
  await picture(page, "session-dark");
  await copyMenu(page, "copy-as-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 360, height: 780 });
  await session(page).locator(".claims").scrollIntoViewIfNeeded();
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  equal("it fits a phone", wide <= width, true);
  await picture(page, "session-phone");
  await copyMenu(page, "copy-as-phone");
  await page.setViewportSize({ width: 1440, height: 900 });
  await session(page).getByRole("button", { name: "Call as yourself again" }).click();
  await page.reload();
  equal("the page forgets it", await session(page).locator(".claims").count(), 0);
}

export default [
  a_token_is_minted_and_says_what_it_says,
  calls_are_made_by_the_session_and_then_no_longer,
  calls_to_another_environment_are_not_made_by_it,
  what_cannot_be_minted_is_said_in_its_place,
  it_is_seen_in_the_dark_and_on_a_phone,
];
