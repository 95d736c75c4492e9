// The constraints of a schema: in words, as problems of a value, and whether any value satisfies them.
//
// The host has the last word. This only tells early.

import { plural } from "../format.js";
import { ExactNumber, isObject } from "../json.js";

/** The constraints in a few words. */
export function hints(schema) {
  const found = [];
  const range = (low, high, unit) => {
    if (low !== undefined && high !== undefined)
      found.push(low === high ? `exactly ${low}${unit}` : `${low} to ${high}${unit}`);
    else if (low !== undefined) found.push(`at least ${low}${unit}`);
    else if (high !== undefined) found.push(`at most ${high}${unit}`);
  };
  if (schema.type === "integer" || [schema.type].flat().includes("integer")) found.push("whole number");
  range(schema.minimum, schema.maximum, "");
  if (schema.exclusiveMinimum !== undefined) found.push(`above ${schema.exclusiveMinimum}`);
  if (schema.exclusiveMaximum !== undefined) found.push(`below ${schema.exclusiveMaximum}`);
  if (schema.multipleOf !== undefined) found.push(`multiple of ${schema.multipleOf}`);
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  range(schema.minProperties, schema.maxProperties, " entries");
  if (schema.uniqueItems) found.push("no item twice");
  if (schema.pattern !== undefined) found.push(`matches ${schema.pattern}`);
  if (schema.format !== undefined && !/^u?int\d*$|^float$|^double$/.test(schema.format)) found.push(schema.format);
  return found;
}

/** Why no value can ever fit, or `null`. */
export function contradiction(schema) {
  for (const [low, high, what] of [
    ["minimum", "maximum", "value"],
    ["minLength", "maxLength", "length"],
    ["minItems", "maxItems", "number of items"],
    ["minProperties", "maxProperties", "number of entries"],
  ]) {
    if (schema[low] > schema[high]) return `No ${what} is at least ${schema[low]} and at most ${schema[high]}.`;
  }
  const low = schema.exclusiveMinimum ?? schema.minimum;
  const high = schema.exclusiveMaximum ?? schema.maximum;
  const isOpen = schema.exclusiveMinimum !== undefined || schema.exclusiveMaximum !== undefined;
  if (isOpen && low >= high) return `No number lies between ${low} and ${high}.`;
  if (Array.isArray(schema.enum) && schema.enum.length === 0) return "The list of allowed values is empty.";
  if (schema.items === false && schema.minItems > (schema.prefixItems?.length ?? 0))
    return "It needs items, and allows none.";
  return null;
}

/** Problems of one value, without those of what is in it. */
export function problems(schema, value) {
  const found = [];
  const number = value instanceof ExactNumber ? Number(value.text) : value;
  if (typeof number === "number") {
    if ([schema.type].flat().includes("integer") && !Number.isInteger(number)) found.push("must be a whole number");
    if (number < schema.minimum) found.push(`must be at least ${schema.minimum}`);
    if (number > schema.maximum) found.push(`must be at most ${schema.maximum}`);
    if (number <= schema.exclusiveMinimum) found.push(`must be above ${schema.exclusiveMinimum}`);
    if (number >= schema.exclusiveMaximum) found.push(`must be below ${schema.exclusiveMaximum}`);
    if (schema.multipleOf > 0 && !isMultiple(number, schema.multipleOf))
      found.push(`must be a multiple of ${schema.multipleOf}`);
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (length < schema.minLength)
      found.push(`must have at least ${plural(schema.minLength, "character")}, has ${length}`);
    if (length > schema.maxLength)
      found.push(`must have at most ${plural(schema.maxLength, "character")}, has ${length}`);
    const pattern = expression(schema.pattern);
    if (pattern && !pattern.test(value)) found.push(`must match ${schema.pattern}`);
  } else if (Array.isArray(value)) {
    if (value.length < schema.minItems)
      found.push(`must have at least ${plural(schema.minItems, "item")}, has ${value.length}`);
    if (value.length > schema.maxItems)
      found.push(`must have at most ${plural(schema.maxItems, "item")}, has ${value.length}`);
    if (schema.uniqueItems && new Set(value.map((item) => JSON.stringify(item))).size < value.length)
      found.push("has an item twice");
  } else if (isObject(value)) {
    const count = Object.keys(value).length;
    if (count < schema.minProperties)
      found.push(`must have at least ${plural(schema.minProperties, "entry", "entries")}, has ${count}`);
    if (count > schema.maxProperties)
      found.push(`must have at most ${plural(schema.maxProperties, "entry", "entries")}, has ${count}`);
  }
  return found;
}

function isMultiple(number, of) {
  const quotient = number / of;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9 * Math.max(1, Math.abs(quotient));
}

/** A pattern that this browser can read; hosts may know other syntax. */
function expression(pattern) {
  if (pattern === undefined) return null;
  try {
    return new RegExp(pattern, "u");
  } catch {
    return null;
  }
}
