// From a schema to its field.

import * as compound from "./compound.js";
import { labelled } from "./field.js";
import { describe } from "./schema.js";
import * as simple from "./simple.js";
import { variants } from "./variants.js";

const MAKERS = {
  text: simple.text,
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

/** The field for a schema, as `{element, read, load, check}`. */
export function field(schema, context) {
  const shape = describe(schema, context.root, context.depth);
  const makeControl = MAKERS[shape.kind](shape, context);
  // What may be left out needs no `null` besides.
  const needsNull = shape.nullable && context.required && shape.kind !== "json";
  return labelled(shape, context, needsNull ? simple.orNull(makeControl, context) : makeControl);
}
