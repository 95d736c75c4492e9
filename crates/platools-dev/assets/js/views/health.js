// How the host is doing: its connection, its heartbeats, its tools, and where the time of calls went.

import { isRunning } from "../answer.js";
import { fill, h } from "../dom.js";
import { ago, clock, milliseconds, plural } from "../format.js";
import { bars, beats, beginning, line } from "../plot.js";
import { on, seat, state } from "../state.js";
import { update } from "../update.js";

const TONES = { healthy: "good", degraded: "warn", down: "bad" };
const CALLS_SHOWN = 60;

export function createHealthView() {
  const figures = h("div", { class: "figures" });
  const pulse = h("div", { class: "card panel stack tight" });
  const calls = h("div", { class: "card panel stack tight" });
  const tools = h("div", { class: "card panel stack tight" });
  const element = h(
    "section",
    { class: "view page", aria: { label: "Health" } },
    h("header", {}, h("h1", {}, "Health")),
    h("div", { class: "stack" }, figures, pulse, calls, tools),
  );

  function draw() {
    if (element.hidden) return;
    const here = seat();
    if (!here) return;
    const { health } = state;
    const figure = (name, value, more) =>
      h(
        "div",
        { class: "card figure" },
        h("p", { class: "muted small" }, name),
        h("p", { class: "value number" }, value),
        h("p", { class: "muted small" }, more),
      );
    const { connection } = here;
    fill(
      figures,
      figure(
        "Connection",
        connection ? (connection.frozen ? "Frozen" : "Connected") : "None",
        connection ? `for ${ago(connection.since)}` : "no host",
      ),
      figure(
        "Heartbeats",
        health.heartbeats.toLocaleString("en"),
        health.beats.length > 0 ? `last ${ago(health.beats.at(-1))} ago` : "none yet",
      ),
      figure("Tools", here.tools.toLocaleString("en"), `${plural(here.registrations, "registration")} applied`),
      figure("Calls", Math.max(state.totals.made, state.totals.kept).toLocaleString("en"), callsInWords()),
    );
    fill(
      pulse,
      h("h2", {}, "Heartbeats"),
      health.beats.length > 0
        ? [
            beats(health.beats, Date.now()),
            h(
              "p",
              { class: "hint row between" },
              h("span", {}, clock(beginning(health.beats, Date.now())).slice(0, 8)),
              h("span", {}, "now"),
            ),
          ]
        : h(
            "p",
            { class: "muted" },
            "None came yet. A host sends one every 30 s unless PLATOOLS_HEARTBEAT_INTERVAL says otherwise.",
          ),
    );
    update(calls, [["calls", [state.history], drawCalls]]);
    update(tools, [["tools", [health], drawTools]]);
  }

  function callsInWords() {
    const over = state.history.filter((call) => !isRunning(call));
    const { running } = state.totals;
    const said = [
      running > 0 && `${running.toLocaleString("en")} running`,
      over.length > 0 &&
        `median ${milliseconds(median(over.map((call) => call.latency_ms)))} of the last ${over.length}`,
    ].filter(Boolean);
    return said.join(" · ") || "none yet";
  }

  function drawCalls() {
    const recent = state.history
      .filter((call) => !isRunning(call))
      .slice(0, CALLS_SHOWN)
      .reverse();
    return [
      h(
        "div",
        { class: "row between" },
        h("h2", {}, "Latency of the last calls"),
        h(
          "p",
          { class: "small muted row" },
          h("i", { class: "key handler" }),
          "handler",
          h("i", { class: "key wire" }),
          "wire and waiting",
        ),
      ),
      recent.length > 0
        ? [
            bars(recent),
            h(
              "p",
              { class: "hint" },
              `${milliseconds(Math.max(...recent.map((call) => call.latency_ms)))} at most. Click a bar to see the call.`,
            ),
          ]
        : h("p", { class: "muted" }, "No calls yet."),
    ];
  }

  function drawTools() {
    const known = Object.entries(state.health.tools);
    return [
      h("h2", {}, "Tools, as the host reports them"),
      known.length === 0
        ? h("p", { class: "muted" }, "The heartbeats have told nothing yet. A host reports a tool once it was called.")
        : h(
            "div",
            { class: "table" },
            h(
              "table",
              {},
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  ["Tool", "Status", "Average", "Over time", "Errors in an hour", "Last error"].map((title) =>
                    h("th", { scope: "col" }, title),
                  ),
                ),
              ),
              h(
                "tbody",
                {},
                known.map(([name, tool]) => row(name, tool)),
              ),
            ),
          ),
    ];
  }

  function row(name, { latest, samples }) {
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "mono" }, h("a", { href: `#/call/${encodeURIComponent(name)}` }, name)),
      h("td", {}, h("span", { class: `badge ${TONES[latest.status]}` }, latest.status)),
      h("td", { class: "number" }, `${latest.avg_latency_ms} ms`),
      h(
        "td",
        {},
        line(
          samples.map((sample) => sample.avg_latency_ms),
          `Average latency of ${name}: ${latest.avg_latency_ms} ms`,
        ),
      ),
      h("td", { class: "number" }, String(latest.error_count_1h)),
      h(
        "td",
        { class: "small error-cell" },
        latest.last_error
          ? h("span", { class: "bad-text", title: latest.last_error }, latest.last_error)
          : h("span", { class: "muted" }, "–"),
      ),
    );
  }

  for (const topic of ["seats", "health", "history", "selection"]) on(topic, draw);
  setInterval(draw, 1000);
  return { element, open: draw };
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}
