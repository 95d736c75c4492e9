// The menu that copies a call as something to paste.

import { asCase, asCli, asCurl, asTest } from "../copy-as.js";
import { copy, h } from "../dom.js";

/** A button that opens the menu. */
export function copyMenu(call) {
  const entry = (label, what, text) =>
    h(
      "button",
      {
        type: "button",
        class: "quiet small",
        onclick: (event) => {
          copy(text(), what);
          event.target.closest("details").open = false;
        },
      },
      label,
    );
  const isWhole = call.request && !call.request.arguments.truncated;
  if (!isWhole) return null;
  const [cli, testCase] = [asCli(call), asCase(call)];
  const menu = h(
    "details",
    { class: "menu" },
    h("summary", { class: "button-like" }, "Copy as"),
    h(
      "div",
      { class: "menu-items" },
      entry("curl", "the call as curl", () => asCurl(call)),
      cli && entry("platools call", "the call as a command line", () => cli),
      testCase && entry("Test case", "the call as a case for platools-tests.yaml", () => testCase),
      entry("Rust test", "the call as a test", () => asTest(call)),
      entry("Arguments", "the arguments", () => call.request.arguments.text),
    ),
  );
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu.open = false;
  });
  return menu;
}
