// Filling a form, calling, and looking at the answer from all sides.

import { picture, visit } from "./browser.mjs";
import { agree, becomes, equal, includes } from "./check.mjs";

const field = (page, name) => page.locator(`[data-field="${name}"]`);
const answer = (page, outcome) => page.locator(`.answer[data-outcome="${outcome}"]`);
const json = async (page) => JSON.parse(await page.locator("#arguments-json").inputValue());

async function a_form_of_all_sorts_is_filled_and_sent({ page }) {
  await page.locator('[data-tool="book_trip"]').click();
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  await field(page, "destination").getByRole("textbox").fill("LIS");
  const passengers = field(page, "passengers");
  await passengers.getByRole("button", { name: "Add an item" }).click();
  await passengers.locator('[data-field="name"] textarea, [data-field="name"] input').fill("Ada Lovelace");
  await passengers.locator('[data-field="age"] input').fill("36");
  await passengers.locator('[data-field="vegetarian"] select').selectOption({ label: "true" });
  await field(page, "payment").locator("select").first().selectOption({ label: "Card" });
  await field(page, "last_four").locator("input").fill("42");
  await page.getByText("last_four must match").waitFor();
  await field(page, "last_four").locator("input").fill("4242");
  await field(page, "budget").locator("input").fill("1850.50");
  equal("the JSON beside the form", await json(page), {
    destination: "LIS",
    passengers: [{ name: "Ada Lovelace", age: 36, vegetarian: true }],
    payment: { kind: "card", last_four: "4242" },
    budget: 1850.5,
  });
  includes("the number as typed", await page.locator("#arguments-json").inputValue(), "1850.50");
  await page.getByText("Fits the schema.").waitFor();
  await page.getByText("Call as").click();
  await page.getByLabel("User", { exact: true }).fill("usr_ada");
  await page.getByLabel("Thread").fill("thread-7");
  await page.getByLabel("_context").fill('{"source": "wire_test"}');
  await page.keyboard.press("Control+Enter");
  await agree(page, "Send");
  await answer(page, "result").waitFor();
  includes("the answer", await answer(page, "result").innerText(), '"PLT-4711"');
  includes("the answer", await answer(page, "result").innerText(), '"usr_ada"');
  await picture(page, "answer-light");
}

async function frames_and_signature_are_explained({ page }) {
  await page.getByRole("tab", { name: "Frames" }).click();
  const sent = await page.locator(".tab-panel .code").first().innerText();
  equal("the frame", JSON.parse(sent).params._context, { source: "wire_test" });
  equal("coloured pieces", await page.locator(".tab-panel .code").first().locator(".piece").count(), 5);
  await picture(page, "frames-light");
  await page.getByRole("tab", { name: "Frames" }).press("ArrowRight");
  await page.getByText("The signature fits the entity's secret.").waitFor();
  const { timestamp, nonce, signature } = JSON.parse(sent).params.__platos;
  const explained = await page.locator(".explained").innerText();
  for (const piece of [timestamp, nonce, signature]) includes("the explanation", explained, piece);
  await picture(page, "signature-light");
}

async function json_moves_the_form_and_is_sent_as_written({ page }) {
  await visit(page, "call/add");
  await page.getByRole("heading", { name: "add", exact: true }).waitFor();
  await page.locator("#arguments-json").fill('{ "a": 41,\n "b": 1 }');
  equal("the form", await field(page, "a").locator("input").inputValue(), "41");
  await page.locator("#send").click();
  await answer(page, "result").waitFor();
  await page.getByRole("tab", { name: "Frames" }).click();
  includes(
    "the frame",
    await page.locator(".tab-panel .code").first().innerText(),
    '"params":{ "a": 41,\n "b": 1,',
  );

  await page.locator("#arguments-json").fill('{"a": ');
  await page.getByText("Not JSON yet").waitFor();
  await page.locator("#send").click();
  await page.locator(".note.bad").getByText("Not JSON yet").waitFor();
  await page.locator("#arguments-json").fill('{"a": 9007199254740993, "b": 0}');
  equal("all digits", await field(page, "a").locator("input").inputValue(), "9007199254740993");
  await page.locator("#send").click();
  await becomes("the exact sum", () => page.locator(".answer .tree").innerText(), "9007199254740993");
}

