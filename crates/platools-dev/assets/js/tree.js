// JSON as a tree that opens step by step, so that large values cost nothing until they are looked at.

import { fill, h } from "./dom.js";
import { plural } from "./format.js";
import { ExactNumber } from "./json.js";

const CHUNK = 100;
const LONG_TEXT = 600;
const OPEN_DEPTH = 2;
const OPEN_SIZE = 30;

/** The tree of a value. */
export function tree(value) {
  return h(
    "div",
    { class: "tree mono", tabindex: "0", role: "group", aria: { label: "The value as a tree" } },
    node(undefined, value, 0),
  );
}

function node(name, value, depth) {
  const isList = Array.isArray(value);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) {
    return h("div", { class: "leaf" }, label(name), scalar(value));
  }
  const entries = isList ? value.map((item, index) => [index, item]) : Object.entries(value);
  const size = isList ? plural(entries.length, "item") : plural(entries.length, "member");
  if (entries.length === 0)
    return h("div", { class: "leaf" }, label(name), h("span", { class: "muted" }, isList ? "[]" : "{}"));
  const body = h("div", { class: "branch" });
  const details = h(
    "details",
    {},
    h("summary", {}, label(name), h("span", { class: "muted" }, isList ? `[ ${size} ]` : `{ ${size} }`)),
    body,
  );
  const show = () => {
    if (details.open && body.childElementCount === 0) more(body, entries, 0, depth + 1);
  };
  details.addEventListener("toggle", show);
  if (depth < OPEN_DEPTH && entries.length <= OPEN_SIZE) {
    details.open = true;
    show();
  }
  return details;
}

function more(body, entries, from, depth) {
  body.append(...entries.slice(from, from + CHUNK).map(([name, value]) => node(name, value, depth)));
  const left = entries.length - from - CHUNK;
  if (left <= 0) return;
  const button = h(
    "button",
    { type: "button", class: "small" },
    `Show ${Math.min(left, CHUNK)} of ${left.toLocaleString("en")} more`,
  );
  button.addEventListener("click", () => {
    button.remove();
    more(body, entries, from + CHUNK, depth);
  });
  body.append(button);
}

function label(name) {
  if (name === undefined) return null;
  return [
    h("span", { class: typeof name === "number" ? "muted" : "key" }, String(name)),
    h("span", { class: "muted" }, ": "),
  ];
}

function scalar(value) {
  if (typeof value === "string") return text(value);
  if (value instanceof ExactNumber) return h("span", { class: "number-value" }, value.text);
  const kind = typeof value === "number" ? "number-value" : "word-value";
  return h("span", { class: kind }, String(value));
}

function text(value) {
  if (value.length <= LONG_TEXT) return h("span", { class: "text-value" }, JSON.stringify(value));
  const holder = h("span", { class: "text-value" });
  const button = h(
    "button",
    { type: "button", class: "small" },
    `Show all ${value.length.toLocaleString("en")} characters`,
  );
  button.addEventListener("click", () => fill(holder, JSON.stringify(value)));
  fill(holder, `${JSON.stringify(value.slice(0, LONG_TEXT)).slice(0, -1)}…`, " ", button);
  return holder;
}
