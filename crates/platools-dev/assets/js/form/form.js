// The form of a tool: fields for its arguments, and the same as JSON beside them.
//
// The JSON is what is sent, to the byte. A change in a field writes it anew; a change in it moves the fields.

import { h } from "../dom.js";
import { isObject, parse, write } from "../json.js";
import { members } from "./compound.js";
import { field } from "./fields.js";
import { describe } from "./schema.js";

/** `{element, text, load, problem}` for a schema. `changed` is called after each change. */
export function createForm(schema, changed) {
  const shape = describe(schema, schema);
  const mood = { reveals: false };
  // Fields of lists and objects make the fields inside of them.
  const context = { root: schema, depth: 0, changed: fromFields, form: mood, field };
  const fields = members(shape.kind === "object" ? shape.schema : { properties: {} }, context);
  const status = h("p", { class: "hint", role: "status" });
  const editor = h("textarea", {
    id: "arguments-json",
    class: "editor mono",
    spellcheck: "false",
    autocomplete: "off",
    oninput: fromEditor,
    aria: { label: "Arguments as JSON" },
  });
  let problem = null;

  function fromFields() {
    editor.value = write(fields.read());
    judge(fields.check());
    changed();
  }

  function fromEditor() {
    const value = read();
    if (isObject(value)) {
      fields.load(value);
      judge(fields.check());
    }
    changed();
  }

  function read() {
    try {
      const value = parse(editor.value);
      problem = isObject(value) ? null : "The arguments must be a JSON object.";
      if (problem) complain(problem);
      return value;
    } catch (error) {
      problem = `Not JSON yet: ${error.message}`;
      complain(problem);
      return undefined;
    }
  }

  function judge(count) {
    problem = null;
    status.classList.remove("bad-text");
    status.textContent =
      count === 0
        ? "Fits the schema."
        : `${count === 1 ? "One thing does" : `${count} things do`} not fit the schema. It can be sent anyway.`;
  }

  function complain(text) {
    status.classList.add("bad-text");
    status.textContent = text;
  }

  const isEmpty = fields.elements.length === 0;
  const element = h(
    "div",
    { class: "form" },
    h("div", { class: "fields" }, isEmpty ? h("p", { class: "muted small" }, emptyText(shape)) : fields.elements),
    h(
      "div",
      { class: "raw" },
      h(
        "div",
        { class: "row between" },
        h("h2", { class: "minor muted" }, "As JSON"),
        h("button", { type: "button", class: "small quiet", onclick: tidy }, "Tidy"),
      ),
      editor,
      status,
    ),
  );

  function tidy() {
    const value = read();
    if (problem === null) {
      editor.value = write(value);
      changed();
    }
  }

  return {
    element,
    /** The arguments as they would be sent. */
    text: () => editor.value,
    /** Complains about everything, also about what nobody has come to yet. */
    reveal() {
      mood.reveals = true;
      if (problem === null) judge(fields.check());
    },
    /** Why nothing can be sent, or `null`. */
    problem: () => problem,
    load(text) {
      editor.value = text;
      fromEditor();
    },
    clear() {
      mood.reveals = false;
      fields.load({});
      editor.value = write(fields.read());
      judge(fields.check());
      changed();
    },
  };
}

function emptyText(shape) {
  return shape.kind === "object"
    ? "This tool takes no arguments."
    : "The schema names no arguments. Write them as JSON.";
}
