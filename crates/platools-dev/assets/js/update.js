// Keyed updates: a part of the page is drawn anew only when its values change, and keeps its nodes otherwise, so that a
// focus, a selection or a click under way is not lost.

import { flat } from "./dom.js";

const drawn = new WeakMap();

/**
 * Makes the children of an element those of `parts`, in this order.
 *
 * A part is `[key, values, make]`: its nodes are made by `make`, and kept while one of its key has the same values. A
 * link that has the focus keeps it when its part is drawn anew.
 */
export function update(element, parts) {
  const before = drawn.get(element) ?? new Map();
  const now = new Map();
  for (const [key, values, make] of parts) {
    const old = before.get(key);
    now.set(key, old && isSame(old.values, values) ? old : { values, nodes: nodesOf(make()) });
  }
  drawn.set(element, now);
  const nodes = [...now.values()].flatMap((part) => part.nodes);
  const focused = element.contains(document.activeElement) && document.activeElement.getAttribute("href");
  const kept = new Set(nodes);
  for (const child of [...element.childNodes]) if (!kept.has(child)) child.remove();
  // A node that is in its place is not moved, since it would lose the focus.
  let next = element.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else element.insertBefore(node, next);
  }
  if (!focused || element.contains(document.activeElement)) return;
  for (const link of element.querySelectorAll("a")) if (link.getAttribute("href") === focused) link.focus();
}

function isSame(before, now) {
  return before.length === now.length && now.every((value, index) => Object.is(value, before[index]));
}

function nodesOf(made) {
  const fragment = document.createDocumentFragment();
  fragment.append(...flat([made]));
  return [...fragment.childNodes];
}

const waiting = new Set();

/** Runs an action after `milliseconds`; requests of the same key until then are answered by this one run. */
export function schedule(key, milliseconds, action) {
  if (waiting.has(key)) return;
  waiting.add(key);
  setTimeout(() => {
    waiting.delete(key);
    action();
  }, milliseconds);
}
