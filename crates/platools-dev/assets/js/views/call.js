// Calling a tool: its description, its form, and the answer.

import * as api from "../api.js";
import { answer } from "../answer.js";
import { clamped } from "../clamp.js";
import { mayCall } from "../confirm.js";
import { fill, h, toast } from "../dom.js";
import { createForm } from "../form/form.js";
import { elapsed, subjectOf } from "../format.js";
import { markdown } from "../markdown.js";
import { isSelected, on, seat, select, state } from "../state.js";
import { createTabs } from "../tabs.js";
import { copyMenu } from "./copy-menu.js";
import { createCaller } from "./caller.js";
import { connectCard } from "./connect.js";
import { definition } from "./definition.js";
import { change, draftOf, keyOf, onDraft, resume, run, stopWaiting } from "./drafts.js";
import { badgesOf, createToolList, titleOf } from "./tools.js";

export function createCallView() {
  /** Whether the form gets the focus when it is there. */
  let isFormWanted = false;
  const tools = createToolList(() => (isFormWanted = true));
  const caller = createCaller();
  const desk = h("div", { class: "desk" });
  const element = h("section", { class: "view call-view", aria: { label: "Call a tool" } }, tools.element, desk);
  let tool = null;
  let form = null;
  /** The seat of the tool that is shown. */
  let home = null;
  /** Shows the form instead of the definition. */
  let showForm = () => {};
  /** Counts what was opened, so that an answer that comes late is left alone. */
  let turn = 0;

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
    const here = state.selected;
    let found;
    try {
      found = await api.getTool(here, name);
    } catch (error) {
      if (mine !== turn) return;
      tool = null;
      delete desk.dataset.situation;
      fill(
        desk,
        h(
          "div",
          { class: "empty" },
          h("h1", {}, "This tool is not there"),
          h("p", { class: "muted" }, error.message),
          h("a", { href: "#/call" }, "All tools"),
        ),
      );
      return;
    }
    if (mine !== turn) return;
    const isShown = JSON.stringify([found, here]) === JSON.stringify([tool, home]);
    if (!isShown || !desk.querySelector(".work")) {
      tool = found;
      home = here;
      showTool();
    }
    if (isFormWanted) focusForm();
    isFormWanted = false;
  }

  function focusForm() {
    const first =
      desk.querySelector(".fields :is(input, textarea, select, button):not([hidden])") ?? desk.querySelector("#send");
    /** @type {HTMLElement | null} */ (first)?.focus();
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
          h("h1", {}, "Choose a tool"),
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
          h("h1", {}, "The host is connected, and has no tools"),
          h("p", { class: "muted" }, "They appear here as soon as it declares some."),
        ),
      );
    }
    return fill(desk, connectCard(here));
  }

  function showTool() {
    delete desk.dataset.situation;
    const key = keyOf(tool.name, home);
    form = createForm(tool.input_schema, () => change(key, { text: form?.text() }));
    const { text } = draftOf(key);
    if (text !== undefined) form.load(text);
    else form.clear();
    const send = h(
      "button",
      { type: "submit", class: "primary", id: "send" },
      "Send ",
      h("kbd", { aria: { hidden: "true" } }, "Ctrl ↵"),
    );
    const clear = h("button", { type: "button", class: "quiet", onclick: () => form.clear() }, "Clear");
    const problem = h("p", { class: "note bad", role: "alert", hidden: true });
    const formPanel = [form.element, caller.element, problem, h("div", { class: "send-row row" }, send, clear)];
    const shownTool = tool;
    const shownSeat = home;
    const tabs = createTabs(
      [
        ["Form", () => h("div", { class: "form-panel" }, formPanel)],
        ["Definition", () => definition(shownTool, shownSeat)],
      ],
      "The tool",
    );
    showForm = () => tabs.choose(0);
    const work = h(
      "form",
      {
        class: "work card",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          submit(problem);
        },
      },
      header(),
      tabs.element,
    );
    const outcome = h("section", { class: "outcome card", id: "outcome", aria: { label: "Answer", live: "polite" } });
    fill(desk, h("a", { class: "back", href: "#/call" }, "‹ All tools"), work, outcome);
    drawOutcome(key);
  }

  function header() {
    const title = titleOf(tool);
    return h(
      "header",
      { class: "tool-head stack tight" },
      h(
        "div",
        { class: "row" },
        h("h1", { class: title ? "" : "mono" }, title ?? tool.name),
        title && h("code", { class: "muted" }, tool.name),
        badgesOf(tool),
      ),
      tool.description.trim() === ""
        ? h("p", { class: "note warn small" }, "This tool has no description.")
        : clamped(4, { class: "tool-description markdown" }, markdown(tool.description)),
    );
  }

  async function submit(problem) {
    showForm();
    problem.hidden = true;
    form.reveal();
    let request;
    try {
      if (form.problem()) throw new Error(form.problem());
      request = { tool: tool.name, argumentsText: form.text(), ...caller.read() };
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      return;
    }
    const [to, key] = [home, keyOf(tool.name, home)];
    if (!(await mayCall({ tool, argumentsText: request.argumentsText, seat: to, how: "Send" }))) return;
    await run(key, () => api.call(to, request));
  }

  /** Draws how the call of the shown tool stands, if this is its key. */
  function drawOutcome(key) {
    const outcome = desk.querySelector(".outcome");
    if (!tool || !outcome || key !== keyOf(tool.name, home)) return;
    const { running, problem, answer: last } = draftOf(key);
    if (running) fill(outcome, waitingFor(key, running));
    else if (problem) fill(outcome, noAnswer(problem));
    else if (last) fill(outcome, shown(last));
    else fill(outcome, nothingYet());
    if (running || problem || last) {
      const isBelow = outcome.getBoundingClientRect().top > window.innerHeight - 120;
      if (isBelow) outcome.scrollIntoView({ block: "nearest" });
    }
  }

  const nothingYet = () =>
    h(
      "div",
      { class: "empty small" },
      h(
        "p",
        { class: "muted" },
        "The answer appears here: the result, where the time went, the frames, and how the signature was made.",
      ),
    );

  const waitingFor = (key, running) =>
    h(
      "div",
      { class: "row between", data: { running: running.id ?? "" } },
      h(
        "p",
        { class: "row" },
        h("span", { class: "dot warn pulse" }),
        "Waiting for the host… ",
        // What counts is no news to those who listen.
        h("span", { class: "number", aria: { live: "off" } }, elapsed({ latency_ms: Date.now() - running.started })),
      ),
      h("button", { type: "button", class: "small", onclick: () => stopWaiting(key) }, "Stop waiting"),
    );

  /** @param {{ text: string, id?: number, isLeft?: boolean }} problem */
  const noAnswer = ({ text, id, isLeft }) =>
    h(
      "p",
      { class: isLeft ? "note" : "note bad" },
      text,
      isLeft && [" ", h("a", { href: id ? `#/history/${id}` : "#/history" }, "See it there")],
    );

  function shown(call) {
    const repeat = async (mode, how) => {
      const key = keyOf(call.tool, call);
      const found = { tool, argumentsText: call.request?.arguments.text, seat: call, how };
      if (await mayCall(found)) await run(key, () => api.replay(call.id, mode));
    };
    const again = h(
      "button",
      {
        type: "button",
        class: "small",
        title: "Ask the same, signed anew",
        onclick: () => repeat("again", "Again"),
      },
      "Again",
    );
    const exact = h(
      "button",
      {
        type: "button",
        class: "small",
        title: "Send the same bytes, which the host has to refuse",
        onclick: () => repeat("exact", "Replay frame"),
      },
      "Replay frame",
    );
    return answer(call, [again, exact, copyMenu(call)]);
  }

  onDraft(drawOutcome);
  on("selection", () => {
    if (tool || location.hash.startsWith("#/call")) open(nameInHash());
  });
  on("tools", () => (nameInHash() ? open(nameInHash()) : showNothing()));
  on("seats", () => !tool && !nameInHash() && showNothing());
  resume();

  return {
    element,
    open,
    focusSearch: tools.focusSearch,
    submit: () => desk.querySelector("form.work")?.requestSubmit(),
    /** Puts an earlier call into the form. */
    async load(call) {
      if (call.request.arguments.truncated) return toast("These arguments are too long for the form");
      change(keyOf(call.tool, call), { text: call.request.arguments.text, answer: call, problem: null });
      caller.load(call.request);
      tool = null;
      // The history shows every call that it is asked for by number, also one of another entity.
      if (!isSelected(call)) select(call.entity, call.environment);
      location.hash = `#/call/${encodeURIComponent(call.tool)}`;
    },
    /** The tool that is looked at, with what is in its form; for faults of calls. */
    draft() {
      return tool && form && !form.problem() ? { tool, argumentsText: form.text() } : null;
    },
  };
}

function nameInHash() {
  return location.hash.startsWith("#/call/") ? subjectOf(location.hash) : null;
}
