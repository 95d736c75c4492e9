// A session token for a user, as a frontend gets one: minted, looked at, and called with. It is forgotten with the page.

import { mintSession } from "../api.js";
import { copyButton, fill, h } from "../dom.js";
import { left } from "../format.js";
import { parse, write } from "../json.js";
import { isSelected, on, state } from "../state.js";

const LIFETIMES = [
  [60, "1 minute"],
  [3600, "1 hour"],
  [86_400, "1 day"],
  [604_800, "7 days"],
];

/** `{element, active, leave}`; `changed` is told when calls start or cease to be made by the session. */
export function createSession(changed) {
  let minted = null;
  let isUsed = false;
  const inputs = {
    user: input("session-user", "user_dev"),
    agent: input("session-agent", "any"),
    token: input("session-user-token", "none", "password"),
    lifetime: h(
      "select",
      { id: "session-lifetime" },
      LIFETIMES.map(([seconds, text]) => h("option", { value: seconds, selected: seconds === 3600 }, text)),
    ),
  };
  const mintButton = h("button", { type: "button", class: "small", onclick: mint }, "Mint");
  const result = h("div", { class: "stack tight minted" });
  const remaining = h("span", { class: "number" });
  const use = h("button", {
    type: "button",
    class: "small",
    onclick: () => {
      isUsed = !isUsed;
      draw();
      changed();
    },
  });
  const element = h(
    "details",
    { class: "session" },
    h("summary", {}, h("h3", {}, "Session token"), h("span", { class: "muted small" }, "as a frontend would call")),
    h(
      "div",
      { class: "caller-fields" },
      labelled("For the user", inputs.user),
      labelled("Lives for", inputs.lifetime),
      labelled("Only for the agent", inputs.agent),
      labelled("With the user token", inputs.token),
    ),
    h("div", { class: "row" }, mintButton),
    result,
  );
  // The form around it makes calls.
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || !event.target.matches("input")) return;
    event.preventDefault();
    mint();
  });

  async function mint() {
    const seat = state.selected;
    mintButton.disabled = true;
    try {
      const { token } = await mintSession(seat, {
        userId: inputs.user.value || "user_dev",
        agentId: inputs.agent.value || undefined,
        userToken: inputs.token.value || undefined,
        ttlSeconds: Number(inputs.lifetime.value),
      });
      minted = { token, seat, claims: claimsOf(token) };
      show();
    } catch (error) {
      minted = null;
      fill(result, h("p", { class: "note bad", role: "alert" }, error.message));
    } finally {
      mintButton.disabled = false;
    }
    isUsed = false;
    changed();
  }

  function show() {
    fill(
      result,
      h(
        "div",
        { class: "row between" },
        h("p", { class: "small muted" }, remaining),
        h(
          "div",
          { class: "row" },
          copyButton(() => minted.token, "the session token", "Copy the token"),
          use,
        ),
      ),
      h("pre", { class: "code claims", tabindex: "0", aria: { label: "Claims" } }, write(minted.claims)),
    );
    draw();
  }

  const secondsLeft = () => (minted ? Math.max(0, Number(minted.claims.exp) - Date.now() / 1000) : 0);
  const isHere = () => minted !== null && isSelected(minted.seat);

  function draw() {
    if (!minted) return;
    const seconds = secondsLeft();
    const { entity, environment } = minted.seat;
    if (!isHere()) remaining.textContent = `For ${entity} in ${environment}, which is not looked at.`;
    else remaining.textContent = seconds > 0 ? `Lives for ${left(seconds)} more.` : "Its life is over.";
    use.disabled = !isUsed && (!isHere() || seconds === 0);
    use.textContent = isUsed ? "Call as yourself again" : "Call as this session";
    use.setAttribute("aria-pressed", String(isUsed));
  }

  function leave() {
    if (!isUsed) return;
    isUsed = false;
    draw();
    changed();
  }

  on("selection", () => {
    if (!isHere()) leave();
    draw();
  });
  setInterval(() => {
    if (minted && element.isConnected) draw();
  }, 1000);

  return {
    element,
    /** `{token, claims}` of the session that calls are made by, if they are. */
    active: () => (isUsed ? minted : null),
    /** Calls are made without it from now on. */
    leave,
  };
}

function input(id, placeholder, type = "text") {
  return h("input", { id, type, placeholder, autocomplete: "off", spellcheck: "false" });
}

function labelled(label, control) {
  return h("div", { class: "field" }, h("label", { class: "name", for: control.id }, label), control);
}

/** The claims of a token, for display; the platform checks its signature. */
function claimsOf(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return parse(new TextDecoder().decode(bytes));
}
