// The state of the page, and subscriptions to its changes.
//
// Topics: `seats` (entities and connections), `selection`, `tools`, `history`, `health`, `events`, `live`, and `calls`: a call
// ended, by its number in the history, or any call may have.

import * as api from "./api.js";
import { follow } from "./stream.js";
import { schedule } from "./update.js";

const EVENTS_KEPT = 500;
const SEAT_KEY = "platools.seat";
const topics = new EventTarget();

export const state = {
  live: "connecting",
  /** All seats: an entity in an environment each, as the API lists them. */
  seats: [],
  /** `{entity, environment}` of the seat that is looked at. */
  selected: null,
  /** The last calls of the selected seat, newest first, with those that run. */
  history: [],
  /** How many calls of the seat are kept, how many run, and how many were made since the platform started. */
  totals: { kept: 0, running: 0, made: 0 },
  health: { heartbeats: 0, beats: [], tools: {} },
  /** Events, newest first. */
  events: [],
};

export function on(topic, listener) {
  topics.addEventListener(topic, listener);
}

function tell(topic, detail) {
  topics.dispatchEvent(new CustomEvent(topic, { detail }));
}

/** The seat that is looked at, with its connection; `null` before the first answer. */
export function seat() {
  return state.seats.find((each) => isSelected(each)) ?? null;
}

export function isSelected({ entity, environment }) {
  return entity === state.selected?.entity && environment === state.selected?.environment;
}

export function select(entity, environment) {
  state.selected = { entity, environment };
  sessionStorage.setItem(SEAT_KEY, JSON.stringify(state.selected));
  state.history = [];
  state.totals = { kept: 0, running: 0, made: 0 };
  state.health = { heartbeats: 0, beats: [], tools: {} };
  tell("selection");
  tell("seats");
  refreshHistory();
  refreshHealth();
}

/** Runs a refresh; a platform that is away is already on the status line. */
function quietly(refresh) {
  return () => refresh().catch((error) => console.debug(error.message));
}

const loadSeats = quietly(async () => {
  const { entities, default: standard } = await api.listEntities();
  state.seats = entities.flatMap((entity) => entity.environments);
  const isThere = state.selected && seat();
  if (!isThere) {
    const remembered = JSON.parse(sessionStorage.getItem(SEAT_KEY) ?? "null");
    const known = state.seats.some(
      (each) => each.entity === remembered?.entity && each.environment === remembered?.environment,
    );
    const { entity, environment } = known ? remembered : standard;
    select(entity, environment);
  } else {
    tell("seats");
  }
});

const loadHistory = quietly(async () => {
  if (!state.selected) return;
  const selected = state.selected;
  const { calls, ...totals } = await api.listHistory(selected, { limit: 100 });
  if (selected !== state.selected) return;
  state.history = calls;
  state.totals = totals;
  tell("history");
});

const loadHealth = quietly(async () => {
  if (!state.selected) return;
  const selected = state.selected;
  const health = await api.hostHealth(selected);
  if (selected !== state.selected) return;
  state.health = health;
  tell("health");
});

const refreshSeats = () => schedule("seats", 40, loadSeats);
const refreshHistory = () => schedule("history", 120, loadHistory);
const refreshHealth = () => schedule("health", 120, loadHealth);
const refreshTools = () => schedule("tools", 120, () => tell("tools"));
const showEvents = () => schedule("events", 60, () => tell("events"));

/** The tools of calls, by call id, since an answer does not name its tool. */
const called = new Map();
const CALLS_REMEMBERED = 1000;

function happened(event) {
  if (event.type === "hello" || event.type === "missed") {
    if (event.complete) return;
    refreshSeats();
    refreshTools();
    refreshHistory();
    refreshHealth();
    tell("calls", null);
    return;
  }
  if (event.type === "called") {
    called.set(event.call_id, event.tool);
    if (called.size > CALLS_REMEMBERED) called.delete(called.keys().next().value);
  } else if (event.call_id) {
    event.tool = called.get(event.call_id);
  }
  state.events.unshift(event);
  state.events.length = Math.min(state.events.length, EVENTS_KEPT);
  showEvents();
  switch (event.type) {
    case "recorded":
      refreshHistory();
      tell("calls", event.id);
      break;
    case "abandoned":
    case "unexpected_answer":
      refreshHistory();
      break;
    case "heartbeat":
      refreshHealth();
      refreshSeats();
      break;
    case "registered":
      refreshTools();
      refreshSeats();
      break;
    case "called":
      refreshHistory();
      break;
    case "answered":
    case "timed_out":
      break;
    default:
      refreshSeats();
  }
}

/** Asks again for the calls that were made. */
export const reloadHistory = loadHistory;

/** Starts to follow the platform. */
export function start() {
  loadSeats();
  follow({
    onEvent: happened,
    onState: (live) => {
      state.live = live;
      tell("live");
    },
  });
}
