// MCP content blocks: text, pictures, sound, and resources.

import { h } from "./dom.js";
import { bytes } from "./format.js";
import { isObject } from "./json.js";
import { markdown } from "./markdown.js";
import { tree } from "./tree.js";

const IS_BLOCK = {
  text: ({ text }) => typeof text === "string",
  image: isMedia,
  audio: isMedia,
  blob: isMedia,
  resource: ({ resource }) => isObject(resource) && typeof resource.uri === "string",
  resource_link: ({ uri }) => typeof uri === "string",
};

function isMedia({ data, mimeType }) {
  return typeof data === "string" && typeof mimeType === "string";
}

const isBlock = (value) => isObject(value) && Object.hasOwn(IS_BLOCK, value.type) && IS_BLOCK[value.type](value);

/** The content blocks that a result is made of, or `null`. */
export function blocksOf(result) {
  if (isBlock(result) && result.type !== "text") return [result];
  const content = isObject(result) ? result.content : result;
  return Array.isArray(content) && content.length > 0 && content.every(isBlock) ? content : null;
}

/** Content blocks as what they are; `isRendered` is whether texts are Markdown. */
export function blocks(result, isRendered = false) {
  const structured = isObject(result) ? result.structuredContent : undefined;
  return h(
    "div",
    { class: "stack blocks" },
    result?.isError === true && h("p", {}, h("span", { class: "badge bad" }, "is an error")),
    blocksOf(result).map((block) => show(block, isRendered)),
    structured !== undefined &&
      h("section", { class: "stack tight" }, h("h3", { class: "muted" }, "Structured content"), tree(structured)),
  );
}

function show(block, isRendered) {
  switch (block.type) {
    case "text":
      return text(block.text, isRendered);
    case "resource":
      return resource(block.resource, isRendered);
    case "resource_link":
      return resourceLink(block);
    default:
      return media(block);
  }
}

/** A text of an answer. */
export function text(value, isRendered) {
  return isRendered
    ? h("div", { class: "code text markdown", tabindex: "0", role: "group", aria: { label: "Text" } }, markdown(value))
    : h("pre", { class: "code text", tabindex: "0", aria: { label: "Text" } }, value);
}

const sizeOf = (base64) =>
  Math.floor((base64.length * 3) / 4) - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);

function media({ type, mimeType, data }) {
  const caption = h("figcaption", { class: "hint" }, `${mimeType}, ${bytes(sizeOf(data))}`);
  const source = `data:${mimeType};base64,${data}`;
  const kind = type === "image" || type === "audio" ? type : mimeType.split("/")[0];
  if (kind === "image")
    return h(
      "figure",
      { class: "media" },
      h("img", { src: source, alt: "The image that the tool answered with" }),
      caption,
    );
  if (kind === "audio")
    return h(
      "figure",
      { class: "media" },
      h("audio", { src: source, controls: true, aria: { label: "The sound that the tool answered with" } }),
      caption,
    );
  return h("figure", { class: "media" }, save(source, "result"), caption);
}

const save = (source, name) => h("a", { href: source, download: name, class: "button" }, "Save the file");

function resource({ uri, mimeType, text: written, blob }, isRendered) {
  const inside =
    typeof written === "string"
      ? text(written, isRendered && /markdown/.test(mimeType ?? "text/markdown"))
      : typeof blob === "string"
        ? media({ type: "blob", mimeType: mimeType ?? "application/octet-stream", data: blob })
        : h("p", { class: "note" }, "The resource has neither text nor bytes.");
  return framed("Resource", uri, typeof written === "string" ? mimeType : undefined, inside);
}

function resourceLink({ uri, name, title, description, mimeType }) {
  return framed(
    title ?? name ?? "Link to a resource",
    uri,
    mimeType,
    description && h("div", { class: "markdown" }, markdown(String(description))),
  );
}

/** A resource with its URI. Only addresses of the web can be followed. */
function framed(title, uri, mimeType, inside) {
  const isWeb = /^https?:/i.test(uri);
  return h(
    "section",
    { class: "resource stack tight" },
    h(
      "p",
      { class: "row small" },
      h("span", { class: "badge" }, title),
      isWeb
        ? h("a", { href: uri, target: "_blank", rel: "noopener noreferrer", class: "mono" }, uri)
        : h("code", {}, uri),
      mimeType && h("span", { class: "muted" }, mimeType),
    ),
    inside,
  );
}
