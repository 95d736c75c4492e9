// Numbers and times in words.

/** A duration such as `3.4 ms` or `1.25 s`. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  if (value >= 100) return `${Math.round(value)} ms`;
  if (value >= 10) return `${value.toFixed(1)} ms`;
  return `${value.toFixed(2)} ms`;
}

/** How long a call has been running, in an element that goes on counting. */
export function elapsed({ latency_ms: soFar }) {
  const element = document.createElement("span");
  element.dataset.since = String(Date.now() - soFar);
  count(element);
  return element;
}

function count(element) {
  const text = milliseconds(Math.max(0, Date.now() - Number(element.dataset.since)));
  if (element.textContent !== text) element.textContent = text;
}

setInterval(() => document.querySelectorAll("[data-since]").forEach(count), 100);

/** A size such as `640 B` or `1.2 MiB`. */
export function bytes(value) {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(1)} KiB`;
  return `${(value / 1024 / 1024).toFixed(1)} MiB`;
}

/** The time of day, to the millisecond. */
export function clock(text) {
  const time = new Date(text);
  const two = (number) => String(number).padStart(2, "0");
  const fraction = String(time.getMilliseconds()).padStart(3, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${fraction}`;
}

/** How long ago something was, roughly. */
export function ago(text, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - Date.parse(text)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** How long something still lasts, such as `59 min 12 s`. */
export function left(seconds) {
  /** @type {[count: number, unit: string][]} */
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** The beginning of a text that is longer than that. */
export function clipped(text, length) {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** A number of things: `1 tool`, `3 tools`. */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** The subject of a link such as `#/call/lookup_order`, or `null`. A link that cannot be decoded is its own subject. */
export function subjectOf(hash) {
  const subject = hash.split("/").slice(2).join("/");
  try {
    return decodeURIComponent(subject) || null;
  } catch {
    return subject;
  }
}
