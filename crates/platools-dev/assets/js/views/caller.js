// As whom a call is made: user, agent, thread, tokens, and `_context`.

import { h } from "../dom.js";
import { isObject, parse } from "../json.js";
import { createSession } from "./session.js";

const KEY = "platools.caller";
/** The fields that are remembered. Tokens are not. */
const REMEMBERED = ["user", "agent", "thread", "context"];

/** `{element, read, load}`; `read` throws when `_context` is no object. */
export function createCaller() {
  const remembered = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  const inputs = {};
  const field = (name, label, placeholder, more = {}) => {
    const id = `caller-${name}`;
    inputs[name] = h(more.tag ?? "input", {
      id,
      type: more.tag ? undefined : (more.type ?? "text"),
      class: more.class,
      placeholder,
      autocomplete: "off",
      spellcheck: "false",
      rows: more.tag && 1,
      oninput: remember,
    });
    inputs[name].value = remembered[name] ?? "";
    return h(
      "div",
      { class: `field ${more.wide ? "wide" : ""}` },
      h("label", { class: "name", for: id }, label),
      inputs[name],
    );
  };
  const session = createSession(describe);
  const summary = h("span", { class: "muted small" });
  const element = h(
    "details",
    { class: "caller" },
    h("summary", {}, h("h2", { class: "minor" }, "Call as"), summary),
    h(
      "div",
      { class: "caller-fields" },
      field("user", "User", "user_dev"),
      field("agent", "Agent", "agent_dev"),
      field("thread", "Thread", "none"),
      field("user_token", "User token", "none", { type: "password" }),
      field("context", "_context", '{"source": "wire_test"}', {
        tag: "textarea",
        class: "growing mono",
        wide: true,
      }),
    ),
    session.element,
  );

  function remember() {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(REMEMBERED.map((name) => [name, inputs[name].value]))));
    describe();
  }

  function describe() {
    const claims = session.active()?.claims;
    // These are the session's then.
    for (const name of ["user", "user_token"]) inputs[name].disabled = Boolean(claims);
    inputs.agent.disabled = Boolean(claims?.agentId);
    const said = [
      claims ? `session of ${claims.userId}` : inputs.user.value || "user_dev",
      claims?.agentId || inputs.agent.value || "agent_dev",
      inputs.thread.value && `thread ${inputs.thread.value}`,
      (claims ? claims.userToken : inputs.user_token.value) && "with a user token",
      inputs.context.value.trim() && "with _context",
    ];
    summary.textContent = said.filter(Boolean).join(" · ");
  }
  describe();

  return {
    element,
    read() {
      const typed = (name) => inputs[name].value || undefined;
      let context;
      if (inputs.context.value.trim()) {
        try {
          context = parse(inputs.context.value);
        } catch {
          context = null;
        }
        if (!isObject(context)) {
          element.open = true;
          inputs.context.focus();
          throw new Error("_context must be a JSON object, or empty.");
        }
      }
      const { token, claims } = session.active() ?? {};
      const identity = token
        ? { session: token, agent: claims.agentId ? undefined : typed("agent") }
        : { user: typed("user"), agent: typed("agent"), user_token: typed("user_token") };
      return { ...identity, thread: typed("thread"), context };
    },
    /** Takes over who made an earlier call. */
    load(request) {
      session.leave();
      for (const name of ["user", "agent", "thread", "user_token"]) inputs[name].value = request[name] ?? "";
      inputs.context.value = request.context ? JSON.stringify(request.context, null, 2) : "";
      remember();
    },
  };
}
