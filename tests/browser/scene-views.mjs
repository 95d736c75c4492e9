// History, health and events.

import { picture, visit } from "./browser.mjs";
import { agree, becomes, equal, includes } from "./check.mjs";
import { stage } from "./stage.mjs";

async function the_history_lists_replays_and_copies({ page }) {
  await page.keyboard.press("Escape");
  await page.keyboard.press("2");
  await page.getByRole("heading", { name: "History" }).waitFor();
  const rows = page.locator(".call-list a");
  await becomes("the newest call", () => rows.first().locator(".tool-name").innerText(), "add");
  await page.getByLabel("Filter the history").fill("book_trip");
  await becomes("the filtered calls", () => rows.count(), 1);
  await rows.first().click();
  await page.locator(".detail .answer").waitFor();
  await picture(page, "history-light");

  await page.locator(".detail").getByText("Copy as").click();
  await page.locator(".detail").getByRole("button", { name: "curl" }).click();
  await becomes(
    "the copied command",
    async () => (await page.evaluate(() => navigator.clipboard.readText())).split("\n")[0].slice(0, 26),
    "curl -sS 'http://127.0.0.1",
  );
  const command = await page.evaluate(() => navigator.clipboard.readText());
  includes("the command", command, "Ada Lovelace");
  equal("the command has no token", command.includes(process.env.PLAYGROUND_TOKEN), false);
  await page.locator(".detail").getByText("Copy as").click();
  await page.locator(".detail").getByRole("button", { name: "Rust test" }).click();
  await becomes(
    "the copied test",
    async () => (await page.evaluate(() => navigator.clipboard.readText())).split("\n")[0],
    "#[tokio::test]",
  );

  await page.getByLabel("Filter the history").fill("");
  await page.locator(".detail").getByRole("button", { name: "Replay frame" }).click();
  await agree(page, "Replay frame");
  await page.locator('.detail .answer[data-outcome="error"]').waitFor();
  includes("the refusal", await page.locator(".detail .answer").innerText(), "nonce_replay");
  await page.locator(".detail").getByRole("button", { name: "Edit" }).click();
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  equal("the form", await page.locator('[data-field="destination"] input').inputValue(), "LIS");
}

async function curl_as_copied_makes_the_call({ page }) {
  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  await page.locator("#arguments-json").fill(`{"a": 20, "b": 22, "it's": "'quoted'"}`);
  await page.locator("#arguments-json").fill(`{"a": 20, "b": 22}`);
  await page.locator("#send").click();
  await becomes("the sum", () => page.locator(".answer .tree").innerText(), "42");
  await page.locator(".outcome").getByText("Copy as").click();
  await page.locator(".outcome").getByRole("button", { name: "curl" }).click();
  await becomes(
    "the copied command",
    async () => (await page.evaluate(() => navigator.clipboard.readText())).includes('"b": 22'),
    true,
  );
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { execFileSync } = await import("node:child_process");
  const environment = { ...process.env, PLATOOLS_DEV_TOKEN: process.env.PLAYGROUND_TOKEN };
  equal("what it says", JSON.parse(execFileSync("sh", ["-c", command], { env: environment })).result, 42);
}

const copyAs = async (page, name) => {
  await page.evaluate(() => navigator.clipboard.writeText("nothing yet"));
  await page.locator(".outcome").getByText("Copy as").click();
  await page.locator(".outcome").getByRole("button", { name, exact: true }).click();
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await becomes(`${name} is copied`, async () => (await copied()) !== "nothing yet", true);
  return copied();
};

