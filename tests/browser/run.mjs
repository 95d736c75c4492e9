// Runs the scenes one after another; fails when one does, or when the page complained about anything.

import { launch, picture } from "./browser.mjs";
import call from "./scene-call.mjs";
import care from "./scene-care.mjs";
import connect from "./scene-connect.mjs";
import door from "./scene-door.mjs";
import faults from "./scene-faults.mjs";
import forms from "./scene-forms.mjs";
import guard from "./scene-guard.mjs";
import keyboard from "./scene-keyboard.mjs";
import life from "./scene-life.mjs";
import looks from "./scene-looks.mjs";
import many from "./scene-many.mjs";
import reading from "./scene-reading.mjs";
import session from "./scene-session.mjs";
import views from "./scene-views.mjs";

/** No scene takes longer; it only ends one that hangs, by its name. */
const GUARD = 600_000;

/** Ends with an error when the action does not end. */
async function guarded(action) {
  let timer;
  const guard = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${GUARD / 1000} s`)), GUARD);
  });
  await Promise.race([action, guard]).finally(() => clearTimeout(timer));
}

const browser = await launch();
let failed = false;
const scenes = [
  door, connect, call, forms, reading, views, session, faults, care, life, many, keyboard, guard, looks,
];
for (const scene of scenes.flat()) {
  const start = Date.now();
  try {
    await guarded(scene(browser));
    if (browser.complaints.length > 0)
      throw new Error(`the page complained:\n${browser.complaints.join("\n")}`);
    console.log(`ok      ${scene.name} (${Date.now() - start} ms)`);
  } catch (error) {
    console.log(`FAILED  ${scene.name}\n${error.stack}`);
    await picture(browser.page, "failure").catch(() => {});
    failed = true;
    break;
  }
}
// A browser that hangs may not close; it ends with this process.
if (!failed) await browser.close();
process.exit(failed ? 1 : 0);
