// Small plots, drawn as SVG.

import { h, svg } from "./dom.js";
import { milliseconds } from "./format.js";
import { rove, stopAt } from "./roving.js";

const WIDTH = 220;
const HEIGHT = 40;

/** A line through some figures, the last one marked. */
export function line(figures, label) {
  if (figures.length === 0) return h("span", { class: "muted small" }, "no figures yet");
  const values = figures.length === 1 ? [figures[0], figures[0]] : figures;
  const top = Math.max(...values, 1);
  const x = (index) => 4 + (index * (WIDTH - 8)) / (values.length - 1);
  const y = (value) => HEIGHT - 4 - (value / top) * (HEIGHT - 8);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const end = values.length - 1;
  return svg(
    "svg",
    {
      class: "plot",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": label,
      preserveAspectRatio: "none",
    },
    svg("polygon", { points: `${x(0)},${HEIGHT} ${points.join(" ")} ${x(end)},${HEIGHT}`, class: "area" }),
    svg("polyline", { points: points.join(" "), class: "curve" }),
    svg("circle", { cx: x(end), cy: y(values[end]), r: 2.6, class: "end" }),
  );
}

/** A bar for each call, oldest first: the handler's part below, the wire's above. */
export function bars(calls) {
  const top = Math.max(...calls.map((call) => call.latency_ms), 1);
  const element = h(
    "div",
    {
      class: "bars",
      role: "group",
      aria: { label: `Latency of the last ${calls.length} calls, ${milliseconds(top)} at most` },
    },
    calls.map((call) => {
      const whole = h("a", {
        class: `bar ${call.outcome}`,
        href: `#/history/${call.id}`,
        title: `${call.tool}: ${milliseconds(call.latency_ms)}`,
        aria: { label: `${call.tool}: ${milliseconds(call.latency_ms)}` },
      });
      const handler = h("span", {});
      whole.style.height = `${Math.max(2, (100 * call.latency_ms) / top)}%`;
      handler.style.height = `${call.latency_ms > 0 ? Math.min(100, (100 * (call.handler_ms ?? 0)) / call.latency_ms) : 0}%`;
      whole.append(handler);
      return whole;
    }),
  );
  rove(element);
  stopAt(element, /** @type {HTMLElement | null} */ (element.lastElementChild));
  return element;
}

/** Where the line of time of these heartbeats begins: a minute ago, or with the first of them. */
export function beginning(times, now) {
  return Math.min(...times.map((time) => Date.parse(time)), now - 60_000);
}

/** Heartbeats on a line of time, so that a gap is seen. */
export function beats(times, now) {
  const marks = times.map((time) => Date.parse(time));
  const from = beginning(times, now);
  const span = now - from;
  return svg(
    "svg",
    {
      class: "plot beats",
      viewBox: `0 0 600 ${HEIGHT}`,
      role: "img",
      "aria-label": `${marks.length} heartbeats in ${Math.round(span / 1000)} seconds`,
      preserveAspectRatio: "none",
    },
    svg("line", { x1: 0, y1: HEIGHT / 2, x2: 600, y2: HEIGHT / 2, class: "axis" }),
    marks.map((mark) => {
      const x = 4 + ((mark - from) / span) * 592;
      return svg("line", { x1: x, y1: 8, x2: x, y2: HEIGHT - 8, class: "beat" });
    }),
  );
}
