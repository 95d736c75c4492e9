// Long texts that begin with their first lines, and open.

import { h, newId } from "./dom.js";

/**
 * What is too tall for so many lines is cut, with a button that shows all of it.
 * @param {number} lines
 * @param {Record<string, any>} properties
 * @param {any[]} children
 */
export function clamped(lines, properties, ...children) {
  const id = properties.id ?? newId("clamped");
  const text = h("div", { ...properties, id, class: `clamped ${properties.class ?? ""}` }, children);
  text.style.setProperty("--lines", String(lines));
  const more = h("button", { type: "button", class: "link small", hidden: true, aria: { controls: id } });
  let isOpen = false;
  const show = () => {
    text.classList.toggle("open", isOpen);
    more.textContent = isOpen ? "Show less" : "Show more";
    more.setAttribute("aria-expanded", String(isOpen));
  };
  const open = (isWanted) => {
    isOpen = isWanted;
    show();
  };
  more.addEventListener("click", () => open(!isOpen));
  // A link in it that is reached by key is seen.
  text.addEventListener("focusin", () => !more.hidden && open(true));
  new ResizeObserver(() => {
    if (!isOpen) more.hidden = text.scrollHeight <= text.clientHeight + 2;
  }).observe(text);
  show();
  return h("div", { class: "clamp" }, text, more);
}
