// The frames of a call, as they were on the wire, with the pieces of the signature in their colours.

import { getFrame } from "./api.js";
import { copyButton, fill, h } from "./dom.js";
import { bytes } from "./format.js";
import { parse, write } from "./json.js";

/** Both frames. */
export function frames(call) {
  return h(
    "div",
    { class: "stack" },
    frame(call, "sent", "Sent to the host", call.sent, callPieces),
    call.reply
      ? frame(call, "reply", "Received", call.reply, (text) => [text])
      : h("p", { class: "note" }, "No frame came back in time."),
  );
}

function frame(call, side, title, { text, bytes: size, truncated }, pieces) {
  const code = h("pre", { class: "code", tabindex: "0", aria: { label: title } });
  const whole = () => (truncated ? getFrame(call.id, side) : text);
  let isPretty = false;
  const show = () => fill(code, isPretty ? pretty(text) : pieces(text), truncated && !isPretty && "…");
  const toggle = h("button", { type: "button", class: "small quiet" }, "Indent");
  toggle.addEventListener("click", () => {
    isPretty = !isPretty;
    toggle.textContent = isPretty ? "As on the wire" : "Indent";
    show();
  });
  const save = h(
    "button",
    {
      type: "button",
      class: "small quiet",
      onclick: async () => download(await whole(), `${side}-${call.id}.json`),
    },
    "Save",
  );
  show();
  return h(
    "section",
    { class: "stack tight" },
    h(
      "div",
      { class: "row" },
      h("h3", { class: "grow" }, title, " ", h("span", { class: "muted number" }, bytes(size))),
      !truncated && toggle,
      copyButton(whole, `the frame that was ${side === "sent" ? "sent" : "received"}`),
      save,
    ),
    code,
    truncated && h("p", { class: "hint" }, `Only the beginning is shown. Copy and Save give all ${bytes(size)}.`),
  );
}

function pretty(text) {
  try {
    return write(parse(text));
  } catch {
    return text;
  }
}

/** The frame of a call with its pieces marked. Our platform writes it in this order, always. */
function callPieces(text) {
  const name = text.indexOf('"tool_name":');
  const params = text.indexOf(',"params":', name);
  const envelope = text.lastIndexOf('"__platos":');
  if (name < 0 || params < 0 || envelope < 0) return [text];
  const nameStart = name + '"tool_name":'.length;
  const paramsStart = params + ',"params":'.length;
  return [
    text.slice(0, nameStart),
    mark("name", text.slice(nameStart, params)),
    text.slice(params, paramsStart),
    mark("arguments", text.slice(paramsStart, envelope)),
    ...envelopePieces(text.slice(envelope)),
  ];
}

function envelopePieces(text) {
  const pieces = [];
  let rest = text;
  for (const [member, piece] of [
    ["timestamp", "time"],
    ["nonce", "nonce"],
    ["signature", "signature"],
  ]) {
    const found = rest.match(new RegExp(`"${member}":("[^"]*")`));
    if (!found) continue;
    const start = found.index + found[0].length - found[1].length;
    pieces.push(rest.slice(0, start), mark(piece, found[1]));
    rest = rest.slice(start + found[1].length);
  }
  return [...pieces, rest];
}

/** A text in the colour of a piece. */
export function mark(piece, text) {
  return h("span", { class: `piece ${piece}` }, text);
}

function download(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
