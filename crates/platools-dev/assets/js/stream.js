// The stream of events, read with `fetch`, which sends the headers that the page is known by, and resumed where it broke.

import { identity } from "./api.js";

const LONGEST_PAUSE = 5000;
/** How many events of before a page begins with. */
const RECENT = 500;

/** Follows the events for ever. `onState` gets `live`, `lost`, or `stranger` when the platform is another run. */
export async function follow({ onEvent, onState }) {
  let lastId = null;
  let failures = 0;
  for (;;) {
    await seen();
    const { signal, release } = untilHidden();
    try {
      const headers = identity({ Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) });
      const response = await fetch(`/api/v1/events?recent=${RECENT}`, { headers, signal, cache: "no-store" });
      if (response.status === 401) {
        onState("stranger");
        return;
      }
      if (!response.ok) throw new Error(`the platform answered ${response.status}`);
      onState("live");
      failures = 0;
      for await (const event of read(response.body)) {
        lastId = event.id ?? lastId;
        if (event.data) onEvent(JSON.parse(event.data));
      }
    } catch {
      // Whatever broke it, the answer is the same.
    } finally {
      release();
    }
    if (signal.aborted) continue;
    onState("lost");
    failures += 1;
    const pause = Math.min(LONGEST_PAUSE, 250 * 2 ** failures);
    await new Promise((resolve) => setTimeout(resolve, pause / 2 + (Math.random() * pause) / 2));
  }
}

/**
 * Waits until somebody can see the page. A browser opens six connections to one platform and no more: pages that nobody
 * looks at must not hold them all, and come back to where they were.
 */
function seen() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/** A signal for when nobody can see the page any more; `release` ends the watching. */
function untilHidden() {
  const leaving = new AbortController();
  const look = () => document.hidden && leaving.abort();
  document.addEventListener("visibilitychange", look);
  return { signal: leaving.signal, release: () => document.removeEventListener("visibilitychange", look) };
}

/** The events in a body, as `{id, data}`. */
async function* read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) yield fields(event);
  }
}

function fields(event) {
  const found = {};
  for (const line of event.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) found[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return found;
}
