// The API of the platform. The page is known by a cookie, and by a key that goes into a header.

import { parse } from "./json.js";

const ROOT = "/api/v1";
/**
 * How long a response waits for the end of a call; the events tell of that when it takes longer. A browser opens six
 * connections to one platform, and calls that run must not hold them all.
 */
const WAIT_MS = 400;
/** Where the key of the page is: no page of another port, which would get the cookie, reaches it. */
const KEY = "platools.page";

/** Headers that every request carries. */
export function identity(more = {}) {
  return { "X-Platools-Page": localStorage.getItem(KEY) ?? "", ...more };
}

/** Opens the page with `{link}`, the key of a link, or `{token}`, the API token. */
export async function enter(opening) {
  const { key } = await post("/page", opening);
  localStorage.setItem(KEY, key);
}

/** Whether the platform knows this page. */
export async function isKnown() {
  if (!localStorage.getItem(KEY)) return false;
  try {
    await get("/page");
    return true;
  } catch (error) {
    // A platform that is away is waited for.
    return error.status !== 401;
  }
}

/** An error of the API. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/**
 * Asks the API; `read` makes the result out of the answer's text.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: string, signal?: AbortSignal, more?: Record<string, string>, read?: (text: string) => any }} [options]
 */
async function request(method, path, { body, signal, more, read = plainly } = {}) {
  const headers = identity(body === undefined ? {} : { "Content-Type": "application/json", ...more });
  let response;
  try {
    response = await fetch(ROOT + path, { method, headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The platform does not answer. Is it still running?");
  }
  const text = await response.text();
  if (!response.ok) {
    let problem = {};
    try {
      problem = JSON.parse(text).error;
    } catch {
      // Not from the platform itself.
    }
    throw new ApiError(
      response.status,
      problem.code ?? "unknown",
      problem.message ?? `The platform answered ${response.status}.`,
    );
  }
  return read(text);
}

const plainly = (text) => (text === "" ? null : JSON.parse(text));

/** A call, in which the values that are not the platform's own keep their numbers as they are written. */
function asCall(text) {
  const call = JSON.parse(text);
  const exact = parse(text);
  call.result = exact.result;
  if (call.request) call.request.context = exact.request.context;
  return call;
}

const get = (path, options) => request("GET", path, options);
const post = (path, body, options) =>
  request("POST", path, { ...options, body: typeof body === "string" ? body : JSON.stringify(body) });
const seatPath = ({ entity, environment }) =>
  `/entities/${encodeURIComponent(entity)}/${encodeURIComponent(environment)}`;

export const listEntities = () => get("/entities");
export const showToken = () => get("/token");
export const showSecret = (entity) => get(`/entities/${encodeURIComponent(entity)}/secret`);
export const rotateSecret = (entity) => post(`/entities/${encodeURIComponent(entity)}/secret`, {});
export const hostHealth = (seat) => get(`${seatPath(seat)}/health`);
export const getTool = (seat, name) => get(`${seatPath(seat)}/tools/${encodeURIComponent(name)}`);
export const inject = (seat, fault) => post(`${seatPath(seat)}/faults`, fault);
export const getCall = (id) => get(`/history/${id}`, { read: asCall });
export const getFrame = (id, side) => get(`/history/${id}/frames/${side}`, { read: (text) => text });
export const replay = (id, mode) => post(`/history/${id}/replay`, { mode, wait_ms: WAIT_MS }, { read: asCall });
export const abandon = (id) => post(`/history/${id}/abandon`, {});
export const clearHistory = () => request("DELETE", "/history");

export function listTools(seat, search, offset, limit, signal) {
  const query = new URLSearchParams({ search, offset, limit });
  return get(`${seatPath(seat)}/tools?${query}`, { signal });
}

/**
 * The last calls, or those before the call with the number `before`.
 * @param {{ entity: string, environment: string }} seat
 * @param {{ limit?: number, before?: number }} [options]
 */
export function listHistory(seat, { limit = 50, before } = {}) {
  const query = new URLSearchParams(/** @type {any} */ ({ ...seat, limit }));
  if (before !== undefined) query.set("before", /** @type {any} */ (before));
  return get(`/history?${query}`);
}

/** A session token for a user, as the platform's own mint makes them. */
export const mintSession = ({ entity, environment }, wanted) =>
  post(`/entities/${encodeURIComponent(entity)}/session-tokens`, { environmentId: environment, ...wanted });

/** @typedef {{ tool: string, argumentsText: string, [member: string]: any }} CallRequest */

/**
 * Calls a tool, perhaps by a session token. The text of the arguments is sent exactly as it is. What is returned still
 * runs if it takes long, unless `isWhole`.
 * @param {{ entity: string, environment: string }} seat
 * @param {CallRequest} request
 * @param {boolean} [isWhole]
 */
export function call(seat, { session, options, ...request }, isWhole = false) {
  const more = session && { "X-Platos-Session-Token": session };
  const body = callBody({ ...request, options: isWhole ? options : { ...options, wait_ms: WAIT_MS } });
  return post(`${seatPath(seat)}/calls`, body, { more, read: asCall });
}

/**
 * The body of a call, with the arguments exactly as written.
 * @param {CallRequest} request
 */
export function callBody({ tool, argumentsText, ...rest }) {
  const members = [`"tool":${JSON.stringify(tool)}`, `"arguments":${argumentsText}`];
  for (const [name, value] of Object.entries(rest)) {
    if (value !== undefined) members.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  }
  return `{${members.join(",")}}`;
}

/** The path of a seat's calls, for those who ask without this page. */
export const callsUrl = (seat) => `${location.origin}${ROOT}${seatPath(seat)}/calls`;