async function tokens_stay_out_of_all_that_is_copied({ page }) {
  await visit(page, "call/whoami");
  await page.getByRole("heading", { name: "whoami", exact: true }).waitFor();
  await page.locator(".caller").evaluate((caller) => (caller.open = true));
  await page.getByLabel("User token", { exact: true }).fill("tok-that-is-secret");
  await page.locator("#send").click();
  await becomes(
    "the token arrives",
    async () =>
      (await page.locator(".outcome .answer .tree").allInnerTexts()).join().includes("has_user_token: true"),
    true,
  );
  const copied = {};
  for (const name of ["curl", "platools call", "Test case", "Rust test"]) {
    copied[name] = await copyAs(page, name);
    equal(`${name} has the token`, copied[name].includes("tok-that-is-secret"), false);
    includes(name, copied[name], "USER_TOKEN");
  }
  const { execFileSync } = await import("node:child_process");
  const tokens = { PLATOOLS_DEV_TOKEN: process.env.PLAYGROUND_TOKEN, USER_TOKEN: "tok-of-o'brien" };
  const said = execFileSync("sh", ["-c", copied.curl], { env: { ...process.env, ...tokens } });
  equal("the token of the environment", JSON.parse(said).request.user_token, "tok-of-o'brien");
  await page.getByLabel("User token", { exact: true }).fill("");
}

