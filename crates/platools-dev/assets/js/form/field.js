// The frame around a control: its name, what it means, what is demanded, and what is wrong.

import { clamped } from "../clamp.js";
import { h, newId } from "../dom.js";
import { markdown } from "../markdown.js";
import { contradiction, hints, problems } from "./constraints.js";

/**
 * A control with its label, for one value of the form.
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => any} read
 * @property {(value: any) => void} load
 * @property {() => number} check
 */

/**
 * A labelled place for one control. `read` of the whole field returns a value, or `undefined` to leave it out.
 * `context` is `{root, depth, name, required, changed, form}`; `form.reveals` says whether to complain about what
 * nobody has come to yet.
 * @returns {Field}
 */
export function labelled(shape, context, makeControl) {
  const { schema } = shape;
  const id = newId("field");
  const problem = h("p", { class: "problem", id: `${id}-problem`, role: "alert", hidden: true });
  const hint = hintOf(shape);
  const described = [schema.description && `${id}-text`, hint && `${id}-hint`, `${id}-problem`].filter(Boolean);
  const control = makeControl({ id, describedBy: described.join(" ") });

  const impossible = contradiction(schema);
  const element = h(
    "div",
    { class: "field", data: { field: context.name ?? "" } },
    h(
      "div",
      { class: "label" },
      nameOf(id, context, schema.title, control.isGroup),
      context.required && context.name !== undefined && h("span", { class: "required", title: "required" }, "required"),
      control.beside,
    ),
    schema.description &&
      clamped(3, { class: "description markdown", id: `${id}-text` }, markdown(String(schema.description))),
    control.element,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    impossible && h("p", { class: "note warn small" }, `${impossible} Whatever is sent, the host has to refuse it.`),
    problem,
  );

  let isVisited = false;
  element.addEventListener("focusout", () => {
    isVisited = true;
    if (control.read() === undefined) context.changed();
  });

  return {
    element,
    read: control.read,
    load: control.load,
    /** Shows what is wrong, and returns how many things are. */
    check() {
      const value = control.read();
      const found =
        value === undefined
          ? context.required
            ? ["is required"]
            : []
          : [...(control.problems?.() ?? []), ...problems(schema, value)];
      const isUntouched = value === undefined || (Array.isArray(value) && value.length === 0);
      const isShown = found.length > 0 && (!isUntouched || isVisited || context.form.reveals);
      problem.hidden = !isShown;
      problem.textContent = isShown ? `${context.name ?? "This"} ${found.join("; ")}` : "";
      element.classList.toggle("wrong", isShown);
      return found.length + (control.check?.() ?? 0);
    },
  };
}

/** The name that is sent, behind the title if that says more. */
function nameOf(id, { name, label = "Value" }, title, isGroup) {
  if (name === undefined)
    return h(isGroup ? "span" : "label", { class: "hidden", ...(isGroup ? { id: `${id}-name` } : { for: id }) }, label);
  const plain = (text) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, "");
  const isTitled = typeof title === "string" && title !== "" && plain(title) !== plain(name);
  const text = isTitled ? [h("span", { class: "title" }, title), " ", h("code", { class: "muted" }, name)] : name;
  return isGroup ? h("span", { class: "name", id: `${id}-name` }, text) : h("label", { class: "name", for: id }, text);
}

function hintOf({ kind, schema }) {
  const found = hints(schema);
  // A choice names its default itself.
  const isChosen = kind === "choice" || kind === "switch";
  if (!isChosen && schema.default !== undefined && schema.default !== null)
    found.push(`default ${JSON.stringify(schema.default)}`);
  if (Array.isArray(schema.examples) && schema.examples.length > 0)
    found.push(`for example ${JSON.stringify(schema.examples[0])}`);
  return found.join(" · ");
}

/** A row of fields in a group, put together anew whenever they change. */
export function group(id, describedBy, ...children) {
  return h(
    "div",
    { class: "group", role: "group", aria: { labelledby: `${id}-name`, describedby: describedBy } },
    ...children,
  );
}
