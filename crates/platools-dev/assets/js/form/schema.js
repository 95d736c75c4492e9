// Reading a JSON Schema: what kind of field a schema asks for.

import { isObject } from "../json.js";

/** Beyond this depth a schema that repeats itself is edited as JSON. */
export const DEEPEST = 6;

/**
 * What to show for a schema: `{kind, schema, nullable, …}`. Kinds are `text`, `number`, `switch`, `choice`, `fixed`,
 * `object`, `map`, `list`, `tuple`, `variants`, `json`, and `never` where nothing is allowed.
 */
export function describe(schema, root, depth = 0) {
  if (schema === false) return { kind: "never", schema: {}, nullable: false };
  if (!isObject(schema)) return { kind: "json", schema: {}, nullable: true };
  const whole = flatten(schema, root);
  if (!whole || depth > DEEPEST) return { kind: "json", schema: whole ?? schema, nullable: true };
  return classify(whole, root);
}

function classify(schema, root) {
  const options = schema.anyOf ?? schema.oneOf;
  const others = options?.map((option) => flatten(option, root) ?? option).filter((option) => !isNull(option));
  const types = [schema.type ?? []].flat();
  const nullable =
    types.includes("null") || (options?.length ?? 0) > (others?.length ?? 0) || Boolean(schema.enum?.includes(null));
  const shape = { schema, nullable };

  if ("const" in schema) return { ...shape, kind: "fixed", value: schema.const };
  if (schema.enum)
    return {
      ...shape,
      kind: "choice",
      choices: schema.enum.filter((value) => value !== null).map((value) => ({ value })),
    };
  if (others) {
    const choices = choicesOf(others);
    if (choices) return { ...shape, kind: "choice", choices };
    const { anyOf, oneOf, ...rest } = schema;
    if (others.length === 1) {
      const inner = classify(merge(rest, others[0]), root);
      return { ...inner, nullable: nullable || inner.nullable };
    }
    return { ...shape, kind: "variants", variants: others.map((option) => merge(rest, option)) };
  }
  const real = types.filter((type) => type !== "null");
  if (real.length > 1) return { ...shape, kind: "variants", variants: real.map((type) => ({ ...schema, type })) };
  return { ...shape, kind: kindOf(real[0], schema) };
}

function kindOf(type, schema) {
  switch (type) {
    case "string":
      return "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "switch";
    case "array":
      return Array.isArray(schema.prefixItems ?? schema.items) ? "tuple" : "list";
    case "object":
      if (schema.properties && Object.keys(schema.properties).length > 0) return "object";
      return isObject(schema.additionalProperties) ? "map" : schema.properties ? "object" : "json";
    default:
      return schema.properties ? "object" : schema.items ? "list" : "json";
  }
}

function isNull(schema) {
  return schema.type === "null" || schema.const === null;
}

/** The choices, if every option is one or more fixed values. */
function choicesOf(options) {
  const found = options.flatMap((option) => {
    const { title, description } = option;
    if ("const" in option) return [{ value: option.const, title, description }];
    if (Array.isArray(option.enum))
      return option.enum.map((value) => ({
        value,
        description: option.enum.length === 1 ? description : undefined,
      }));
    return [null];
  });
  return found.length > 0 && found.every(Boolean) ? found : null;
}

/** The schema with its references and `allOf` written out; `null` when a reference leads nowhere or in a circle. */
function flatten(schema, root, seen = []) {
  if (!isObject(schema)) return null;
  let whole = schema;
  if (schema.$ref) {
    const target = seen.includes(schema.$ref) ? undefined : lookUp(schema.$ref, root);
    const found = target && flatten(target, root, [...seen, schema.$ref]);
    if (!found) return null;
    const { $ref, ...beside } = schema;
    whole = merge(found, beside);
  }
  if (!Array.isArray(whole.allOf)) return whole;
  const { allOf, ...rest } = whole;
  return allOf.reduce((sum, part) => merge(sum, flatten(part, root, seen) ?? {}), rest);
}

function lookUp(reference, root) {
  if (!reference.startsWith("#")) return undefined;
  let found = root;
  for (const part of reference.slice(1).split("/").slice(1)) {
    found = found?.[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return found;
}

function merge(one, other) {
  const sum = { ...one, ...other };
  if (one.properties && other.properties) sum.properties = { ...one.properties, ...other.properties };
  if (one.required && other.required) sum.required = [...new Set([...one.required, ...other.required])];
  return sum;
}
