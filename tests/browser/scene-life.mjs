// A call is there from the moment it is sent, whatever becomes of those who wait for it.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const { PLAYGROUND_URL: url, PLAYGROUND_TOKEN: token } = process.env;
const calls = `${url}api/v1/entities/local/dev/calls`;
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };

/** Calls from outside of the page. */
const call = (tool, args, { signal, ...options } = {}) =>
  fetch(calls, { method: "POST", headers, signal, body: JSON.stringify({ tool, arguments: args, options }) });

/** Begins a slow call in the form. */
async function begin(page, ms) {
  await visit(page, "call/slow");
  await page.getByRole("heading", { name: "slow" }).waitFor();
  await page.locator('[data-field="ms"] input').fill(String(ms));
  await page.locator("#send").click();
  await page.locator(".outcome [data-running]:not([data-running=''])").waitFor();
}

const row = (page, number = 0) => page.locator(".call-list a").nth(number);
const newest = (page) => row(page).innerText();
const waits = (page) => page.locator(".outcome").getByText("Waiting for the host…");

async function a_call_is_in_the_history_while_it_runs({ page }) {
  await begin(page, 4000);
  await visit(page, "history");
  await becomes("it runs", async () => (await newest(page)).includes("Running"), true);
  includes("the totals", await page.locator(".page:visible > header").innerText(), "1 running");
  await row(page).click();
  await page.locator('.detail .answer[data-outcome="running"]').waitFor();
  await page.getByText("The host has not answered yet.").waitFor();
  await picture(page, "running-light");
  // Nobody touches it, and it comes to its end.
  await page.locator('.detail .answer[data-outcome="result"]').waitFor();
  await becomes("it is over", async () => (await newest(page)).includes("Result"), true);
}

async function the_indicator_stays_while_somebody_looks_elsewhere({ page }) {
  await begin(page, 5000);
  await page.locator('.tool-list [data-tool="slow"]').getByText("running").waitFor();
  await page.locator('.tool-list [data-tool="add"]').click();
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  equal("nothing runs here", await waits(page).count(), 0);
  await page.locator('.tool-list [data-tool="slow"]').click();
  await page.getByRole("heading", { name: "slow", exact: true }).waitFor();
  equal("it still waits", await waits(page).count(), 1);
  await page.reload();
  await waits(page).waitFor();
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  await becomes("nothing runs", () => page.locator(".tool-list .running:visible").count(), 0);
}

async function who_stops_waiting_abandons_a_call_that_ends_all_the_same({ page }) {
  await begin(page, 6000);
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await page.getByText("No longer waiting.").waitFor();
  await page.getByRole("link", { name: "See it there" }).click();
  await page.locator('.detail .answer[data-outcome="abandoned"]').waitFor();
  await page.locator('.detail .answer[data-outcome="result"]').waitFor();
  includes("the badges", await page.locator(".detail .answer").innerText(), "nobody waited");
}

async function a_page_that_is_closed_and_a_client_that_leaves_lose_no_call({ page, newPage }) {
  await visit(page, "history");
  const other = await newPage();
  await begin(other, 1500);
  const number = await other.locator(".outcome [data-running]").getAttribute("data-running");
  await other.close();
  const listed = () => page.locator(`.call-list a[href="#/history/${number}"]`);
  await becomes("the page's call ends", async () => (await listed().innerText()).includes("Result"), true);

  const leaving = new AbortController();
  const asked = call("slow", { ms: 1500 }, { signal: leaving.signal }).catch(() => {});
  await becomes("the client's call runs", async () => (await newest(page)).includes("Running"), true);
  leaving.abort();
  await asked;
  await becomes("the client is gone", async () => (await newest(page)).includes("Abandoned"), true);
  await becomes("its call ends", async () => (await newest(page)).includes("Result"), true);
  includes("what became of it", await newest(page), "nobody waited");
}

async function an_answer_that_is_late_is_kept({ page }) {
  await call("slow", { ms: 900 }, { timeout_ms: 100 });
  await becomes("no answer", async () => (await newest(page)).includes("No answer"), true);
  await becomes("then a late one", async () => (await newest(page)).includes("answered late"), true);
  await row(page).click();
  await page.locator(".detail").getByText("The platform gave up after").waitFor();
  equal("the result", await page.locator(".detail .tree").innerText(), "900");
  await picture(page, "late-light");
}

async function totals_are_true({ page }) {
  const made = async () => {
    const list = await fetch(`${url}api/v1/history?entity=local&environment=dev&limit=1`, { headers });
    return (await list.json()).made;
  };
  for (let round = 0; round < 12; round += 1)
    await Promise.all(Array.from({ length: 50 }, () => call("add", { a: 1, b: 2 })));
  const count = (await made()).toLocaleString("en");
  await visit(page, "history");
  await becomes(
    "the history's total",
    () => page.locator(".page:visible > header p").innerText(),
    `${count} calls since the platform started · the last 500 are kept`,
  );
  await visit(page, "health");
  const figure = page.locator(".figure", { hasText: "Calls" });
  await becomes("the figure", () => figure.locator(".value").innerText(), count);
  includes("what it is about", await figure.innerText(), "of the last 100");
}

async function events_survive_a_reload({ page }) {
  await visit(page, "events");
  const count = () => page.locator('.timeline:visible [data-event="called"]').count();
  await becomes("events", async () => (await count()) > 20, true);
  await page.reload();
  await becomes("the same ones", async () => (await count()) > 20, true);
  await becomes("with their tools", () => page.locator('[data-event="answered"] p.muted').first().innerText(), "add");
}

export default [
  a_call_is_in_the_history_while_it_runs,
  the_indicator_stays_while_somebody_looks_elsewhere,
  who_stops_waiting_abandons_a_call_that_ends_all_the_same,
  a_page_that_is_closed_and_a_client_that_leaves_lose_no_call,
  an_answer_that_is_late_is_kept,
  totals_are_true,
  events_survive_a_reload,
];