async function cases_as_copied_pass({ page }) {
  const { mkdtempSync, rmSync, writeFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { tmpdir } = await import("node:os");
  const folder = mkdtempSync(join(tmpdir(), "playground-cases-"));
  const file = join(folder, "platools-tests.yaml");
  const text = JSON.stringify({ message: 'é: "#" \n\u007f - ☕ \u2028' });
  for (const [tool, typed, outcome] of [
    ["whoami", "{}", "result"],
    ["add", '{"a": 9007199254740993, "b": 0}', "result"],
    ["add", '{"a": 1}', "error"],
    ["fail", text, "error"],
    ["huge", '{"bytes": 300000}', "result"],
  ]) {
    await visit(page, `call/${tool}`);
    await page.getByRole("heading", { name: tool, exact: true }).waitFor();
    await page.locator("#arguments-json").fill(typed);
    const before = await page
      .locator(".outcome .answer")
      .evaluateAll((all) => all.map((each) => each.dataset.call));
    await page.locator("#send").click();
    await page
      .locator(`.outcome .answer[data-outcome="${outcome}"]:not([data-call="${before[0] ?? ""}"])`)
      .waitFor();
    writeFileSync(file, await copyAs(page, "Test case"));
    await stage(`cases ${file}`);
  }
  rmSync(folder, { recursive: true });
}

async function a_command_line_as_copied_says_the_same_to_a_shell({ page }) {
  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  const typed = `{"a": 20,\n "b": 22, "it's": "$(rm) \\"quoted\\" \`x\`"}`;
  await page.locator("#arguments-json").fill(typed);
  await page.locator(".caller").evaluate((caller) => (caller.open = true));
  await page.getByLabel("User token", { exact: true }).fill("tok-of-o'brien");
  const context = { source: "wire test", plan: "pro", three: "3", size: 3, list: ["it's"] };
  await page.getByLabel("_context").fill(JSON.stringify(context));
  await page.locator("#send").click();
  // There is no such argument; what is copied is the question.
  await page.locator('.outcome .answer[data-outcome="error"]').waitFor();
  await page.locator(".outcome").getByText("Copy as").click();
  await picture(page, "copy-as-light");
  await page.locator(".outcome").getByRole("button", { name: "platools call" }).click();
  await becomes(
    "the copied command",
    async () => (await page.evaluate(() => navigator.clipboard.readText())).split("\n")[0],
    "platools call add \\",
  );
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { execFileSync } = await import("node:child_process");
  const shell = `platools() { printf '%s\\0' "$@"; }\n${command}`;
  equal("the words", execFileSync("sh", ["-c", shell], { encoding: "utf8" }).split("\0").slice(0, -1), [
    "call",
    "add",
    "--entity=local",
    "--env=dev",
    `--params=${typed}`,
    "--user=usr_ada",
    "--agent=agent_dev",
    "--thread=thread-7",
    "--user-token=env:USER_TOKEN",
    "--context=source=wire test",
    "--context=plan=pro",
    '--context=three="3"',
    "--context=size=3",
    '--context=list=["it\'s"]',
  ]);
  await page.getByLabel("User token", { exact: true }).fill("");
  await page.getByLabel("_context").fill("");
  await page.locator("#arguments-json").fill('{"a": 1, "b": 2}');
}

async function health_shows_heartbeats_and_latencies({ page }) {
  await visit(page, "health");
  await page.getByRole("heading", { name: "Health" }).waitFor();
  await becomes(
    "several heartbeats",
    () =>
      page
        .locator(".beats .beat")
        .count()
        .then((count) => count >= 3),
    true,
  );
  await becomes(
    "the tools",
    () =>
      page
        .locator("tbody tr")
        .count()
        .then((count) => count >= 5),
    true,
  );
  includes(
    "a tool that fails",
    await page.locator("tbody tr", { hasText: "fail" }).innerText(),
    "there is no order ord-9",
  );
  equal("bars", (await page.locator(".bars .bar").count()) >= 8, true);
  // What somebody is about to click on, or came to by key, stays while heartbeats come in.
  const beats = () => page.locator(".figure", { hasText: "Heartbeats" }).locator(".value").innerText();
  for (const link of [page.locator(".bars .bar").last(), page.locator("tbody a").last()]) {
    await link.focus();
    const [start, target] = [Number(await beats()), await link.getAttribute("href")];
    await becomes("two more heartbeats", async () => Number(await beats()) >= start + 2, true);
    equal("the focus", await page.evaluate(() => document.activeElement.getAttribute("href")), target);
  }
  const bars = page.locator(".bars .bar");
  const calls = () => bars.evaluateAll((all) => all.map((bar) => bar.getAttribute("href")).join());
  for (let before; before !== (await calls()); ) {
    // Once more if a call ended meanwhile, which has a bar of its own.
    before = await calls();
    await bars.last().evaluate((bar) => (bar.dataset.seen = "yes"));
    const start = Number(await beats());
    await becomes("another heartbeat", async () => Number(await beats()) > start, true);
  }
  equal("the same bar", await bars.last().getAttribute("data-seen"), "yes");
  await page.evaluate(() => document.activeElement.blur());
  await picture(page, "health-light");
}

async function events_are_told({ page }) {
  await visit(page, "events");
  await page.getByRole("heading", { name: "Events" }).waitFor();
  await becomes(
    "calls",
    () =>
      page
        .locator('[data-event="called"]')
        .count()
        .then((count) => count > 3),
    true,
  );
  await picture(page, "events-light");
}

async function a_link_that_is_none_leaves_the_page_alive({ newPage, expectTrouble }) {
  const other = await newPage();
  for (const [hash, text] of [
    ["call/%", "there is no tool|has no tool `%`"],
    ["history/%E0%A4", "Choose a call"],
    ["nowhere/%", "14 tools"],
  ]) {
    await expectTrouble(async () => {
      await visit(other, hash);
      await other.reload();
      await other.getByText(new RegExp(text)).first().waitFor();
    });
    await becomes("the status", () => other.locator("#status").getAttribute("data-connected"), "true");
  }
  await other.close();
}

async function the_keyboard_is_enough({ page }) {
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await picture(page, "shortcuts-light");
  await page.keyboard.press("Escape");
  await becomes("closed", () => page.getByRole("dialog").count(), 0);
  await page.keyboard.press("/");
  await page.keyboard.type("arithm");
  await becomes("nothing found", () => page.locator("#tool-count").innerText(), "0 of 14 tools");
  await page.keyboard.press("Escape");
  await page.keyboard.type("chart");
  await becomes("one found", () => page.locator("#tool-count").innerText(), "1 of 14 tools");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sales_chart" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#tool-search").fill("");
}

export default [
  the_history_lists_replays_and_copies,
  curl_as_copied_makes_the_call,
  a_command_line_as_copied_says_the_same_to_a_shell,
  health_shows_heartbeats_and_latencies,
  events_are_told,
  the_keyboard_is_enough,
  tokens_stay_out_of_all_that_is_copied,
  cases_as_copied_pass,
  a_link_that_is_none_leaves_the_page_alive,
];
