// The page as a whole: views, the bar at the top, and where links lead.

import { fill, h, svg } from "./dom.js";
import { ago, plural, subjectOf } from "./format.js";
import { on, seat, select, start, state } from "./state.js";
import { startTheme, toggleTheme } from "./theme.js";
import { update } from "./update.js";
import { createCallView } from "./views/call.js";
import { createEventsView } from "./views/events.js";
import { createFaultsView } from "./views/faults.js";
import { createHealthView } from "./views/health.js";
import { listen } from "./views/help.js";
import { createHistoryView } from "./views/history.js";

const call = createCallView();
const VIEWS = {
  call: { title: "Call", icon: "M5 4l14 8-14 8z", view: call },
  history: {
    title: "History",
    icon: "M12 7v5l3.5 2M12 21a9 9 0 1 0-9-9M3 5v4h4",
    view: createHistoryView({ load: call.load }),
  },
  health: { title: "Health", icon: "M3 12h4l2.5-7 5 14 2.5-7h4", view: createHealthView() },
  faults: {
    title: "Faults",
    icon: "M13 3 5 14h6l-1 7 8-11h-6z",
    view: createFaultsView({ draft: call.draft }),
  },
  events: { title: "Events", icon: "M4 6h16M4 12h16M4 18h10", view: createEventsView() },
};

const tabs = document.getElementById("tabs");
const main = document.getElementById("main");
const seats = /** @type {HTMLSelectElement} */ (document.getElementById("seat"));
const status = document.getElementById("status");
const banner = document.getElementById("banner");

for (const [name, { title, icon, view }] of Object.entries(VIEWS)) {
  const picture = svg(
    "svg",
    { viewBox: "0 0 24 24", class: "line-icon", "aria-hidden": "true" },
    svg("path", { d: icon }),
  );
  tabs.append(h("a", { href: `#/${name}`, data: { view: name } }, picture, title));
  view.element.hidden = true;
  main.append(view.element);
}

/** The view that is shown. */
let shown = null;

function route() {
  const [, name] = location.hash.split("/");
  const chosen = Object.hasOwn(VIEWS, name) ? name : "call";
  const isAnother = shown !== null && shown !== chosen;
  shown = chosen;
  for (const [other, { view }] of Object.entries(VIEWS)) view.element.hidden = other !== chosen;
  for (const link of /** @type {HTMLCollectionOf<HTMLElement>} */ (tabs.children)) {
    if (link.dataset.view === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[chosen].title} · platools playground`;
  VIEWS[chosen].view.open(subjectOf(location.hash));
  // What had the focus may be hidden now; the next Tab leads into the view.
  const focused = /** @type {HTMLElement} */ (document.activeElement);
  if (isAnother && (focused === document.body || !focused.checkVisibility())) main.focus({ preventScroll: true });
}

function drawSeats() {
  const value = (each) => JSON.stringify([each.entity, each.environment]);
  const text = (each) => `${each.entity} · ${each.environment}${each.connected ? "" : " (no host)"}`;
  update(
    seats,
    state.seats.map((each) => [value(each), [text(each)], () => h("option", { value: value(each) }, text(each))]),
  );
  const here = seat();
  if (here) seats.value = value(here);
  drawStatus();
}

function drawStatus() {
  const here = seat();
  if (!here) return;
  const { connection } = here;
  const [tone, text] = !connection
    ? ["warn", "no host"]
    : connection.frozen
      ? ["warn", "frozen"]
      : ["good", "connected"];
  const more = connection ? ` ${ago(connection.since)} · ${plural(here.tools, "tool")}` : "";
  update(status, [
    ["connection", [tone, text], () => [h("span", { class: `dot ${tone}` }), text]],
    ["more", [more], () => h("span", { class: "more" }, more)],
  ]);
  status.dataset.connected = String(Boolean(connection));
}

function drawBanner() {
  const isStranger = state.live === "stranger";
  banner.hidden = state.live === "live" || state.live === "connecting";
  if (banner.hidden) return;
  fill(
    banner,
    isStranger
      ? "The platform was started anew, and no longer knows this page: open the link that it printed."
      : "The platform does not answer. Trying again…",
    isStranger && h("button", { type: "button", class: "small", onclick: () => location.reload() }, "Reload"),
  );
}

seats.addEventListener("change", () => {
  const [entity, environment] = JSON.parse(seats.value);
  // Another entity has other tools.
  if (entity !== state.selected?.entity && location.hash.startsWith("#/call/")) location.hash = "#/call";
  select(entity, environment);
});
on("seats", drawSeats);
on("live", drawBanner);
window.addEventListener("hashchange", route);
setInterval(drawStatus, 5000);

const go = (name) => () => (location.hash = `#/${name}`);
listen({
  send: call.submit,
  t: toggleTheme,
  "/": () => {
    if (!location.hash.startsWith("#/call")) location.hash = "#/call";
    // At once, since what is hidden takes no focus.
    route();
    call.focusSearch();
  },
  1: go("call"),
  2: go("history"),
  3: go("health"),
  4: go("faults"),
  5: go("events"),
});

startTheme();
route();
start();
