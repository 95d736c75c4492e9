// What came of a call: the outcome, where the time went, and the answer in the form that suits it.

import { fill, h, copyButton, newId } from "./dom.js";
import { bytes, clock, milliseconds } from "./format.js";
import { frames } from "./frames.js";
import { isObject, write } from "./json.js";
import { explain, refusalOfReplay } from "./signature.js";
import { tree } from "./tree.js";

const OUTCOMES = {
  result: ["good", "Result"],
  error: ["bad", "Error"],
  timed_out: ["warn", "No answer"],
};

/** The badge of an outcome. */
export function outcomeBadge(call) {
  const [tone, text] = OUTCOMES[call.outcome];
  return h("span", { class: `badge ${tone}` }, text);
}

/** Badges for what is unusual about a call. */
export function oddities(call) {
  return [
    call.tamper && h("span", { class: "badge warn" }, `tampered: ${call.tamper}`),
    call.repeated && h("span", { class: "badge warn" }, "same frame again"),
    call.transport === "http" &&
      h(
        "span",
        { class: "badge accent", title: call.http_url },
        call.http_status === null ? "over HTTP" : `over HTTP: ${call.http_status}`,
      ),
  ];
}

/** All about a call; `actions` are buttons beside the outcome. */
export function answer(call, actions = []) {
  return h(
    "div",
    { class: "answer", data: { outcome: call.outcome, call: call.id } },
    h(
      "div",
      { class: "row between" },
      h(
        "div",
        { class: "row" },
        outcomeBadge(call),
        oddities(call),
        h("span", { class: "muted small number" }, clock(call.at)),
      ),
      h("div", { class: "row" }, actions),
    ),
    latency(call),
    tabs([
      ["Answer", () => content(call)],
      ["Frames", () => frames(call)],
      ["Signature", () => explain(call)],
    ]),
  );
}

/** How the latency divides into the handler's part and the rest. */
function latency(call) {
  const { latency_ms: total, handler_ms: handler, wire_ms: wire } = call;
  const known = handler !== null && total > 0;
  const share = known ? Math.min(100, (100 * handler) / total) : 0;
  const bar = h("div", {
    class: known ? "latency-bar" : "latency-bar unknown",
    role: "img",
    aria: {
      label: known
        ? `${milliseconds(handler)} of ${milliseconds(total)} in the handler`
        : `${milliseconds(total)} in all`,
    },
  });
  const part = h("span", {});
  part.style.width = `${share}%`;
  bar.append(part);
  return h(
    "div",
    { class: "latency" },
    h("strong", { class: "number" }, milliseconds(total)),
    bar,
    h(
      "span",
      { class: "small muted number" },
      known
        ? [
            h("i", { class: "key handler" }),
            `handler ${handler === 0 ? "< 1 ms" : `${handler.toLocaleString("en")} ms`}`,
            h("i", { class: "key wire" }),
            `wire ${milliseconds(wire)}`,
          ]
        : "the host reported no time of its own",
    ),
  );
}

/** Tabs by the pattern that screen readers know. */
function tabs(entries) {
  const id = newId("tabs");
  const panel = h("div", { role: "tabpanel", id: `${id}-panel`, class: "tab-panel" });
  const buttons = entries.map(([title], index) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-${index}`,
        class: "quiet small",
        aria: { controls: `${id}-panel` },
      },
      title,
    ),
  );
  const choose = (index, focus) => {
    buttons.forEach((button, other) => {
      button.setAttribute("aria-selected", String(other === index));
      button.tabIndex = other === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `${id}-${index}`);
    fill(panel, entries[index][1]());
    if (focus) buttons[index].focus();
  };
  buttons.forEach((button, index) => {
    button.addEventListener("click", () => choose(index));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose((index + step + buttons.length) % buttons.length, true);
    });
  });
  choose(0);
  return h("div", {}, h("div", { class: "tab-list", role: "tablist" }, buttons), panel);
}

function content(call) {
  if (call.outcome === "error")
    return h(
      "div",
      { class: "stack tight" },
      h(
        "div",
        { class: "row between" },
        h("h3", { class: "muted" }, "What the model reads"),
        copyButton(() => call.message, "the error"),
      ),
      h("pre", { class: "code bad-text" }, call.message),
      whyNotAsReplay(call),
    );
  if (call.outcome === "timed_out")
    return h(
      "p",
      { class: "note warn" },
      "No answer came in time. The host may be frozen, busy, or gone; an answer on a later connection still counts while the call waits.",
    );
  return result(call);
}

/** Says why a repeated frame was refused as something else. */
function whyNotAsReplay(call) {
  const { reason, why } = call.repeated ? refusalOfReplay(call) : {};
  return why && call.message.startsWith(`${reason}:`) && h("p", { class: "note" }, why);
}

function result(call) {
  const { result: value } = call;
  const views = viewsOf(call);
  let chosen = 0;
  const holder = h("div", {});
  const switcher = h("div", { class: "row" });
  const show = () => {
    fill(holder, views[chosen][1]());
    fill(
      switcher,
      views.map(([name], index) => {
        const choose = () => {
          chosen = index;
          show();
        };
        return h(
          "button",
          {
            type: "button",
            class: "small quiet",
            aria: { pressed: String(index === chosen) },
            onclick: choose,
          },
          name,
        );
      }),
      copyButton(() => (typeof value === "string" ? value : write(value)), "the result"),
    );
  };
  show();
  return h(
    "div",
    { class: "stack tight" },
    views.length > 1
      ? switcher
      : h(
          "div",
          { class: "row" },
          copyButton(() => write(value), "the result"),
        ),
    holder,
  );
}

/** @typedef {[name: string, draw: () => HTMLElement]} View */

/**
 * The ways to look at a result, the most fitting one first.
 * @returns {View[]}
 */
function viewsOf({ result: value }) {
  /** @type {View} */
  const raw = ["JSON", () => h("pre", { class: "code" }, write(value))];
  if (isObject(value) && typeof value.data === "string" && typeof value.mimeType === "string")
    return [["Media", () => media(value)], ["Tree", () => tree(value)], raw];
  if (isObject(value) && value.truncated === true && typeof value.original_bytes === "number") {
    return [["Preview", () => truncated(value)], raw];
  }
  if (typeof value === "string") return [["Text", () => h("pre", { class: "code text" }, value)], raw];
  return [["Tree", () => tree(value)], raw];
}

function media({ type, mimeType, data }) {
  const size = Math.floor((data.length * 3) / 4) - (data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0);
  const caption = h("figcaption", { class: "hint" }, `${mimeType}, ${bytes(size)}`);
  const source = `data:${mimeType};base64,${data}`;
  if (type === "image")
    return h(
      "figure",
      { class: "media" },
      h("img", { src: source, alt: "The image that the tool answered with" }),
      caption,
    );
  if (type === "audio")
    return h("figure", { class: "media" }, h("audio", { src: source, controls: true }), caption);
  return h(
    "figure",
    { class: "media" },
    h("a", { href: source, download: "result", class: "button" }, "Save the file"),
    caption,
  );
}

function truncated({ preview, original_bytes: size }) {
  return h(
    "div",
    { class: "stack tight" },
    h(
      "p",
      { class: "note warn" },
      `The result has ${bytes(size)}, more than the 256 KiB that the platform passes on. The model gets this preview. The whole frame is under Frames.`,
    ),
    h("pre", { class: "code" }, preview),
  );
}
