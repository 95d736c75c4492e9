// Conditions that are waited for.

/** A host that lost its connection several times takes its time; this only ends a run that hangs. */
const PATIENCE = 90_000;

/** Waits until what `look` returns is `expected`, and says what it was otherwise. */
export async function becomes(what, look, expected) {
  const deadline = Date.now() + PATIENCE;
  let seen;
  do {
    seen = await look();
    if (isSame(seen, expected)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  } while (Date.now() < deadline);
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, saw ${JSON.stringify(seen)}`);
}

/** Says yes to the question whether a destructive tool, or something else that cannot be taken back, is meant. */
export async function agree(page, action) {
  await page.getByRole("alertdialog").getByRole("button", { name: action, exact: true }).click();
  await becomes("the question is answered", () => page.getByRole("alertdialog").count(), 0);
}

/** Fails unless the two are the same. */
export function equal(what, seen, expected) {
  if (!isSame(seen, expected))
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, saw ${JSON.stringify(seen)}`);
}

/** Fails unless a text contains another. */
export function includes(what, text, part) {
  if (!text.includes(part))
    throw new Error(`${what}: ${JSON.stringify(part)} is not in ${JSON.stringify(text)}`);
}

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
