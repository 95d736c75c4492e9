// The keyboard shortcuts, and the dialog that lists them.

import { fill, h } from "../dom.js";

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("shortcuts"));

/** @type {[keys: string[], meaning: string][]} */
const LIST = [
  [["↵"], "Send the call, from a field of one line"],
  [["Ctrl", "↵"], "Send the call, from anywhere"],
  [["Shift", "↵"], "More lines in a text field"],
  [["/"], "Search tools"],
  [["↑", "↓"], "Move through the tools"],
  [["1", "…", "5"], "Call, History, Health, Faults, Events"],
  [["t"], "Light or dark"],
  [["?"], "This list"],
  [["Esc"], "Close, or leave a field"],
];

export function showHelp() {
  if (dialog.open) return dialog.close();
  const close = h(
    "button",
    { type: "button", class: "quiet icon", aria: { label: "Close" }, onclick: () => dialog.close() },
    "×",
  );
  fill(
    dialog,
    h("div", { class: "row between" }, h("h2", { id: "shortcuts-title" }, "Keyboard shortcuts"), close),
    h(
      "dl",
      {},
      LIST.map(([keys, meaning]) => [
        h(
          "dt",
          {},
          keys.map((key) => (key === "…" ? "…" : h("kbd", {}, key))),
        ),
        h("dd", {}, meaning),
      ]),
    ),
  );
  dialog.showModal();
}

/** Listens to keys; `actions` are by key. */
export function listen(actions) {
  document.getElementById("help").addEventListener("click", showHelp);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  // A key that is held down does once what it does.
  document.addEventListener(
    "keydown",
    (event) => {
      const isWriting = /** @type {Element} */ (event.target).matches("textarea") && !event.ctrlKey && !event.metaKey;
      if (event.key !== "Enter" || !event.repeat || isWriting) return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    // A question is answered first.
    if (document.querySelector("dialog[open]:not(#shortcuts)")) return;
    const isTyping = /** @type {Element} */ (event.target).closest?.("input:not([type=checkbox]), textarea, select");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!dialog.open) actions.send();
    } else if (event.key === "Escape" && isTyping) {
      /** @type {HTMLElement} */ (event.target).blur();
    } else if (!isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const act = event.key === "?" ? showHelp : !dialog.open && actions[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    }
  });
}