async function what_does_not_fit_is_said_and_can_be_sent_anyway({ page }) {
  await page.getByRole("button", { name: "Clear" }).click();
  await field(page, "a").locator("input").fill("many");
  await page.getByText("is not a number").waitFor();
  await page.locator("#send").click();
  await page.getByText("b is required").waitFor();
  await answer(page, "error").waitFor();
  includes("the host's words", await answer(page, "error").innerText(), "invalid arguments");
  await picture(page, "invalid-light");
}

async function pictures_texts_and_errors_are_shown_as_what_they_are({ page }) {
  await visit(page, "call/sales_chart");
  await page.getByRole("heading", { name: "sales_chart" }).waitFor();
  await page.locator("#send").click();
  const image = page.getByAltText("The image that the tool answered with");
  await image.waitFor();
  await becomes("the image", () => image.evaluate((each) => each.complete && each.naturalWidth > 100), true);
  await picture(page, "image-light");

  await visit(page, "call/essay");
  await page.getByRole("heading", { name: "essay" }).waitFor();
  await page.locator("#send").click();
  includes("the text", await page.locator(".answer .text").innerText(), "A tool host stands between");

  await visit(page, "call/fail");
  await page.getByRole("heading", { name: "fail" }).waitFor();
  await field(page, "message").locator("textarea").fill("there is no order ord-9");
  await page.locator("#send").click();
  await answer(page, "error").waitFor();
  includes("the error", await answer(page, "error").innerText(), "there is no order ord-9");
}

async function a_slow_call_can_be_left_and_asked_again({ page }) {
  await visit(page, "call/slow");
  await page.getByRole("heading", { name: "slow" }).waitFor();
  await field(page, "ms").locator("input").fill("15000");
  await page.locator("#send").click();
  await page.getByText("Waiting for the host…").waitFor();
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await page.getByText("No longer waiting.").waitFor();
  await field(page, "ms").locator("input").fill("120");
  await page.locator("#send").click();
  await answer(page, "result").waitFor();
  includes("where the time went", await page.locator(".latency").innerText(), "handler 1");
  const first = await answer(page, "result").getAttribute("data-call");
  await page.locator(".outcome").getByRole("button", { name: "Again" }).click();
  await becomes(
    "another call",
    async () =>
      (await page.locator(".answer").count()) > 0 &&
      (await page.locator(".answer").getAttribute("data-call")) !== first,
    true,
  );
}

async function a_result_of_10_mb_leaves_the_page_alive({ page }) {
  await visit(page, "call/huge");
  await page.getByRole("heading", { name: "huge" }).waitFor();
  await field(page, "bytes").locator("input").fill("10000000");
  await page.locator("#send").click();
  await page.getByText("more than the 256 KiB that the platform passes on").waitFor();
  await page.getByRole("tab", { name: "Frames" }).click();
  await page.getByText("Only the beginning is shown.").waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Save" }).last().click(),
  ]);
  const { size } = (await import("node:fs")).statSync(await download.path());
  equal("the saved frame is whole", size > 10_000_000, true);
}

export default [
  a_form_of_all_sorts_is_filled_and_sent,
  frames_and_signature_are_explained,
  json_moves_the_form_and_is_sent_as_written,
  what_does_not_fit_is_said_and_can_be_sent_anyway,
  pictures_texts_and_errors_are_shown_as_what_they_are,
  a_slow_call_can_be_left_and_asked_again,
  a_result_of_10_mb_leaves_the_page_alive,
];
