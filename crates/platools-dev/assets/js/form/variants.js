// One of several shapes: which of them, and the field for it.

import { fill, h } from "../dom.js";
import { isObject, write } from "../json.js";
import { describe } from "./schema.js";

/** One of several shapes. */
export function variants({ schema, variants: options }, context) {
  return ({ id, describedBy }) => {
    const select = h(
      "select",
      { id, aria: { describedby: describedBy } },
      !context.required && h("option", { value: "" }, "not sent"),
      options.map((option, index) => h("option", { value: String(index) }, titleOf(option, index))),
    );
    const holder = h("div", { class: "variant" });
    let inside = null;
    const show = (value) => {
      const option = options[select.value];
      inside = option
        ? context.field(plain(option, schema), {
            ...context,
            depth: context.depth + 1,
            name: undefined,
            required: true,
            isVariant: true,
          })
        : null;
      inside?.load(value);
      fill(holder, inside?.element);
    };
    select.addEventListener("change", () => {
      show(undefined);
      context.changed();
    });
    show(undefined);
    return {
      element: h("div", { class: "group" }, select, holder),
      read: () => inside?.read(),
      check: () => inside?.check() ?? 0,
      load(value) {
        const index = value === undefined ? -1 : options.findIndex((option) => fits(option, value, context.root));
        if (value === undefined) select.value = context.required ? "0" : "";
        else select.value = String(Math.max(0, index));
        show(value);
      },
    };
  };
}

/** The option without what already stands above it. */
function plain(option, whole) {
  const { description, title, ...rest } = option;
  return description === whole.description ? rest : { ...rest, description };
}

function titleOf(option, index) {
  if (option.title) return option.title;
  for (const [name, property] of Object.entries(option.properties ?? {})) {
    if (property?.const !== undefined) return `${name}: ${write(property.const, 0)}`;
  }
  const names = Object.keys(option.properties ?? {});
  if (names.length > 0 && names.length <= 3) return names.join(", ");
  return [option.type ?? `option ${index + 1}`].flat().join(" or ");
}

/** Whether a value looks like it has this shape. */
function fits(option, value, root) {
  const shape = describe(option, root);
  switch (shape.kind) {
    case "text":
      return typeof value === "string";
    case "number":
      return (
        typeof value === "number" ||
        (!isObject(value) && typeof value === "object" && value !== null && !Array.isArray(value))
      );
    case "switch":
      return typeof value === "boolean";
    case "list":
    case "tuple":
      return Array.isArray(value);
    case "choice":
      return shape.choices.some((choice) => write(choice.value, 0) === write(value, 0));
    case "fixed":
      return write(shape.value, 0) === write(value, 0);
    case "object": {
      if (!isObject(value)) return false;
      const properties = shape.schema.properties;
      const isOther = ([name, property]) => property?.const !== undefined && property.const !== value[name];
      return !Object.entries(properties).some(isOther) && (shape.schema.required ?? []).every((name) => name in value);
    }
    case "map":
      return isObject(value);
    default:
      return true;
  }
}
