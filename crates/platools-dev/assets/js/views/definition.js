// The definition of a tool: the text that models see, its schemas, and its limits.

import { copyButton, h } from "../dom.js";
import { bytes, milliseconds } from "../format.js";
import { isObject } from "../json.js";

/** Names that no model vendor refuses. */
const SAFE_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Everything about a tool but its form. */
export function definition(tool, seat) {
  return h("div", { class: "stack definition" }, seen(tool, seat), schemas(tool), limits(tool));
}

/** The result of a search for a tool, as agents get it (protocol §8). */
function asHit({ name, description, input_schema: schema, annotations }, { entity }) {
  const [prefix, rest] = name.split(/\.(.*)/s);
  const category = annotations?.category || (rest === undefined ? "" : prefix) || entity;
  const parameters = isObject(schema?.properties) ? Object.keys(schema.properties) : [];
  return { name, description, parameters, category, entity };
}

/** The tool as agents get it that have all tools at hand (protocol §8). */
function asInjected({ name, description, input_schema: schema }) {
  const parameters = isObject(schema) ? { ...schema, type: "object" } : { type: "object", properties: {} };
  return { name, description, parameters };
}

function seen(tool, seat) {
  const length = [...tool.description].length;
  const { description_characters: most } = tool.limits;
  return h(
    "section",
    { class: "stack tight" },
    h("h2", {}, "What a model sees"),
    h(
      "p",
      { class: "muted small" },
      `Nothing else: the title, the output schema, auth, roles and hints stay behind. The description has ${length.toLocaleString("en")} of ${most.toLocaleString("en")} characters.`,
    ),
    warnings(tool).map((text) => h("p", { class: "note warn small" }, text)),
    json("As a hit of find_tools, as most agents have it", asHit(tool, seat)),
    json("As a tool of its own, for agents with direct exposure", asInjected(tool)),
  );
}

/** Problems of a definition for models. */
function warnings({ name, description, input_schema: schema, limits: { description_characters: most } }) {
  const properties = isObject(schema?.properties) ? schema.properties : {};
  const required = Array.isArray(schema?.required) ? schema.required : [];
  const silent = required.filter((each) => !properties[each]?.description);
  return [
    description.trim() === "" && "It has no description: a model has nothing but the name to go by.",
    [...description].length > most && "The description is longer than the platform takes from its operators.",
    silent.length > 0 && `Required and without a description: ${silent.join(", ")}.`,
    !SAFE_NAME.test(name) && "Some model vendors refuse this name where the tool is exposed directly.",
  ].filter(Boolean);
}

function schemas({ input_schema: input, output_schema: output }) {
  return h(
    "section",
    { class: "stack tight" },
    h("h2", {}, "Schemas"),
    json("Input schema", input),
    output ? json("Output schema", output) : h("p", { class: "muted small" }, "Output schema: the host declared none."),
  );
}

function json(title, value) {
  const text = JSON.stringify(value, null, 2);
  return h(
    "div",
    { class: "stack tight" },
    h(
      "div",
      { class: "row between" },
      h("h3", { class: "muted" }, title),
      copyButton(() => text, title),
    ),
    h("pre", { class: "code", tabindex: "0", aria: { label: title } }, text),
  );
}

function limits({ auth, roles = [], annotations = {}, limits: allowed }) {
  const entries = [
    ["Who may call", who(auth, roles)],
    [
      "Time",
      `The platform waits ${milliseconds(allowed.answer_ms)} for an answer. The host's own timeout, rate limit and concurrency are not declared.`,
    ],
    [
      "Size",
      `Arguments: a frame of ${bytes(allowed.arguments_bytes)}. Result: ${bytes(allowed.result_units)} in UTF-16 units; of more the model gets a preview.`,
    ],
    ["Hints", hints(annotations)],
  ];
  return h(
    "section",
    { class: "stack tight" },
    h("h2", {}, "Limits"),
    h(
      "dl",
      { class: "limits" },
      entries.map(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]),
    ),
  );
}

function who(auth, roles) {
  const user = auth && auth !== "none" ? `auth: ${auth}, which the host checks` : "anybody that the agent acts for";
  return roles.length > 0 ? `${user}; with one of the roles ${roles.join(", ")}` : user;
}

function hints(annotations) {
  const found = Object.entries(annotations)
    .filter(([name]) => name !== "title" && name !== "category")
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return found.length > 0 ? found.join(", ") : "none";
}
