// How the signature of a call comes about, step by step, with this call's own pieces.

import { copyButton, h } from "./dom.js";
import { bytes } from "./format.js";
import { mark } from "./frames.js";

const TAMPERED = {
  arguments: "The arguments were changed after signing.",
  tool_name: "The tool's name was changed after signing.",
  timestamp: "The timestamp was changed after signing.",
  nonce: "The nonce was changed after signing.",
  signature: "A digit of the signature was changed.",
  unsigned: "The signature was taken out.",
  call_id:
    "The call id in the envelope was changed, which the signature does not cover: the host compares it with the frame's.",
  scope:
    "The entity in the envelope was changed, which the signature does not cover: the host compares it with its welcome.",
};

/** The explanation for one call. */
export function explain(call) {
  const { signature } = call;
  if (!signature) return h("p", { class: "note" }, "The frame of this call is not readable.");
  const { timestamp, nonce, tool_name: name, arguments: args, signed_text: signed } = signature;
  const cut = (text) => (text.truncated ? `${text.text}…` : text.text);
  return h(
    "div",
    { class: "stack explained" },
    verdict(call, signature),
    h(
      "dl",
      { class: "pieces" },
      piece(
        "time",
        "timestamp",
        timestamp ?? "missing",
        "When the call was signed. A host refuses what is older than five minutes.",
      ),
      piece(
        "nonce",
        "nonce",
        nonce ?? "none: the legacy form",
        "New for each call. A host remembers it and refuses it the second time.",
      ),
      piece("name", "name", name, "The tool, as JSON."),
      piece(
        "arguments",
        "arguments",
        cut(args),
        `The exact ${bytes(args.bytes)} of params without __platos, and so with _context. Spaces and spelling count.`,
      ),
    ),
    h(
      "section",
      { class: "stack tight" },
      h(
        "div",
        { class: "row" },
        h("h3", { class: "grow" }, "The text that is signed"),
        copyButton(() => signed.text, "the signed text"),
      ),
      h(
        "pre",
        { class: "code", tabindex: "0", aria: { label: "The text that is signed" } },
        timestamp && [mark("time", timestamp), "."],
        nonce && [mark("nonce", nonce), "."],
        '{"method":"tools/call","params":{"name":',
        mark("name", name),
        ',"arguments":',
        mark("arguments", cut(args)),
        "}}",
      ),
    ),
    h(
      "section",
      { class: "stack tight" },
      h("h3", {}, "HMAC-SHA256 of it, keyed with the service secret, in hexadecimal"),
      h("pre", { class: "code" }, signature.signature ? mark("signature", signature.signature) : "missing"),
    ),
    h(
      "p",
      { class: "hint" },
      "Not covered: the user, the agent, the thread and the tokens in __platos. A tool that must know the user verifies the user token itself.",
    ),
  );
}

/** How old a call may be, unless the host says otherwise. */
const SKEW_MS = 300_000;

/**
 * As what a host has to refuse a frame that it had before, and why if that is not `nonce_replay`: it looks at the time
 * and at the signature first.
 */
export function refusalOfReplay({ at, tamper, signature, message }) {
  const tamperedBefore =
    "The frame was tampered with the first time already. A host looks at the signature before the nonce, so this refusal is right, too.";
  if (tamper === "unsigned") return { reason: "signature_missing", why: tamperedBefore };
  if (Date.parse(at) - Date.parse(signature?.timestamp) > SKEW_MS)
    return {
      reason: "timestamp_skew_exceeded",
      why: "The frame is more than five minutes old. A host looks at that before the nonce, so this refusal is right, too.",
    };
  if (tamper && tamper !== "call_id" && tamper !== "scope")
    return { reason: "signature_mismatch", why: tamperedBefore };
  if (signature && !signature.valid)
    return {
      reason: "signature_mismatch",
      why: "The frame was signed before the secret was rotated, so its signature no longer fits. A host looks at that before the nonce, so this refusal is right, too.",
    };
  if (message?.startsWith("signed_before_restart:"))
    return {
      reason: "signed_before_restart",
      why: "The host has restarted since. It does not know what it ran before, and refuses everything that was signed then.",
    };
  return { reason: "nonce_replay", why: null };
}

function verdict(call, { valid, signature }) {
  const tampered = TAMPERED[call.tamper];
  if (valid) {
    const text = tampered
      ? `The signature itself fits. ${tampered}`
      : call.repeated
        ? "The signature fits: it is a copy of an earlier call, which only the nonce gives away."
        : "The signature fits the entity's secret.";
    return h("p", { class: `note ${tampered || call.repeated ? "warn" : ""}` }, text);
  }
  const why = tampered ?? (signature ? "The secret has been rotated since." : "There is no signature.");
  return h("p", { class: "note bad" }, `The signature does not fit. ${why}`);
}

function piece(kind, name, value, meaning) {
  return [
    h("dt", {}, mark(kind, name)),
    h("dd", {}, h("code", { class: "value", tabindex: "0" }, value), h("p", { class: "hint" }, meaning)),
  ];
}
