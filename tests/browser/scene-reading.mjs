// What is read and typed: titles, Markdown of strangers, one line or several, answers of several parts, definitions.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const field = (page, name) => page.locator(`[data-field="${name}"]`);
const json = async (page) => JSON.parse(await page.locator("#arguments-json").inputValue());

async function open(page, tool, heading = tool) {
  await visit(page, `call/${tool}`);
  await page.getByRole("heading", { name: heading, exact: true }).waitFor();
}

async function enter_sends_one_line_and_writes_another_one_in_several({ page }) {
  await open(page, "lookup_order", "Order look-up");
  await field(page, "order_id").getByRole("textbox").fill("ord-1042");
  await page.keyboard.press("Enter");
  await page.locator('.outcome .answer[data-outcome="result"]').waitFor();
  await page.locator(".outcome").getByRole("button", { name: "JSON", exact: true }).click();
  equal("what was sent", JSON.parse(await page.locator(".outcome .code").innerText()), { order_id: "ord-1042" });

  await field(page, "note").getByRole("textbox").fill("Dear Ada,");
  await page.keyboard.press("Enter");
  await page.keyboard.type("it is on its way.");
  equal("a long text", (await json(page)).note, "Dear Ada,\nit is on its way.");
  equal("so is one that may be long", await field(page, "reply").locator("textarea").count(), 1);

  const order = field(page, "order_id").getByRole("textbox");
  await order.focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("ord-1043");
  equal("several lines on request", (await json(page)).order_id, "ord-1042\nord-1043");
  await page.getByRole("button", { name: "Clear" }).click();
  equal("one line again", await field(page, "order_id").locator("input").count(), 1);
  for (const [copied, expected] of [
    ["ord-7\n", "ord-7"],
    ["ord-7\nord-8", "ord-7\nord-8"],
  ]) {
    await page.evaluate((text) => navigator.clipboard.writeText(text), copied);
    await order.fill("");
    await order.focus();
    await page.keyboard.press("Control+v");
    equal("what was pasted", (await json(page)).order_id, expected);
  }
  await page.getByRole("button", { name: "Clear" }).click();
}

async function titles_and_markdown_are_shown_and_the_form_is_in_view({ page }) {
  await open(page, "lookup_order", "Order look-up");
  includes("the name beside the title", await page.locator(".tool-head").innerText(), "lookup_order");
  includes("the field's title", await field(page, "order_id").locator("label").innerText(), "Order number");
  equal("the field's name", await field(page, "order_id").locator("label code").innerText(), "order_id");
  equal("bold in a field", await field(page, "order_id").locator("strong").innerText(), "invoice");
  includes("the list", await page.locator('[data-tool="lookup_order"]').innerText(), "Order look-up");
  await page.locator("#tool-search").fill("order look");
  await becomes("found by its title", () => page.locator("#tool-count").innerText(), "1 of 14 tools");
  await page.locator("#tool-search").fill("");

  const head = page.locator(".tool-description");
  for (const tag of ["strong", "em", "ol > li", "ul > li", "code", "table td", "blockquote", "pre.code"])
    equal(tag, (await head.locator(tag).count()) > 0, true);
  equal("links", await head.locator("a").evaluateAll((all) => all.map((each) => [each.href, each.rel])), [
    ["https://handbook.example/orders?a=1&b=2", "noopener noreferrer"],
  ]);
  const raw = await head.evaluate((each) => each.textContent);
  includes("HTML is text", raw, "<img src=x onerror=\"document.title='broken in'\">");
  includes("a trap is text", raw, "[a trap](javascript:alert(1))");
  equal("no element of theirs", await head.locator("img, script, iframe").count(), 0);

  for (const size of [
    { width: 1440, height: 900 },
    { width: 390, height: 844 },
  ]) {
    await page.setViewportSize(size);
    const { y, height } = await field(page, "order_id").getByRole("textbox").boundingBox();
    equal(`the form is in view at ${size.width}`, y + height < size.height, true);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  const more = page.locator(".tool-head").getByRole("button", { name: "Show more" });
  await more.click();
  equal("all of it is seen", await head.evaluate((each) => each.scrollHeight <= each.clientHeight), true);
  await picture(page, "description-light");
  await page.locator(".tool-head").getByRole("button", { name: "Show less" }).click();
  await more.waitFor();
}

async function what_a_tool_does_is_said_in_words({ page }) {
  await visit(page, "call");
  const words = (tool) => page.locator(`[data-tool="${tool}"] .badge:visible`).allInnerTexts();
  await becomes("a destructive one", () => words("book_trip"), ["destructive"]);
  equal("a read-only one", await words("add"), ["read only"]);
  equal("no colours alone", await page.locator(".tool-list .dot").count(), 0);
  equal("seats in words", await page.locator("#seat option").first().innerText(), "crowd · dev (no host)");
}

async function answers_of_several_parts_are_shown_as_what_they_are({ page }) {
  await open(page, "report");
  await page.locator("#send").click();
  const blocks = page.locator(".outcome .blocks");
  await blocks.waitFor();
  includes("the text", await blocks.innerText(), "Sales went **up**.");
  await becomes("the picture", () => blocks.locator("img").evaluate((each) => each.naturalWidth), 160);
  await becomes("the sound", () => blocks.locator("audio").evaluate((each) => Number.isFinite(each.duration) && each.duration > 0), true);
  for (const said of ["orders://terms", "All sales are final.", "orders://invoice.pdf"])
    includes("the resources", await blocks.innerText(), said);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    blocks.getByRole("link", { name: "Save the file" }).click(),
  ]);
  const { readFileSync } = await import("node:fs");
  equal("the bytes", readFileSync(await download.path(), "utf8"), "%PDF-1.7");
  await page.locator(".outcome").getByRole("button", { name: "Markdown" }).click();
  equal("rendered", await blocks.locator(".markdown strong").last().innerText(), "up");
  await page.locator(".outcome").getByRole("button", { name: "Tree" }).click();
  await page.locator(".outcome .tree").waitFor();
}

async function the_definition_says_what_a_model_sees({ page }) {
  await open(page, "book_trip");
  await page.getByRole("tab", { name: "Definition" }).click();
  const shown = async (title) => JSON.parse(await page.getByLabel(title, { exact: true }).innerText());
  const hit = await shown("As a hit of find_tools, as most agents have it");
  equal("the hit", [hit.name, hit.category, hit.entity], ["book_trip", "travel", "local"]);
  equal("its parameters", hit.parameters, ["destination", "passengers", "payment", "cabin", "budget", "note"]);
  const injected = await shown("As a tool of its own, for agents with direct exposure");
  equal("injected", Object.keys(injected), ["name", "description", "parameters"]);
  equal("the schema", injected.parameters.properties.destination.maxLength, 3);
  equal("the input schema", (await shown("Input schema")).required.includes("payment"), true);
  const limits = await page.locator(".limits").innerText();
  for (const said of ["auth: user", "30.0 s", "10.0 MiB", "destructiveHint: true"]) includes("the limits", limits, said);
  await open(page, "add");
  await page.getByRole("tab", { name: "Definition" }).click();
  equal("the output schema", (await shown("Output schema")).type, "integer");
  // What is sent from here is sent by the form, which says what is wrong.
  await page.keyboard.press("Control+Enter");
  await field(page, "a").waitFor();
}

export default [
  enter_sends_one_line_and_writes_another_one_in_several,
  titles_and_markdown_are_shown_and_the_form_is_in_view,
  what_a_tool_does_is_said_in_words,
  answers_of_several_parts_are_shown_as_what_they_are,
  the_definition_says_what_a_model_sees,
];
