// Tabs by the pattern that screen readers know.

import { fill, h, newId } from "./dom.js";

/**
 * `{element, choose}`; each entry is a title with what draws its panel.
 * @param {[title: string, draw: () => any][]} entries
 * @param {string} label
 */
export function createTabs(entries, label) {
  const id = newId("tabs");
  const panel = h("div", { role: "tabpanel", id: `${id}-panel`, class: "tab-panel" });
  const buttons = entries.map(([title], index) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-${index}`,
        class: "quiet small",
        aria: { controls: `${id}-panel` },
      },
      title,
    ),
  );
  let chosen = -1;
  /**
   * @param {number} index
   * @param {boolean} [focus]
   */
  const choose = (index, focus) => {
    if (index === chosen) return;
    chosen = index;
    buttons.forEach((button, other) => {
      button.setAttribute("aria-selected", String(other === index));
      button.tabIndex = other === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `${id}-${index}`);
    fill(panel, entries[index][1]());
    if (focus) buttons[index].focus();
  };
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => choose(index));
    button.addEventListener("keydown", (event) => {
      const to = {
        ArrowRight: (index + 1) % buttons.length,
        ArrowLeft: (index - 1 + buttons.length) % buttons.length,
        Home: 0,
        End: buttons.length - 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to, true);
    });
  });
  choose(0);
  const list = h("div", { class: "tab-list", role: "tablist", aria: { label } }, buttons);
  return { element: h("div", { class: "tabbed" }, list, panel), choose };
}
