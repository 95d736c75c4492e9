// Events, newest first.

import { fill, h } from "../dom.js";
import { clock, plural } from "../format.js";
import { isSelected, on, state } from "../state.js";

const ENDINGS = {
  closed_by_host: "closed by the host",
  closed_by_platform: "closed by the platform",
  cut: "cut without a close",
  frame_too_large: "cut: a frame was too large",
  broken: "broken",
};

/** An event in words: `[tone, title, details]`. */
function describe(event) {
  switch (event.type) {
    case "connected":
      return ["good", "Host connected", event.connection_id.slice(0, 8)];
    case "disconnected": {
      const close = event.code ? ` with ${event.code}${event.reason ? `, ${event.reason}` : ""}` : "";
      return [
        "bad",
        "Host disconnected",
        `${ENDINGS[event.ending]}${close}${event.problem ? `: ${event.problem}` : ""}`,
      ];
    }
    case "refused":
      return ["bad", "Connection refused", event.reason];
    case "registered":
      return ["good", "Tools registered", `${plural(event.count, "tool")}, ${changes(event)}`];
    case "throttled":
      return ["warn", "Registration throttled", `to be repeated in ${event.retry_after_ms / 1000} s`];
    case "registration_refused":
      return ["bad", "Registration refused", event.text];
    case "visibility":
      return event.visible
        ? ["good", "Agents see the tools", ""]
        : ["warn", "Agents do not see the tools", "until a host connects or registers"];
    case "heartbeat":
      return ["", "Heartbeat", event.tools > 0 ? `about ${plural(event.tools, "tool")}` : ""];
    case "called":
      return ["accent", event.over_http ? "Called over HTTP" : "Called", event.tool];
    case "answered":
      return [event.ok ? "good" : "warn", event.ok ? "Answered" : "Answered with an error", event.tool];
    case "timed_out":
      return ["warn", "Not answered in time", event.tool];
    case "abandoned":
      return ["warn", "Call abandoned: nobody waits for it", event.tool];
    case "recorded":
      return ["", "Call kept in the history", `number ${event.id}`];
    case "fault":
      return ["accent", "Fault injected", event.fault.replaceAll("_", " ")];
    case "secret_rotated":
      return ["accent", "Secret rotated", event.entity];
    case "unexpected_answer":
      return ["warn", "Answer that nobody waits for", event.tool];
    case "malformed_frame":
      return ["warn", "Unreadable frame from the host", event.problem];
    default:
      return ["", event.type, ""];
  }
}

function changes({ new_tools: added, updated, pruned }) {
  const counted = [
    [added, "new"],
    [updated, "changed"],
    [pruned, "gone"],
  ].filter(([count]) => count > 0);
  return counted.map(([count, what]) => `${count.toLocaleString("en")} ${what}`).join(", ") || "as before";
}

/**
 * The last events of the selected seat, as items of a list.
 * @param {number} limit
 * @param {(event: any) => boolean} [isWanted]
 */
export function timeline(limit, isWanted = () => true) {
  const isHere = (event) => event.environment === undefined || isSelected(event);
  const found = state.events.filter((event) => isHere(event) && isWanted(event)).slice(0, limit);
  if (found.length === 0) return [h("li", { class: "muted small" }, "Nothing has happened yet.")];
  return found.map((event) => {
    const [tone, title, details] = describe(event);
    return h(
      "li",
      { class: tone, data: { event: event.type } },
      h("span", { class: "dot" }),
      h("div", { class: "grow" }, h("p", {}, title), details && h("p", { class: "small muted" }, details)),
      h("time", { class: "small muted number", datetime: event.at }, clock(event.at)),
    );
  });
}

export function createEventsView() {
  const quiet = h("input", { type: "checkbox", id: "events-quiet", checked: true, onchange: draw });
  const list = h("ol", { class: "timeline wide" });
  const element = h(
    "section",
    { class: "view page", aria: { label: "Events" } },
    h(
      "header",
      {},
      h("div", {}, h("h1", {}, "Events"), h("p", {}, "All that happens at this entity, as it happens.")),
      h("label", { class: "row small muted", for: "events-quiet" }, quiet, "without heartbeats"),
    ),
    h("div", { class: "card panel" }, list),
  );

  function draw() {
    if (element.hidden) return;
    fill(
      list,
      timeline(200, (event) => event.type !== "recorded" && !(quiet.checked && event.type === "heartbeat")),
    );
  }

  on("events", draw);
  on("selection", draw);
  return { element, open: draw };
}
