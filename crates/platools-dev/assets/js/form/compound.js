// Controls that hold others: objects, lists, tuples and maps.

import { fill, h } from "../dom.js";
import { isObject } from "../json.js";
import { group } from "./field.js";

/** The fields of an object. Members that no field shows are kept as they were loaded. */
export function members(schema, context) {
  const required = new Set(schema.required ?? []);
  const inner = { ...context, depth: context.depth + 1, isVariant: false };
  /** @type {[name: string, field: import("./field.js").Field][]} */
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => [
    name,
    context.field(property, { ...inner, name, required: required.has(name) }),
  ]);
  // What tells the variants apart was chosen above.
  if (context.isVariant)
    for (const [name, each] of fields) if ("const" in (schema.properties[name] ?? {})) each.element.hidden = true;
  // What has to be there comes first.
  fields.sort(([one], [other]) => /** @type {any} */ (required.has(other)) - /** @type {any} */ (required.has(one)));
  let others = {};
  return {
    elements: fields.map(([, each]) => each.element),
    read() {
      const value = {};
      for (const name of Object.keys(schema.properties ?? {})) {
        const read = fields.find(([other]) => other === name)[1].read();
        if (read !== undefined) value[name] = read;
      }
      return Object.assign(value, others);
    },
    load(value) {
      const loaded = isObject(value) ? value : {};
      for (const [name, each] of fields) each.load(Object.hasOwn(loaded, name) ? loaded[name] : undefined);
      others = Object.fromEntries(Object.entries(loaded).filter(([name]) => !fields.some(([known]) => known === name)));
    },
    check: () => fields.reduce((sum, [, each]) => sum + each.check(), 0),
  };
}

/** An object inside of another. One that may be left out is added by hand. */
export function object({ schema }, context) {
  return ({ id, describedBy }) => {
    const element = group(id, describedBy);
    // Made when it is needed: a schema may contain itself.
    let inside = null;
    const add = (value) => {
      inside = members(schema, context);
      inside.load(value ?? {});
      fill(element, inside.elements, !context.required && button("Leave out", () => show(undefined)));
    };
    const show = (value) => {
      if (value !== undefined || context.required) {
        add(value);
      } else {
        inside = null;
        fill(
          element,
          button("Add", () => show({})),
        );
      }
    };
    const button = (text, act) =>
      h(
        "button",
        {
          type: "button",
          class: "small",
          onclick: () => {
            act();
            context.changed();
          },
          aria: { label: `${text}: ${context.name ?? "object"}` },
        },
        text,
      );
    show(undefined);
    return {
      element,
      isGroup: true,
      read: () => inside?.read(),
      load: show,
      check: () => inside?.check() ?? 0,
    };
  };
}

/** Rows that can be added and taken away; `makeRow` returns `{element, read, load, check}`. */
function rows({ id, describedBy }, context, { addText, makeRow }) {
  const list = h("div", { class: "rows" });
  const add = h("button", { type: "button", class: "small" }, addText);
  const element = group(id, describedBy, list, add);
  let current = [];
  const show = () =>
    fill(
      list,
      current.map((row) => row.holder),
    );
  const append = (value) => {
    const row = makeRow(value);
    const drop = h(
      "button",
      { type: "button", class: "small quiet icon", aria: { label: "Remove" }, title: "Remove" },
      "×",
    );
    drop.addEventListener("click", () => {
      current = current.filter((other) => other !== row);
      show();
      context.changed();
    });
    row.holder = h("div", { class: "item" }, row.element, drop);
    current.push(row);
    return row;
  };
  add.addEventListener("click", () => {
    const row = append(undefined);
    show();
    context.changed();
    row.holder.querySelector("input, textarea, select")?.focus();
  });
  return {
    element,
    rows: () => current,
    load(values) {
      current = [];
      values.forEach(append);
      show();
    },
    check: () => current.reduce((sum, row) => sum + row.check(), 0),
  };
}

/** The context of a field in a row: without a name of its own, and always there. */
function ofItem(context, label) {
  const { depth } = context;
  return { ...context, depth: depth + 1, name: undefined, label, required: true, isVariant: false };
}

/** A list of items of one kind. */
export function list({ schema }, context) {
  return (place) => {
    const items = schema.items ?? true;
    const inner = ofItem(context, `Item of ${context.name ?? "the list"}`);
    const made = rows(place, context, {
      addText: "Add an item",
      makeRow(value) {
        const row = inner.field(items, inner);
        row.load(value);
        return row;
      },
    });
    return {
      element: made.element,
      isGroup: true,
      check: made.check,
      read() {
        if (made.rows().length === 0) return context.required ? [] : undefined;
        return made.rows().map((row) => row.read() ?? null);
      },
      load: (value) => made.load(Array.isArray(value) ? value : []),
    };
  };
}

/** Items of which each has a shape of its own. */
export function tuple({ schema }, context) {
  const shapes = schema.prefixItems ?? schema.items;
  const properties = Object.fromEntries(shapes.map((shape, index) => [String(index), shape]));
  const asObject = { schema: { properties, required: Object.keys(properties) } };
  return (place) => {
    const control = object(asObject, context)(place);
    return {
      ...control,
      read() {
        const value = control.read();
        return value && shapes.map((_, index) => value[index] ?? null);
      },
      load: (value) => control.load(Array.isArray(value) ? { ...value } : undefined),
    };
  };
}

/** Names that are free, with values of one kind. */
export function map({ schema }, context) {
  return (place) => {
    const inner = ofItem(context, "Value");
    const made = rows(place, context, {
      addText: "Add an entry",
      makeRow([name, value] = ["", undefined]) {
        const key = h("input", {
          type: "text",
          class: "key mono",
          placeholder: "name",
          oninput: context.changed,
          aria: { label: "Name" },
        });
        key.value = name;
        const row = inner.field(schema.additionalProperties, inner);
        row.load(value);
        return {
          element: h("div", { class: "entry" }, key, row.element),
          read: () => [key.value, row.read() ?? null],
          check: row.check,
        };
      },
    });
    return {
      element: made.element,
      isGroup: true,
      check: made.check,
      problems() {
        const names = made.rows().map((row) => row.read()[0]);
        const twice = names.find((name, index) => names.indexOf(name) < index);
        return twice === undefined ? [] : [`has the name ${JSON.stringify(twice)} twice; only the last is sent`];
      },
      read() {
        if (made.rows().length === 0) return context.required ? {} : undefined;
        return Object.fromEntries(made.rows().map((row) => row.read()));
      },
      load: (value) => made.load(isObject(value) ? Object.entries(value) : []),
    };
  };
}
