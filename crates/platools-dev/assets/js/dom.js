// Making elements, and the little that all views need around them.

/** An element. Properties named `on…` are listeners, `data` and `aria` are objects, booleans are attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  apply(element, properties);
  element.append(...flat(children));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...flat(children));
  return element;
}

/** Puts these children in the place of all others. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

function apply(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "aria")
      for (const [key, text] of Object.entries(value)) element.setAttribute(`aria-${key}`, text);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
}

/** Children without gaps, in one list. */
export function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

let count = 0;

/** An id that no other element has. */
export function newId(prefix) {
  count += 1;
  return `${prefix}-${count}`;
}

let fading;

/** Says something in passing. */
export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => element.classList.remove("shown"), 2600);
}

/** Copies a text, and says so. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied: ${what}`);
  } catch {
    toast("The browser does not allow copying here: select the text instead");
  }
}

/** A button that copies what `text` returns. */
export function copyButton(text, what, label = "Copy") {
  const act = async () => copy(await text(), what);
  return h(
    "button",
    { type: "button", class: "small quiet", onclick: act, aria: { label: `${label}: ${what}` } },
    label,
  );
}
