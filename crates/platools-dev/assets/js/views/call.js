// Calling a tool: its description, its form, and the answer.

import * as api from "../api.js";
import { answer } from "../answer.js";
import { fill, h, toast } from "../dom.js";
import { createForm } from "../form/form.js";
import { milliseconds, subjectOf } from "../format.js";
import { isSelected, on, seat, select, state } from "../state.js";
import { copyMenu } from "./copy-menu.js";
import { createCaller } from "./caller.js";
import { connectCard } from "./connect.js";
import { createToolList } from "./tools.js";

/** What was typed for each tool, and what it answered, while the page is open. */
const drafts = new Map();

export function createCallView() {
  const tools = createToolList();
  const caller = createCaller();
  const desk = h("div", { class: "desk" });
  const element = h(
    "section",
    { class: "view call-view", aria: { label: "Call a tool" } },
    tools.element,
    desk,
  );
  let tool = null;
  let form = null;
  let pending = null;
  /** Counts what was opened, so that an answer that comes late is left alone. */
  let turn = 0;
  const draftKey = (name) => JSON.stringify([state.selected, name]);

  async function open(name) {
    turn += 1;
    const mine = turn;
    tools.mark(name);
    element.classList.toggle("with-tool", Boolean(name));
    if (!name) {
      tool = null;
      form = null;
      showNothing();
      return;
    }
    if (!state.selected) return;
    let found;
    try {
      found = await api.getTool(state.selected, name);
    } catch (error) {
      if (mine !== turn) return;
      tool = null;
      delete desk.dataset.situation;
      fill(
        desk,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, "This tool is not there"),
          h("p", { class: "muted" }, error.message),
          h("a", { href: "#/call" }, "All tools"),
        ),
      );
      return;
    }
    if (mine !== turn) return;
    if (JSON.stringify(found) === JSON.stringify(tool) && desk.querySelector(".work")) return;
    tool = found;
    showTool();
  }

  function showNothing() {
    const here = seat();
    const situation = here
      ? JSON.stringify([here.entity, here.environment, here.connected, here.callback_url, here.tools > 0])
      : "";
    // Drawn anew only for another situation, so that nothing is lost under somebody's hands.
    if (desk.dataset.situation === situation && desk.childElementCount > 0) return undefined;
    desk.dataset.situation = situation;
    if (!here) return fill(desk);
    if ((here.connected || here.callback_url) && here.tools > 0) {
      return fill(
        desk,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, "Choose a tool"),
          h("p", { class: "muted" }, "Pick one from the list, or press ", h("kbd", {}, "/"), " to search."),
          h("p", { class: "muted" }, "The form comes from the tool's schema; the answer stands beside it."),
        ),
      );
    }
    if (here.connected) {
      return fill(
        desk,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, "The host is connected, and has no tools"),
          h("p", { class: "muted" }, "They appear here as soon as it declares some."),
        ),
      );
    }
    return fill(desk, connectCard(here));
  }

  function showTool() {
    delete desk.dataset.situation;
    const draft = drafts.get(draftKey(tool.name));
    form = createForm(tool.input_schema, () =>
      drafts.set(draftKey(tool.name), { ...drafts.get(draftKey(tool.name)), text: form?.text() }),
    );
    if (draft?.text !== undefined) form.load(draft.text);
    else form.clear();
    const send = h(
      "button",
      { type: "submit", class: "primary", id: "send" },
      "Send ",
      h("kbd", { aria: { hidden: "true" } }, "Ctrl ↵"),
    );
    const clear = h("button", { type: "button", class: "quiet", onclick: () => form.clear() }, "Clear");
    const problem = h("p", { class: "note bad", role: "alert", hidden: true });
    const work = h(
      "form",
      { class: "work card", onsubmit: (event) => (event.preventDefault(), submit(problem)) },
      header(),
      form.element,
      caller.element,
      problem,
      h("div", { class: "send-row row" }, send, clear),
    );
    const outcome = h(
      "section",
      { class: "outcome card", id: "outcome", aria: { label: "Answer", live: "polite" } },
      draft?.answer ? shown(draft.answer) : waiting(),
    );
    fill(desk, h("a", { class: "back", href: "#/call" }, "‹ All tools"), work, outcome);
  }

  function header() {
    const { annotations = {}, auth, roles = [] } = tool;
    const badges = [
      auth && auth !== "none" && ["", `auth: ${auth}`],
      ...roles.map((role) => ["", role]),
      annotations.category && ["accent", annotations.category],
      annotations.readOnlyHint && ["good", "read only"],
      annotations.destructiveHint && ["bad", "destructive"],
      annotations.idempotentHint && ["", "idempotent"],
    ].filter(Boolean);
    return h(
      "header",
      { class: "tool-head stack tight" },
      h(
        "div",
        { class: "row" },
        h("h1", { class: "mono" }, tool.name),
        badges.map(([tone, text]) => h("span", { class: `badge ${tone}` }, text)),
      ),
      h("p", { class: "tool-description" }, tool.description),
      tool.output_schema &&
        h(
          "details",
          { class: "small" },
          h("summary", { class: "muted" }, "What it answers with"),
          h("pre", { class: "code" }, JSON.stringify(tool.output_schema, null, 2)),
        ),
    );
  }

  const waiting = () =>
    h(
      "div",
      { class: "empty small" },
      h(
        "p",
        { class: "muted" },
        "The answer appears here: the result, where the time went, the frames, and how the signature was made.",
      ),
    );

  async function submit(problem, options) {
    problem.hidden = true;
    form.reveal();
    let request;
    try {
      if (form.problem()) throw new Error(form.problem());
      request = { tool: tool.name, argumentsText: form.text(), ...caller.read(), options };
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      return;
    }
    await run(request.tool, (signal) => api.call(state.selected, request, signal));
  }

  /** Runs something that ends with a call, and shows how long it takes meanwhile. */
  async function run(name, act) {
    pending?.abort();
    pending = new AbortController();
    const mine = pending;
    const start = performance.now();
    const time = h("span", { class: "number" }, "0 ms");
    const ticking = setInterval(() => (time.textContent = milliseconds(performance.now() - start)), 50);
    const stop = h("button", { type: "button", class: "small", onclick: () => mine.abort() }, "Stop waiting");
    show(
      h(
        "div",
        { class: "row between", aria: { busy: "true" } },
        h("p", { class: "row" }, h("span", { class: "dot warn pulse" }), "Waiting for the host… ", time),
        stop,
      ),
    );
    try {
      const call = await act(mine.signal);
      drafts.set(draftKey(name), { ...drafts.get(draftKey(name)), answer: call });
      if (tool?.name === name) show(shown(call));
    } catch (error) {
      if (mine !== pending) return;
      show(
        error.name === "AbortError"
          ? h("p", { class: "note" }, "No longer waiting.")
          : h("p", { class: "note bad" }, error.message),
      );
    } finally {
      clearInterval(ticking);
    }
  }

  function show(...children) {
    const outcome = desk.querySelector(".outcome");
    if (!outcome) return;
    fill(outcome, ...children);
    const isBelow = outcome.getBoundingClientRect().top > window.innerHeight - 120;
    if (isBelow) outcome.scrollIntoView({ block: "nearest" });
  }

  function shown(call) {
    const again = h(
      "button",
      {
        type: "button",
        class: "small",
        title: "Ask the same, signed anew (r)",
        onclick: () => run(call.tool, () => api.replay(call.id, "again")),
      },
      "Again",
    );
    const exact = h(
      "button",
      {
        type: "button",
        class: "small",
        title: "Send the same bytes, which the host has to refuse",
        onclick: () => run(call.tool, () => api.replay(call.id, "exact")),
      },
      "Replay frame",
    );
    return answer(call, [again, exact, copyMenu(call)]);
  }

  on("selection", () => {
    if (tool || location.hash.startsWith("#/call")) open(nameInHash());
  });
  on("tools", () => (nameInHash() ? open(nameInHash()) : showNothing()));
  on("seats", () => !tool && !nameInHash() && showNothing());

  return {
    element,
    open,
    focusSearch: tools.focusSearch,
    submit: () => desk.querySelector("form.work")?.requestSubmit(),
    /** Asks the last question of this tool again. */
    again() {
      const last = tool && drafts.get(draftKey(tool.name))?.answer;
      if (last) run(tool.name, () => api.replay(last.id, "again"));
    },
    /** Puts an earlier call into the form. */
    async load(call) {
      if (call.request.arguments.truncated) return toast("These arguments are too long for the form");
      const key = JSON.stringify([{ entity: call.entity, environment: call.environment }, call.tool]);
      drafts.set(key, { text: call.request.arguments.text, answer: call });
      caller.load(call.request);
      tool = null;
      // The history shows every call that it is asked for by number, also one of another entity.
      if (!isSelected(call)) select(call.entity, call.environment);
      location.hash = `#/call/${encodeURIComponent(call.tool)}`;
    },
    /** The tool that is looked at, with what is in its form and who calls; for faults of calls. */
    draft() {
      return tool && form && !form.problem() ? { tool: tool.name, argumentsText: form.text() } : null;
    },
  };
}

function nameInHash() {
  return location.hash.startsWith("#/call/") ? subjectOf(location.hash) : null;
}
