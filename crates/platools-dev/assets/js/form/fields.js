// From a schema to its field.

import * as compound from "./compound.js";
import { labelled } from "./field.js";
import { describe } from "./schema.js";
import * as simple from "./simple.js";
import { text } from "./texts.js";
import { variants } from "./variants.js";

const MAKERS = {
  text,
  number: simple.number,
  switch: simple.toggle,
  choice: simple.choice,
  fixed: simple.fixed,
  json: simple.json,
  never: simple.never,
  object: compound.object,
  list: compound.list,
  tuple: compound.tuple,
  map: compound.map,
  variants,
};

/** The replacement of a schema that is not an object. */
const UNREADABLE = { kind: "json", schema: { description: "Its schema cannot be read, so any JSON will do." } };

/** The field for a schema, as `{element, read, load, check}`. */
export function field(schema, context) {
  try {
    return fieldOf(describe(schema, context.root, context.depth), context);
  } catch {
    // Hosts declare what they like: a list where a text belongs, a number where an object does.
    return fieldOf(UNREADABLE, context);
  }
}

function fieldOf(shape, context) {
  const makeControl = MAKERS[shape.kind](shape, context);
  const needsNull = shape.nullable && shape.kind !== "json";
  return labelled(shape, context, needsNull ? simple.orNull(makeControl, context) : makeControl);
}
