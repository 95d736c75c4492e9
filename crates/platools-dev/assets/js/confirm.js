// Asks before something that cannot be taken back.

import { getTool } from "./api.js";
import { h, newId } from "./dom.js";
import { clipped } from "./format.js";

/**
 * Asks, and resolves to whether it shall be done. Cancel has the focus, so that a key that is pressed once too often
 * does nothing.
 * @param {{ title: string, text: string, details?: string, action: string }} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, details, action }) {
  const id = newId("confirm");
  const cancel = h("button", { type: "button", autofocus: true }, "Cancel");
  const act = h("button", { type: "button", class: "danger filled" }, action);
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "confirm", role: "alertdialog", aria: { labelledby: `${id}-title`, describedby: `${id}-text` } },
      h(
        "div",
        { class: "stack" },
        h("h2", { id: `${id}-title` }, title),
        h("p", { id: `${id}-text` }, text),
        details && h("pre", { class: "code", tabindex: "0", aria: { label: "Arguments" } }, details),
        h("div", { class: "row end" }, cancel, act),
      ),
    )
  );
  return new Promise((resolve) => {
    let isConfirmed = false;
    cancel.addEventListener("click", () => dialog.close());
    act.addEventListener("click", () => {
      isConfirmed = true;
      dialog.close();
    });
    // Also after Escape.
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(isConfirmed);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const isDestructive = (tool) => tool?.annotations?.destructiveHint === true;

/**
 * Whether a call may be made: asks if the tool is destructive. `how` is what is about to happen, such as `Send`.
 * @param {{ tool: any, argumentsText?: string, seat: { entity: string, environment: string }, how: string }} call
 */
export async function mayCall({ tool, argumentsText, seat, how }) {
  if (!isDestructive(tool)) return true;
  return confirmed({
    title: `${how}: ${tool.name}?`,
    text: `This tool is destructive: what it does to ${seat.entity} in ${seat.environment} may not be undone.`,
    details: argumentsText && clipped(argumentsText, 2000),
    action: how,
  });
}

/** `mayCall` for a call that was made before; its tool is looked up. One that is no longer declared cannot run. */
export async function mayRepeat(call, how) {
  const seat = { entity: call.entity, environment: call.environment };
  const tool = await getTool(seat, call.tool).catch(() => null);
  return mayCall({ tool, argumentsText: call.request?.arguments.text, seat, how });
}
