// Fields for text: one line, in which Enter sends, or several.

import { h } from "../dom.js";
import { write } from "../json.js";
import { placeholder } from "./simple.js";

/** A text that may be longer than this has several lines. */
const LONG = 200;
/** Formats and names of texts that mostly have several lines. */
const LONG_FORMATS = /^(multi-?line|text-?area|textarea|markdown|html|text)$/i;
const LONG_NAMES =
  /(^|[_.\s-])(text|body|contents?|message|description|prompt|notes?|comments?|html|markdown|sql|script|instructions|details|letter|essay|template|transcript)$/i;

const isLong = (value) => typeof value === "string" && (value.includes("\n") || value.length > LONG);

/** Whether a text mostly has several lines. */
function wantsLines(schema, name = "") {
  if (schema.maxLength !== undefined) return schema.maxLength > LONG;
  if (LONG_FORMATS.test(schema.format) || /^text\/(markdown|html|plain)/.test(schema.contentMediaType)) return true;
  if (schema.format !== undefined || schema.pattern !== undefined) return false;
  return LONG_NAMES.test(name) || [schema.default, schema.examples].flat().some(isLong);
}

/**
 * Text. Nothing typed means that it is left out, unless an empty text was loaded. What is no text stays what it is. A
 * field of one line becomes one of several when a text of several lines is loaded or pasted, or by Shift and Enter.
 */
export function text({ schema }, context) {
  return ({ id, describedBy }) => {
    const hasLines = wantsLines(schema, context.name);
    /** What was loaded and cannot be told from what is shown, until somebody types. */
    let loaded;
    const properties = {
      id,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: placeholder(schema),
      aria: { describedby: describedBy },
      oninput: () => {
        loaded = undefined;
        context.changed();
      },
    };
    const line = h("input", {
      ...properties,
      type: schema.format === "date" ? "date" : "text",
      onkeydown(event) {
        if (event.key !== "Enter" || !event.shiftKey || line.type === "date") return;
        event.preventDefault();
        grow("\n");
      },
      onpaste(event) {
        const pasted = event.clipboardData.getData("text/plain");
        // The end of a line that was copied with it is left out, as browsers do.
        if (!pasted.trimEnd().includes("\n")) return;
        event.preventDefault();
        grow(pasted);
      },
    });
    const area = h("textarea", { ...properties, rows: 3, class: "growing long" });
    let box = hasLines ? area : line;

    const use = (other) => {
      if (other === box) return;
      box.replaceWith(other);
      box = other;
    };
    /** Goes on in several lines, with a text where the caret is. */
    const grow = (added) => {
      const { value, selectionStart: from, selectionEnd: to } = line;
      use(area);
      area.value = value.slice(0, from) + added + value.slice(to);
      area.focus();
      area.setSelectionRange(from + added.length, from + added.length);
      area.dispatchEvent(new Event("input", { bubbles: true }));
    };

    return {
      element: box,
      read: () => (loaded !== undefined ? loaded : box.value === "" ? undefined : box.value),
      load(value) {
        const isText = typeof value === "string";
        const isHere = document.activeElement === box;
        if (isLong(value)) use(area);
        else if (!hasLines && !isHere) use(line);
        loaded = value === "" || !isText ? value : undefined;
        box.value = value === undefined ? "" : isText ? value : write(value, 0);
        // A control for dates shows nothing else.
        if (isText && box.value !== value) loaded = value;
      },
      problems: () => (loaded !== undefined && typeof loaded !== "string" ? ["is not text"] : []),
    };
  };
}
