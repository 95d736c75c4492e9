// The outcome of a call: the time of its parts, and the answer in the form that suits it.

import { blocks, blocksOf, text } from "./blocks.js";
import { copyButton, fill, h } from "./dom.js";
import { bytes, clock, elapsed, milliseconds } from "./format.js";
import { frames } from "./frames.js";
import { isObject, write } from "./json.js";
import { explain, refusalOfReplay } from "./signature.js";
import { isMarkdown } from "./markdown.js";
import { createTabs } from "./tabs.js";
import { tree } from "./tree.js";

const OUTCOMES = {
  running: ["accent", "Running"],
  abandoned: ["warn", "Abandoned"],
  result: ["good", "Result"],
  error: ["bad", "Error"],
  timed_out: ["warn", "No answer"],
};

/** The badge of an outcome. */
export function outcomeBadge(call) {
  const [tone, text] = OUTCOMES[call.outcome];
  return h("span", { class: `badge ${tone}` }, text);
}

/** Whether a call has no answer yet, and may get one. */
export const isRunning = (call) => call.outcome === "running" || call.outcome === "abandoned";

/** Badges for what is unusual about a call. */
export function oddities(call) {
  return [
    call.abandoned && !isRunning(call) && h("span", { class: "badge warn" }, "nobody waited"),
    call.late_ms !== null && h("span", { class: "badge warn" }, "answered late"),
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
    isRunning(call)
      ? h("p", { class: "latency-so-far" }, h("strong", { class: "number" }, elapsed(call)), " so far")
      : latency(call),
    createTabs(
      [
        ["Answer", () => content(call)],
        ["Frames", () => frames(call)],
        ["Signature", () => explain(call)],
      ],
      "The call",
    ).element,
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

function content(call) {
  switch (call.outcome) {
    case "running":
      return h("p", { class: "note" }, "The host has not answered yet.");
    case "abandoned":
      return h(
        "p",
        { class: "note warn" },
        "Whoever made this call no longer waits for it. It goes on at the host, and its answer comes here.",
      );
    case "timed_out":
      return call.late_ms === null ? h("p", { class: "note warn" }, NO_ANSWER) : late(call);
    case "error":
      return error(call, "What the model reads");
    default:
      return result(call);
  }
}

const NO_ANSWER =
  "No answer came in time. The host may be frozen, busy, or gone. An answer on a later connection still counts while the call waits; one that comes now is shown here as late.";

/** An answer that came after the platform had given up. */
function late(call) {
  return h(
    "div",
    { class: "stack tight" },
    h(
      "p",
      { class: "note warn" },
      `The platform gave up after ${milliseconds(call.latency_ms)}, and the model was told so. The host answered after ${milliseconds(call.late_ms)}, which nobody reads:`,
    ),
    call.message === null ? result(call) : error(call, "What came too late"),
  );
}

function error(call, title) {
  return h(
    "div",
    { class: "stack tight" },
    h(
      "div",
      { class: "row between" },
      h("h3", { class: "muted" }, title),
      copyButton(() => call.message, "the error"),
    ),
    h("pre", { class: "code bad-text", tabindex: "0", aria: { label: title } }, call.message),
    whyNotAsReplay(call),
  );
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
  const raw = ["JSON", () => h("pre", { class: "code", tabindex: "0", aria: { label: "JSON" } }, write(value))];
  const found = blocksOf(value);
  if (found) {
    const texts = found.map((block) => block.text ?? block.resource?.text).filter((each) => typeof each === "string");
    const isPlain = texts.every((each) => !isMarkdown(each));
    /** @type {View[]} */
    const rendered = isPlain ? [] : [["Markdown", () => blocks(value, true)]];
    return [["Content", () => blocks(value)], ...rendered, ["Tree", () => tree(value)], raw];
  }
  if (isObject(value) && value.truncated === true && typeof value.original_bytes === "number") {
    return [["Preview", () => truncated(value)], raw];
  }
  if (typeof value === "string") {
    /** @type {View[]} */
    const rendered = isMarkdown(value) ? [["Markdown", () => text(value, true)]] : [];
    return [["Text", () => text(value, false)], ...rendered, raw];
  }
  return [["Tree", () => tree(value)], raw];
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
    h("pre", { class: "code", tabindex: "0", aria: { label: "Preview" } }, preview),
  );
}
