// Fault injection at the push of a button, beside the host's reaction.

import * as api from "../api.js";
import { confirmed, isDestructive, mayCall, mayRepeat } from "../confirm.js";
import { fill, h, toast } from "../dom.js";
import { refusalOfReplay } from "../signature.js";
import { on, seat, state } from "../state.js";
import { timeline } from "./events.js";

const TAMPERS = [
  ["arguments", "a byte of the arguments", "signature_mismatch"],
  ["tool_name", "the tool's name", "signature_mismatch"],
  ["timestamp", "the timestamp", "signature_mismatch"],
  ["nonce", "the nonce", "signature_mismatch"],
  ["signature", "a digit of the signature", "signature_mismatch"],
  ["unsigned", "the signature left out", "signature_missing"],
  ["call_id", "the call id", "call_id_mismatch"],
  ["scope", "the entity", "scope_mismatch"],
];

/** `draft` returns the call that stands in the form, if any. */
export function createFaultsView({ draft }) {
  const notice = h("div", { class: "fault-notice", role: "status" });
  const events = h("ol", { class: "timeline" });
  const frozen = h("button", { type: "button" });
  const ignoring = h("button", { type: "button" });
  const buttons = [];
  const element = h(
    "section",
    { class: "view page", aria: { label: "Faults" } },
    h(
      "header",
      {},
      h(
        "div",
        {},
        h("h1", {}, "Faults"),
        h("p", {}, "What goes wrong in production, made to go wrong here. Watch the host cope."),
      ),
    ),
    h(
      "div",
      { class: "faults" },
      h(
        "div",
        { class: "stack" },
        notice,
        section(
          "The connection",
          card(
            "Drop",
            "The TCP connection breaks without a word. The host reconnects, with a growing pause.",
            act("Drop", { fault: "drop" }),
          ),
          card(
            "Freeze",
            "The connection stays open, and nothing moves. The host notices after two heartbeats.",
            frozen,
          ),
          card(
            "Supersede",
            "Another host took the place. A good host stands by for a while instead of fighting.",
            act("Supersede", { fault: "supersede" }),
          ),
          card(
            "Go away",
            "The platform is deployed anew: close 1001. The host is back within seconds.",
            act("Go away", { fault: "going_away" }),
          ),
          card(
            "Ignore heartbeats",
            "Heartbeats stay without acknowledgement. The host gives the connection up as dead.",
            ignoring,
          ),
          card(
            "Throttle",
            "The next registration is refused, and the connection dropped so that the host registers again.",
            throttle(),
          ),
          card(
            "Refuse",
            "The next registration is refused with tool_register failed, and the connection dropped so that the host registers again.",
            refuse(),
          ),
        ),
        section(
          "The secret and the calls",
          card(
            "Rotate",
            "A new secret, and 4001 to every connection. A host that reads its secret anew comes back; others need the new one.",
            rotate(),
          ),
          card(
            "Tamper",
            "A call is changed after it was signed. The host has to refuse it, with the right reason.",
            tamper(),
          ),
          card(
            "Replay",
            "The last call once more, byte for byte. The host has to refuse it as nonce_replay.",
            replay(),
          ),
          card(
            "Garbage",
            "A frame that is no JSON. The host counts it, and goes on.",
            act("Send garbage", { fault: "send_text", text: "{not json" }),
          ),
        ),
      ),
      h(
        "section",
        { class: "card panel watch", tabindex: "0", aria: { label: "What happens" } },
        h("h2", {}, "What happens"),
        events,
      ),
    ),
  );

  function section(title, ...cards) {
    return h("section", { class: "stack tight" }, h("h2", {}, title), h("div", { class: "fault-cards" }, cards));
  }

  function card(title, text, control) {
    return h(
      "div",
      { class: "card fault", data: { fault: title } },
      h("h3", {}, title),
      h("p", { class: "muted small" }, text),
      control,
    );
  }

  /** Does something, and tells when it cannot be done. */
  async function attempt(action) {
    try {
      return await action();
    } catch (error) {
      toast(error.message);
      return null;
    }
  }

  function act(label, fault) {
    const button = h(
      "button",
      { type: "button", onclick: () => attempt(() => api.inject(state.selected, fault)) },
      label,
    );
    buttons.push(button);
    return button;
  }

  frozen.addEventListener("click", () =>
    attempt(() => api.inject(state.selected, { fault: seat()?.connection?.frozen ? "thaw" : "freeze" })),
  );
  ignoring.addEventListener("click", () =>
    attempt(() => api.inject(state.selected, { fault: "ignore_heartbeats", ignore: !seat()?.ignores_heartbeats })),
  );

  function throttle() {
    const wait = h(
      "select",
      { aria: { label: "Wait" } },
      [
        ["1000", "for 1 s"],
        ["5000", "for 5 s"],
        ["20000", "for 20 s"],
      ].map(([value, text]) => h("option", { value }, text)),
    );
    const go = async () => {
      await api.inject(state.selected, {
        fault: "throttle",
        declarations: 1,
        retry_after_ms: Number(wait.value),
      });
      await api.inject(state.selected, { fault: "drop" });
    };
    const button = h("button", { type: "button", onclick: () => attempt(go) }, "Throttle");
    buttons.push(button);
    return h("div", { class: "row" }, button, wait);
  }

  function refuse() {
    const text = h(
      "select",
      { aria: { label: "With which text" } },
      ["entity_not_found_in_scope", "duplicate_tool_name:add", "tool_name_required", "database is locked"].map(
        (value) => h("option", { value }, value),
      ),
    );
    const go = async () => {
      await api.inject(state.selected, { fault: "refuse_registrations", declarations: 1, text: text.value });
      await api.inject(state.selected, { fault: "drop" });
    };
    const button = h("button", { type: "button", onclick: () => attempt(go) }, "Refuse");
    buttons.push(button);
    return h("div", { class: "row" }, button, text);
  }

  function rotate() {
    const shown = h("pre", { class: "code", hidden: true, tabindex: "0", aria: { label: "The new secret" } });
    const go = async () => {
      const { entity } = state.selected;
      const hosts = state.seats.filter((each) => each.entity === entity && each.connected).length;
      const isMeant = await confirmed({
        title: `Rotate the secret of ${entity}?`,
        text: `The secret of now is gone for good, in all environments, and ${hosts === 1 ? "the host that is connected has" : `${hosts} hosts that are connected have`} to leave. A host with the secret in its environment needs the new one and a restart.`,
        action: "Rotate it",
      });
      if (!isMeant) return;
      const answered = await attempt(() => api.rotateSecret(entity));
      if (!answered) return;
      fill(shown, `export PLATOS_SECRET='${answered.secret}'`);
      shown.hidden = false;
    };
    return h(
      "div",
      { class: "stack tight" },
      h("div", {}, h("button", { type: "button", class: "danger", onclick: go }, "Rotate the secret")),
      shown,
    );
  }

  function tamper() {
    const kind = h(
      "select",
      { aria: { label: "What is changed" } },
      TAMPERS.map(([value, text]) => h("option", { value }, text)),
    );
    const verdict = h("p", { class: "verdict small", role: "status" });
    const go = async () => {
      const call = await subject();
      if (!call) return toast("Choose a tool first, under Call");
      const { tool, argumentsText } = call;
      // A host that does not verify runs it.
      if (!(await mayCall({ tool, argumentsText, seat: state.selected, how: "Send tampered" }))) return;
      const expected = TAMPERS.find(([value]) => value === kind.value)[2];
      judge(
        verdict,
        await api.call(
          state.selected,
          { tool: tool.name, argumentsText, options: { tamper: kind.value, timeout_ms: 10_000 } },
          true,
        ),
        expected,
      );
    };
    const button = h("button", { type: "button", onclick: () => attempt(go) }, "Send a tampered call");
    buttons.push(button);
    return h("div", { class: "stack tight" }, h("div", { class: "row" }, button, kind), verdict);
  }

  function replay() {
    const verdict = h("p", { class: "verdict small", role: "status" });
    const go = async () => {
      const last = state.history[0];
      if (last && !(await mayRepeat(last, "Replay"))) return;
      const { call } = await api.inject(state.selected, { fault: "replay_last" });
      const { reason, why } = refusalOfReplay(call);
      judge(verdict, call, reason, why);
    };
    const button = h("button", { type: "button", onclick: () => attempt(go) }, "Replay the last call");
    buttons.push(button);
    return h("div", { class: "stack tight" }, h("div", {}, button), verdict);
  }

  /** The call in the form, or else one of a tool that does no harm if there is one. */
  async function subject() {
    const drafted = draft();
    if (drafted) return drafted;
    const { tools } = await api.listTools(state.selected, "", 0, 100);
    const isHarmless = (tool) => tool.annotations?.readOnlyHint === true;
    const tool = tools.find(isHarmless) ?? tools.find((each) => !isDestructive(each)) ?? tools[0];
    return tool ? { tool, argumentsText: "{}" } : null;
  }

  function judge(place, call, expected, why) {
    const reason = call.message?.match(/^[a-z_]+/)?.[0];
    const isRight = call.outcome === "error" && reason === expected;
    const text =
      call.outcome === "result"
        ? "The host ran it. It does not verify calls."
        : call.outcome === "timed_out"
          ? "The host did not answer."
          : isRight
            ? `Refused: ${call.message}`
            : `Refused, but not as ${expected}: ${call.message}`;
    fill(
      place,
      h("span", { class: `badge ${isRight ? "good" : "bad"}` }, isRight ? "as it should" : "wrong"),
      h("a", { href: `#/history/${call.id}` }, text),
      isRight && why && h("span", { class: "muted" }, ` ${why}`),
    );
  }

  function drawSeat() {
    const here = seat();
    if (!here) return;
    const { connection } = here;
    for (const button of [...buttons, frozen]) button.disabled = !connection;
    frozen.textContent = connection?.frozen ? "Thaw" : "Freeze";
    frozen.classList.toggle("primary", connection?.frozen === true);
    ignoring.textContent = here.ignores_heartbeats ? "Acknowledge again" : "Ignore";
    ignoring.classList.toggle("primary", here.ignores_heartbeats);
    const [tone, text] = !connection
      ? ["bad", "No host is connected"]
      : connection.frozen
        ? ["warn", "Connected, and frozen"]
        : here.ignores_heartbeats
          ? ["warn", "Connected; heartbeats are ignored"]
          : ["good", "A host is connected"];
    fill(
      notice,
      h(
        "p",
        { class: `note row ${tone === "good" ? "" : tone}` },
        h("span", { class: `dot ${tone} ${tone === "bad" ? "pulse" : ""}` }),
        `${text} as ${here.entity} in ${here.environment}.`,
      ),
    );
  }

  function drawEvents() {
    if (element.hidden) return;
    fill(
      events,
      timeline(40, (event) => event.type !== "recorded"),
    );
  }

  on("seats", drawSeat);
  on("events", drawEvents);
  const draw = () => {
    drawSeat();
    drawEvents();
  };
  on("selection", draw);
  drawSeat();
  return { element, open: draw };
}
