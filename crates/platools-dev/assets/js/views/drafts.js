// The input of each tool, its running call and its last answer, while the page is open.
//
// Calls run at the platform. What is kept here only says which of them belong to this page, also after a reload.

import * as api from "../api.js";
import { isRunning } from "../answer.js";
import { isObject } from "../json.js";
import { on, state } from "../state.js";

const KEY = "platools.running";

/**
 * @typedef {object} Draft
 * @property {string} [text] The arguments.
 * @property {{ id: number | null, latency_ms: number, started: number } | null} [running]
 * @property {any} [answer] The last call that is over.
 * @property {{ text: string, id?: number, isLeft?: boolean } | null} [problem] Why there is no answer.
 */

/** @type {Map<string, Draft>} */
const drafts = new Map();
const listeners = [];

/** The key of a tool's draft. */
export const keyOf = (tool, { entity, environment } = state.selected) => JSON.stringify([entity, environment, tool]);

/** @returns {Draft} */
export const draftOf = (key) => drafts.get(key) ?? {};

/**
 * Changes a draft. Listeners are told when anything but its text changes.
 * @param {string} key
 * @param {Draft} changes
 */
export function change(key, changes) {
  drafts.set(key, { ...draftOf(key), ...changes });
  if (Object.keys(changes).every((name) => name === "text")) return;
  remember();
  for (const listener of listeners) listener(key);
}

/** `listener` is called with the key of each draft whose call has changed. */
export const onDraft = (listener) => listeners.push(listener);

/** The running calls of this page, for after a reload. */
function remember() {
  const running = [...drafts].filter(([, draft]) => draft.running?.id).map(([key, draft]) => [key, draft.running.id]);
  sessionStorage.setItem(KEY, JSON.stringify(Object.fromEntries(running)));
}

/** Makes a call, of which `act` returns how it stands, and follows it to its end. */
export async function run(key, act) {
  const running = { id: null, latency_ms: 0, started: Date.now() };
  change(key, { running, problem: null });
  try {
    const call = await act();
    if (draftOf(key).running === running) take(key, call);
    // Somebody stopped waiting, or called again, before it was known by its number.
    else if (isRunning(call) && draftOf(key).problem?.isLeft) leave(key, call.id);
  } catch (error) {
    if (draftOf(key).running === running) change(key, { running: null, problem: { text: error.message } });
  }
}

/** Stops waiting for the call of a draft. It goes on, and the history keeps its answer. */
export function stopWaiting(key) {
  const id = draftOf(key).running?.id;
  if (id) leave(key, id);
  else change(key, { running: null, problem: { ...LEFT } });
}

const LEFT = {
  text: "No longer waiting. The call goes on at the host, and the history keeps its answer.",
  isLeft: true,
};

function leave(key, id) {
  change(key, { running: null, problem: { ...LEFT, id } });
  api.abandon(id).catch((error) => console.debug(error.message));
}

/** Shows how a call stands. */
function take(key, call) {
  if (!isRunning(call)) {
    change(key, { running: null, answer: call, problem: null });
    return;
  }
  const isKnown = draftOf(key).running?.id === call.id;
  const started = Date.now() - call.latency_ms;
  if (!isKnown) change(key, { running: { id: call.id, latency_ms: call.latency_ms, started } });
  // Its end may have been told of before its number was known.
  if (!isKnown) look(key);
}

/** Looks how the call of a draft stands. */
async function look(key) {
  const id = draftOf(key).running?.id;
  if (!id) return;
  try {
    const call = await api.getCall(id);
    if (draftOf(key).running?.id === id) take(key, call);
  } catch (error) {
    // A platform that is away is waited for; what is no longer kept has no end to be seen.
    if (error.status === 404) change(key, { running: null, problem: { text: error.message } });
  }
}

on("calls", ({ detail: id }) => {
  for (const [key, { running }] of drafts) if (running?.id && (id === null || running.id === id)) look(key);
});

/** Takes up the calls that ran when the page was loaded anew. */
export function resume() {
  const remembered = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  if (!isObject(remembered)) return;
  for (const [key, id] of Object.entries(remembered)) {
    drafts.set(key, { running: { id: Number(id), latency_ms: 0, started: Date.now() } });
    api.getCall(id).then(
      (call) => {
        // Numbers begin anew with another run of the platform.
        if (keyOf(call.tool, call) !== key) return change(key, { running: null });
        drafts.set(key, { ...draftOf(key), running: { id: null, latency_ms: 0, started: 0 } });
        return take(key, call);
      },
      () => change(key, { running: null }),
    );
  }
}
