// Every view in the dark, and at the width of a phone.

import { picture, visit } from "./browser.mjs";
import { becomes, equal } from "./check.mjs";

const TRIP = JSON.stringify(
  {
    destination: "LIS",
    passengers: [{ name: "Ada Lovelace", age: 36, vegetarian: true }],
    payment: { kind: "card", last_four: "4242" },
  },
  null,
  2,
);

const VIEWS = [
  ["tools", "call", "#tool-count"],
  ["answer", "call/book_trip", ".tool-head"],
  ["image", "call/sales_chart", ".media img"],
  ["history", "history", ".call-list a"],
  ["health", "health", ".figures"],
  ["faults", "faults", ".fault-cards"],
  ["events", "events", ".timeline li"],
];

async function all(page, look) {
  for (const [name, hash, landmark] of VIEWS) {
    await visit(page, hash);
    await page.locator(`${landmark}:visible`).first().waitFor();
    await fitsTheWidth(page, `${name} in ${look}`);
    await picture(page, `${name}-${look}`);
  }
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
  for (const [tool, argumentsText] of [
    ["sales_chart", "{}"],
    ["book_trip", TRIP],
  ]) {
    await visit(page, `call/${tool}`);
    await page.getByRole("heading", { name: tool }).waitFor();
    await page.locator("#arguments-json").fill(argumentsText);
    await page.locator("#send").click();
    await page.locator('.answer[data-outcome="result"]').waitFor();
  }
}

async function in_the_dark({ page }) {
  await page.emulateMedia({ colorScheme: "dark" });
  await prepare(page);
  await becomes(
    "the ground is dark",
    () => page.evaluate(() => getComputedStyle(document.body).backgroundColor),
    "rgb(15, 19, 23)",
  );
  await all(page, "dark");
  await page.emulateMedia({ colorScheme: "light" });
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

async function on_a_phone({ page }) {
  await page.setViewportSize({ width: 360, height: 780 });
  await prepare(page);
  await all(page, "phone");
  await visit(page, "call/book_trip");
  await page.getByRole("heading", { name: "book_trip" }).waitFor();
  await page.locator(".outcome").scrollIntoViewIfNeeded();
  await picture(page, "form-end-phone");
  await visit(page, "history");
  await page.locator(".call-list a").first().click();
  await page.locator(".detail .answer").waitFor();
  await fitsTheWidth(page, "a call");
  await picture(page, "history-call-phone");
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "history-call-phone-dark");
}

async function at_the_width_of_a_tablet({ page }) {
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1024, height: 768 });
  await all(page, "tablet");
}

export default [in_the_dark, the_theme_can_be_chosen, on_a_phone, at_the_width_of_a_tablet];
