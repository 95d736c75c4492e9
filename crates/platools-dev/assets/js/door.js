// The door: opens the page with the key of a link, and tells whoever has none what to do.

import { ApiError, enter, isKnown } from "./api.js";

const door = document.getElementById("door");
const problem = document.getElementById("door-problem");
const form = document.getElementById("door-form");
const token = /** @type {HTMLInputElement} */ (document.getElementById("door-token"));

/** Takes the key of a link out of the address, so that it stays in no history. */
function takeKey() {
  const [, key] = location.hash.match(/^#key=(.+)$/) ?? [];
  if (key) history.replaceState(null, "", location.pathname);
  return key;
}

function show(message) {
  problem.textContent = message;
  problem.hidden = message === "";
  door.hidden = false;
}

async function open() {
  const key = takeKey();
  let message = "";
  try {
    if (key) await enter({ link: key });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    message =
      /** @type {ApiError & { code: string }} */ (error).code === "link_used"
        ? "This link was opened before, or is of an earlier run of the platform. If it is new and you did not open it, stop the platform: somebody else has."
        : error.message;
  }
  // A link that is used up does no harm to a page that is open.
  if (await isKnown()) {
    door.remove();
    document.body.classList.remove("closed");
    await import("./main.js");
  } else {
    show(message);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await enter({ token: token.value });
    location.reload();
  } catch (error) {
    show(error.message);
    token.select();
  }
});

// A link that is pasted where the page is already does not load it anew.
addEventListener("hashchange", async () => {
  const key = takeKey();
  if (!key) return;
  await enter({ link: key }).catch((error) => console.debug(error.message));
  location.reload();
});

await open();
