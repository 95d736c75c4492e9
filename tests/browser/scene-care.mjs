// What cannot be taken back is asked for first.

import { picture, visit } from "./browser.mjs";
import { agree, becomes, equal, includes } from "./check.mjs";

const { PLAYGROUND_URL: url, PLAYGROUND_TOKEN: token } = process.env;
const question = (page) => page.getByRole("alertdialog");

/** How many calls were ever made. */
async function made() {
  const response = await fetch(`${url}api/v1/entities`, { headers: { Authorization: `Bearer ${token}` } });
  return (await response.json()).counters.calls;
}

/** Does something that asks, says no in two ways, and checks that nothing was called; then says yes. */
async function asks(page, what, act, action) {
  const before = await made();
  await act();
  await question(page).waitFor();
  equal(`${what}: Cancel has the focus`, await page.evaluate(() => document.activeElement.textContent), "Cancel");
  // A key too many.
  await page.keyboard.press("Enter");
  await becomes(`${what}: the question is gone`, () => question(page).count(), 0);
  await act();
  await question(page).waitFor();
  for (const key of ["r", "Control+Enter", "1", "Escape"]) await page.keyboard.press(key);
  await becomes(`${what}: the question is gone`, () => question(page).count(), 0);
  equal(`${what}: nothing was called`, await made(), before);
  await act();
  await agree(page, action);
  await becomes(`${what}: called`, made, before + 1);
}

const TRIP = JSON.stringify({
  destination: "LIS",
  passengers: [{ name: "Ada Lovelace" }],
  payment: { kind: "card", last_four: "4242" },
});

async function a_destructive_tool_asks_before_each_call({ page }) {
  await visit(page, "call/book_trip");
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  await page.locator("#arguments-json").fill(TRIP);
  await asks(page, "Send", () => page.locator("#send").click(), "Send");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  const button = (name) => page.locator(".outcome").getByRole("button", { name });
  await asks(page, "Again", () => button("Again").click(), "Again");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  await button("Replay frame").click();
  includes("the question", await question(page).innerText(), "Ada Lovelace");
  await picture(page, "question-light");
  await page.keyboard.press("Escape");
  await asks(page, "Replay", () => button("Replay frame").click(), "Replay frame");
  await page.locator('.outcome .answer[data-outcome="error"]').waitFor();
}

async function so_do_the_history_and_the_faults({ page }) {
  await visit(page, "history");
  await page.locator(".call-list a", { hasText: "book_trip" }).first().click();
  const button = (name) => page.locator(".detail").getByRole("button", { name });
  await asks(page, "Again", () => button("Again").click(), "Again");
  await page.locator('.detail .answer[data-outcome="result"]').waitFor();
  await asks(page, "Replay", () => button("Replay frame").click(), "Replay frame");
  await page.locator('.detail .answer[data-outcome="error"]').waitFor();
  await visit(page, "faults");
  const push = (fault, name) => () => page.locator(`[data-fault="${fault}"]`).getByRole("button", { name }).click();
  await asks(page, "Tamper", push("Tamper", "Send a tampered call"), "Send tampered");
  await page.locator('[data-fault="Tamper"] .verdict').getByText("as it should").waitFor();
  await asks(page, "Replay last", push("Replay", "Replay the last call"), "Replay");
}

async function no_key_repeats_a_call({ page }) {
  await visit(page, "call/book_trip");
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  await page.locator("h1:visible").click();
  const before = await made();
  for (const key of ["r", "R", "a", "s", "Enter"]) await page.keyboard.press(key);
  // The platform answers in order: a call that was made would be counted by then.
  await page.evaluate(() => fetch("/api/v1/health").then((response) => response.text()));
  equal("calls", await made(), before);
  equal("questions", await question(page).count(), 0);

  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  await page.locator("#arguments-json").fill('{"a": 1, "b": 2}');
  await page.locator('[data-field="b"] input').focus();
  for (let held = 0; held < 5; held += 1) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  await page.evaluate(() => fetch("/api/v1/health").then((response) => response.text()));
  equal("a key that is held down calls once", await made(), before + 1);
}

async function a_secret_and_a_history_are_not_lost_by_one_click({ page }) {
  const secret = async () => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await (await fetch(`${url}api/v1/entities/local/secret`, { headers })).json()).secret;
  };
  const before = await secret();
  await visit(page, "faults");
  await page.getByRole("button", { name: "Rotate the secret" }).click();
  includes("the question", await question(page).innerText(), "the host that is connected has to leave");
  await page.keyboard.press("Enter");
  await becomes("the question is gone", () => question(page).count(), 0);
  equal("the secret", await secret(), before);
  await visit(page, "history");
  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await question(page).getByRole("button", { name: "Cancel" }).click();
  equal("calls are left", (await page.locator(".call-list a").count()) > 0, true);
}

export default [
  a_destructive_tool_asks_before_each_call,
  so_do_the_history_and_the_faults,
  no_key_repeats_a_call,
  a_secret_and_a_history_are_not_lost_by_one_click,
];
