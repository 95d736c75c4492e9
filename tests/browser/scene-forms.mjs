// Schemas as other hosts write them, and some that nothing can fit.

import { picture, visit } from "./browser.mjs";
import { becomes, equal, includes } from "./check.mjs";

const field = (page, name) => page.locator(`[data-field="${name}"]`);
const json = async (page) => JSON.parse(await page.locator("#arguments-json").inputValue());

async function references_maps_tuples_and_null_have_fields({ page }) {
  await visit(page, "call/shapes");
  await page.getByRole("heading", { name: "shapes" }).waitFor();
  await field(page, "label").locator("input").fill("root");
  await field(page, "children").getByRole("button", { name: "Add an item" }).click();
  await field(page, "label").nth(1).locator("input").fill("leaf");
  await field(page, "labels").getByRole("button", { name: "Add an entry" }).click();
  await field(page, "labels").getByLabel("Name").fill("one");
  await field(page, "labels").locator(".entry input").nth(1).fill("1");
  await page.getByRole("button", { name: "Add: pair" }).click();
  await field(page, "pair").locator("input").first().fill("x");
  await field(page, "pair").locator("input").last().fill("2.5");
  await field(page, "either").locator("select").selectOption({ label: "integer" });
  await field(page, "either").locator("input").fill("7");
  await field(page, "nothing").getByLabel("null").check();
  await field(page, "any").locator("textarea").fill("[1, {}]");
  const expected = {
    tree: { label: "root", children: [{ label: "leaf" }] },
    labels: { one: 1 },
    pair: ["x", 2.5],
    either: 7,
    nothing: null,
    any: [1, {}],
  };
  equal("the JSON", await json(page), expected);
  await picture(page, "shapes-light");

  const text = JSON.stringify({ ...expected, always: "v1", unknown: [true] });
  await page.locator("#arguments-json").fill(text);
  await field(page, "label").first().locator("input").first().fill("stem");
  equal("loaded and changed", await json(page), {
    ...expected,
    tree: { ...expected.tree, label: "stem" },
    always: "v1",
    unknown: [true],
  });
  await page.locator("#send").click();
  await becomes("the echo", () => page.locator('.answer[data-outcome="result"]').count(), 1);
}

async function constraints_that_nothing_can_meet_are_named({ page }) {
  await visit(page, "call/impossible");
  await page.getByRole("heading", { name: "impossible" }).waitFor();
  const form = page.locator(".fields");
  for (const text of [
    "No value is at least 10 and at most 5.",
    "No length is at least 5 and at most 2.",
    "The list of allowed values is empty.",
    "No number lies between 1 and 1.",
    "No number of items is at least 4 and at most 1.",
    "The schema allows no value here.",
  ]) {
    includes("the form", await form.innerText(), text);
  }
  await field(page, "number").locator("input").fill("7");
  await field(page, "text").locator("input").fill("abc");
  equal("usable all the same", await json(page), { number: 7, text: "abc" });
  await picture(page, "impossible-light");
  await page.locator("#send").click();
  await page.locator(".answer").waitFor();
}

async function what_was_loaded_stays_when_another_field_changes({ page }) {
  await visit(page, "call/book_trip");
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  const trip = {
    destination: "LIS",
    passengers: [{ name: "Ada", age: null }],
    payment: { kind: "card", last_four: 4242 },
  };
  for (const note of [null, "", 5]) {
    await page.locator("#arguments-json").fill(JSON.stringify({ ...trip, budget: null, note }));
    await field(page, "destination").getByRole("textbox").fill("ZRH");
    equal(`a note that is ${note}`, await json(page), { ...trip, destination: "ZRH", budget: null, note });
  }
  includes("the form", await field(page, "note").innerText(), "note is not text");
  await field(page, "note").locator("textarea").fill("window seat");
  await field(page, "budget").getByLabel("null").uncheck();
  await field(page, "budget").getByRole("textbox").fill("100");
  equal("typed over", await json(page), { ...trip, destination: "ZRH", budget: 100, note: "window seat" });
  await page.getByRole("button", { name: "Clear" }).click();

  await visit(page, "call/shapes");
  await page.getByRole("heading", { name: "shapes" }).waitFor();
  for (const entry of [0, 1]) {
    await field(page, "labels").getByRole("button", { name: "Add an entry" }).click();
    await field(page, "labels").getByLabel("Name").nth(entry).fill("same");
  }
  await page.getByText('labels has the name "same" twice').waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
}

async function a_schema_that_is_none_still_has_a_form({ page }) {
  await visit(page, "call/broken");
  await page.getByRole("heading", { name: "broken" }).waitFor();
  await field(page, "fine").locator("input").fill("yes");
  await field(page, "b").locator("textarea").fill("[1]");
  equal("the JSON", await json(page), { b: [1], fine: "yes" });
  await page.locator("#send").click();
  await page.locator(".outcome .answer").waitFor();
}

async function endless_nesting_leaves_the_page_alive({ page }) {
  await visit(page, "call/deep");
  await page.getByRole("heading", { name: "deep" }).waitFor();
  await field(page, "levels").locator("input").fill("100000");
  await page.locator("#send").click();
  await page.locator('.outcome .answer[data-outcome="error"]').waitFor();
  // The most that a host passes on.
  await field(page, "levels").locator("input").fill("128");
  await page.locator("#send").click();
  await page.locator('.outcome .answer[data-outcome="result"] .tree').waitFor();
  await page.locator(".outcome").getByRole("button", { name: "JSON", exact: true }).click();
  await page.getByRole("heading", { name: "deep" }).waitFor();
}

export default [
  references_maps_tuples_and_null_have_fields,
  constraints_that_nothing_can_meet_are_named,
  what_was_loaded_stays_when_another_field_changes,
  a_schema_that_is_none_still_has_a_form,
  endless_nesting_leaves_the_page_alive,
];
