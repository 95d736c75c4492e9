// Controls for one value: numbers, switches, choices, and JSON where nothing better fits.

import { h } from "../dom.js";
import { ExactNumber, parse, write } from "../json.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** A number, which is sent with the digits that were typed. */
export function number({ schema }, context) {
  return ({ id, describedBy }) => {
    const input = h("input", {
      id,
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      placeholder: placeholder(schema),
      oninput: context.changed,
      aria: { describedby: describedBy },
    });
    const typed = () => input.value.trim();
    return {
      element: input,
      read() {
        if (typed() === "") return undefined;
        if (!NUMBER.test(typed())) return typed();
        return parse(typed());
      },
      load(value) {
        input.value =
          value === undefined
            ? ""
            : value instanceof ExactNumber
              ? value.text
              : typeof value === "string"
                ? value
                : write(value, 0);
      },
      problems: () => (NUMBER.test(typed()) ? [] : ["is not a number; it would be sent as text"]),
    };
  };
}

/** True or false; a third state leaves it out where that is allowed. */
export function toggle({ schema }, context) {
  const choices = [
    { value: true, title: "true" },
    { value: false, title: "false" },
  ];
  return choice({ schema, choices }, context);
}

/** One of some values. */
export function choice({ schema, choices }, context) {
  return ({ id, describedBy }) => {
    const nothing = context.required
      ? "choose…"
      : schema.default !== undefined && schema.default !== null
        ? `default (${titleOf({ value: schema.default })})`
        : "not sent";
    const label = (each) => (each.description ? `${titleOf(each)} – ${each.description}` : titleOf(each));
    const select = h(
      "select",
      { id, onchange: context.changed, aria: { describedby: describedBy } },
      h("option", { value: "" }, nothing),
      choices.map((each, index) => h("option", { value: String(index) }, label(each))),
    );
    let stranger;
    return {
      element: select,
      read: () => (select.value === "other" ? stranger : choices[select.value]?.value),
      load(value) {
        select.querySelector('option[value="other"]')?.remove();
        const index = choices.findIndex((each) => write(each.value, 0) === write(value, 0));
        if (value !== undefined && index < 0) {
          stranger = value;
          select.append(h("option", { value: "other" }, `${write(value, 0)} (not allowed)`));
          select.value = "other";
        } else {
          select.value = index < 0 ? "" : String(index);
        }
      },
      problems: () => (select.value === "other" ? ["is none of the allowed values"] : []),
    };
  };
}

/** A value that is always the same. */
export function fixed({ value }, context) {
  return ({ id }) => {
    let isSent = context.required;
    return {
      element: h("output", { id, class: "mono fixed" }, write(value, 0)),
      read: () => (isSent ? value : undefined),
      load: (loaded) => (isSent = context.required || loaded !== undefined),
    };
  };
}

/** Any JSON. */
export function json({ schema }, context) {
  return ({ id, describedBy }) => {
    const area = h("textarea", {
      id,
      rows: 2,
      class: "growing mono",
      spellcheck: "false",
      placeholder: schema.default === undefined ? "any JSON" : write(schema.default, 0),
      oninput: context.changed,
      aria: { describedby: describedBy },
    });
    const attempt = () => {
      try {
        return { value: parse(area.value) };
      } catch {
        return { value: area.value, isText: true };
      }
    };
    return {
      element: area,
      read: () => (area.value.trim() === "" ? undefined : attempt().value),
      load: (value) => (area.value = value === undefined ? "" : write(value)),
      problems: () => (attempt().isText ? ["is not JSON; it would be sent as text"] : []),
    };
  };
}

/** Where the schema allows nothing at all. */
export function never() {
  return () => ({
    element: h(
      "p",
      { class: "note warn small" },
      "The schema allows no value here. To try one, write it into the JSON.",
    ),
    read: () => undefined,
    load() {},
  });
}

/** A control with a switch for `null` beside it; for what may be left out only once there was a `null`. */
export function orNull(makeControl, context) {
  return (place) => {
    const control = makeControl(place);
    const box = h("input", { type: "checkbox", id: `${place.id}-null` });
    const holder = h("div", {}, control.element);
    const beside = h("label", { class: "null small muted", hidden: true });
    const show = () => {
      holder.toggleAttribute("inert", box.checked);
      if (!beside.hidden || !(context.required || box.checked)) return;
      beside.append(box, "null");
      beside.hidden = false;
    };
    show();
    box.addEventListener("change", () => {
      show();
      context.changed();
    });
    return {
      ...control,
      element: holder,
      beside,
      read: () => (box.checked ? null : control.read()),
      problems: () => (box.checked ? [] : (control.problems?.() ?? [])),
      check: () => (box.checked ? 0 : (control.check?.() ?? 0)),
      load(value) {
        box.checked = value === null;
        show();
        control.load(value === null ? undefined : value);
      },
    };
  };
}

/** The placeholder of a field: the default, or an example. */
export function placeholder(schema) {
  if (schema.default !== undefined && schema.default !== null)
    return typeof schema.default === "string" ? schema.default : write(schema.default, 0);
  const [example] = schema.examples ?? [];
  return example === undefined ? undefined : typeof example === "string" ? example : write(example, 0);
}

/** @param {{ value: any, title?: string }} choice */
function titleOf({ value, title }) {
  return title ?? (typeof value === "string" ? value : write(value, 0));
}
