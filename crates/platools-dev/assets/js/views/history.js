// The calls that were made, whoever made them: looked at, made again, copied.

import * as api from "../api.js";
import { answer, isRunning, oddities, outcomeBadge } from "../answer.js";
import { confirmed, mayRepeat } from "../confirm.js";
import { fill, h, toast } from "../dom.js";
import { clock, elapsed, milliseconds, plural } from "../format.js";
import { rove, stopAt } from "../roving.js";
import { on, reloadHistory, state } from "../state.js";
import { update } from "../update.js";
import { copyMenu } from "./copy-menu.js";

/** `load` puts a call into the form of its tool. */
export function createHistoryView({ load }) {
  const filter = h("input", {
    type: "search",
    placeholder: "Filter by tool or outcome",
    aria: { label: "Filter the history" },
    oninput: draw,
  });
  const clear = h("button", { type: "button", class: "quiet danger", onclick: forget }, "Clear");
  const count = h("p", {});
  const list = h("ul", { class: "call-list" });
  const detail = h("div", { class: "detail" });
  const element = h(
    "section",
    { class: "view page", aria: { label: "History" } },
    h("header", {}, h("div", {}, h("h1", {}, "History"), count), h("div", { class: "row" }, filter, clear)),
    h("div", { class: "history" }, list, detail),
  );
  let shownId = null;
  /** The call that is shown, as it stood when it was drawn. */
  let shown = null;
  let older = [];
  let isAtEnd = false;

  function calls() {
    const last = state.history.at(-1)?.id ?? Infinity;
    return [...state.history, ...older.filter((call) => call.id < last)];
  }

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = calls();
    const text = (call) =>
      `${call.tool} ${call.outcome} ${call.error ?? ""} ${call.tamper ?? ""} ${call.call_id}`.toLowerCase();
    const found = all.filter((call) => words.every((word) => text(call).includes(word)));
    count.textContent = words.length > 0 ? `${found.length} of the last ${plural(all.length, "call")}` : totals();
    const canLoadMore = all.length < state.totals.kept && !isAtEnd;
    update(list, [
      ...found.map((call) => [call.id, [JSON.stringify(call), call.id === shownId], () => row(call)]),
      ...(canLoadMore ? [["more", [], olderCalls]] : []),
      ...(all.length === 0 ? [["empty", [], noCalls]] : []),
    ]);
    const focused = document.activeElement;
    stopAt(list, list.contains(focused) && focused.matches("a") ? focused : null);
    if (all.length === 0) fill(detail);
    else if (!shownId)
      fill(
        detail,
        h("p", { class: "muted empty small" }, "Choose a call to see its answer, its frames and its signature."),
      );
  }

  /** How many calls there are, kept or not. */
  function totals() {
    const { kept, running, made } = state.totals;
    const numbers =
      made > kept
        ? [
            `${plural(made, "call")} since the platform started`,
            kept > 0 ? `the last ${kept.toLocaleString("en")} are kept` : "none is kept",
          ]
        : kept > 0
          ? [plural(kept, "call")]
          : [];
    if (running > 0) numbers.push(`${running.toLocaleString("en")} running`);
    return numbers.join(" · ");
  }

  function olderCalls() {
    return h("li", {}, h("button", { type: "button", onclick: more }, "Older calls"));
  }

  function noCalls() {
    return h(
      "li",
      { class: "empty" },
      h("h2", {}, "No calls yet"),
      h(
        "p",
        { class: "muted" },
        "Calls from here, from tests and from ",
        h("code", {}, "curl"),
        " are listed, the newest first.",
      ),
      h("a", { href: "#/call" }, "Call a tool"),
    );
  }

  function row(call) {
    return h(
      "li",
      {},
      h(
        "a",
        { href: `#/history/${call.id}`, aria: call.id === shownId ? { current: "true" } : {} },
        h(
          "span",
          { class: "row between" },
          h("span", { class: "mono tool-name" }, call.tool),
          h("span", { class: "small muted number" }, isRunning(call) ? elapsed(call) : milliseconds(call.latency_ms)),
        ),
        h(
          "span",
          { class: "row between" },
          h("span", { class: "row" }, outcomeBadge(call), oddities(call)),
          h("span", { class: "small muted number" }, clock(call.at)),
        ),
        call.error && h("span", { class: "small bad-text clip" }, call.error),
      ),
    );
  }

  async function more() {
    const { calls: found } = await api.listHistory(state.selected, { before: calls().at(-1).id, limit: 100 });
    isAtEnd = found.length < 100;
    older = [...older, ...found];
    draw();
  }

  async function open(id) {
    shownId = id ? Number(id) : null;
    element.classList.toggle("with-detail", Boolean(shownId));
    draw();
    if (!shownId) return;
    try {
      const call = await api.getCall(id);
      if (Number(id) !== shownId) return;
      shown = call;
      fill(
        detail,
        h("a", { class: "back", href: "#/history" }, "‹ All calls"),
        h(
          "div",
          { class: "card detail-card stack" },
          h(
            "div",
            { class: "row between" },
            h("h2", { class: "mono" }, h("a", { href: `#/call/${encodeURIComponent(call.tool)}` }, call.tool)),
            h("span", { class: "small muted mono" }, call.call_id),
          ),
          call.request &&
            h(
              "details",
              { open: true },
              h(
                "summary",
                { class: "muted small" },
                `Asked by ${call.request.user ?? "nobody"}, agent ${call.request.agent ?? "none"}`,
              ),
              h("pre", { class: "code", tabindex: "0", aria: { label: "Arguments" } }, call.request.arguments.text),
            ),
          answer(call, actions(call)),
        ),
      );
    } catch (error) {
      fill(
        detail,
        h("a", { class: "back", href: "#/history" }, "‹ All calls"),
        h("p", { class: "note" }, error.message),
      );
    }
  }

  function actions(call) {
    const button = (text, title, onclick) => h("button", { type: "button", class: "small", title, onclick }, text);
    const again = async (mode, how) => {
      try {
        if (!(await mayRepeat(call, how))) return;
        const { id } = await api.replay(call.id, mode);
        location.hash = `#/history/${id}`;
      } catch (error) {
        toast(error.message);
      }
    };
    return [
      button("Again", "Ask the same, signed anew", () => again("again", "Again")),
      button("Replay frame", "Send the same bytes, which the host has to refuse", () => again("exact", "Replay frame")),
      call.request && button("Edit", "Put it into the form of the tool", () => load(call)),
      copyMenu(call),
    ];
  }

  async function forget() {
    const isMeant = await confirmed({
      title: "Forget all calls?",
      text: "The calls of every entity and environment are forgotten, with their frames. Calls that run go on, unseen.",
      action: "Forget them",
    });
    if (!isMeant) return;
    await api.clearHistory();
    older = [];
    location.hash = "#/history";
    reloadHistory();
  }

  rove(list);
  on("history", () => {
    draw();
    const now = calls().find((call) => call.id === shownId);
    const isAnother = (name) => now[name] !== shown[name];
    if (now && shown?.id === shownId && ["outcome", "abandoned", "late_ms"].some(isAnother)) open(shownId);
  });
  on("selection", () => {
    older = [];
    isAtEnd = false;
    draw();
  });
  draw();
  return { element, open };
}
