// The list of tools: searched by the platform, loaded page by page, so that ten thousand are no trouble.

import { listTools } from "../api.js";
import { fill, h } from "../dom.js";
import { plural } from "../format.js";
import { plainly } from "../markdown.js";
import { rove, stopAt } from "../roving.js";
import { on, state } from "../state.js";

const PAGE = 100;

/** `{element, focusSearch, mark}`; `mark` says which tool is looked at. `openedByKey` is told when keys open one. */
export function createToolList(openedByKey) {
  const search = h("input", {
    type: "search",
    id: "tool-search",
    placeholder: "Search tools",
    autocomplete: "off",
    spellcheck: "false",
    aria: { label: "Search tools", keyshortcuts: "/" },
  });
  const count = h("p", { class: "small muted", role: "status", id: "tool-count" });
  const list = h("ul", { class: "tool-list", aria: { label: "Tools" } });
  const end = h("div", { class: "list-end" });
  const scroller = h("div", { class: "tool-scroll" }, list, end);
  const element = h(
    "nav",
    { class: "tools", aria: { label: "Tools" } },
    h(
      "div",
      { class: "tools-head" },
      h("div", { class: "search" }, search, h("kbd", { aria: { hidden: "true" } }, "/")),
      count,
    ),
    scroller,
  );

  let asked = new AbortController();
  let isLoading = false;
  let matching = 0;
  let current = null;

  /** Loads the next page, or the first one of a new search. */
  async function load(isNew) {
    if (!state.selected || (isLoading && !isNew)) return;
    if (isNew) {
      asked.abort();
      asked = new AbortController();
    }
    const { signal } = asked;
    isLoading = true;
    try {
      const offset = isNew ? 0 : list.childElementCount;
      const page = await listTools(state.selected, search.value, offset, PAGE, signal);
      matching = page.matching;
      const items = page.tools.map(item);
      // What has the focus keeps it.
      const focused = list.contains(document.activeElement) && document.activeElement.closest("a")?.dataset.tool;
      if (isNew) fill(list, items);
      else list.append(...items);
      if (isNew && focused) [...list.querySelectorAll("a")].find((link) => link.dataset.tool === focused)?.focus();
      count.textContent = search.value.trim()
        ? `${page.matching.toLocaleString("en")} of ${plural(page.total, "tool")}`
        : plural(page.total, "tool");
      mark(current);
      markRunning();
    } catch (error) {
      if (error.name === "AbortError") return;
      count.textContent = error.message;
    }
    isLoading = false;
    if (isEndNear()) next();
  }

  const isEndNear = () =>
    scroller.clientHeight > 0 && scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 300;
  const next = () => {
    if (list.childElementCount < matching) load(false);
  };

  function item(tool) {
    const title = titleOf(tool);
    return h(
      "li",
      {},
      h(
        "a",
        { href: `#/call/${encodeURIComponent(tool.name)}`, data: { tool: tool.name } },
        h(
          "span",
          { class: "tool-name" },
          title ? h("span", { class: "tool-title" }, title) : tool.name,
          h("span", { class: "badge accent running", hidden: true }, "running"),
          hintsOf(tool),
        ),
        title && h("span", { class: "tool-text mono" }, tool.name),
        h("span", { class: "tool-text" }, plainly(tool.description.split("\n")[0]) || "no description"),
      ),
    );
  }

  /** Says which tools have calls that run. */
  function markRunning() {
    const running = new Set(state.history.filter((call) => call.outcome === "running").map((call) => call.tool));
    for (const link of list.querySelectorAll("a"))
      link.querySelector(".running").hidden = !running.has(link.dataset.tool);
  }

  /** Says which tool is looked at. */
  function mark(name) {
    current = name;
    for (const link of list.querySelectorAll("a")) {
      if (link.dataset.tool === name) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    stopAt(list, list.contains(document.activeElement) ? document.activeElement.closest("a") : null);
  }

  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => load(true), 120);
  });
  scroller.addEventListener("scroll", () => isEndNear() && next());
  element.addEventListener("keydown", (event) => {
    if (event.target !== search) return;
    const first = list.querySelector("a");
    if (event.key === "ArrowDown") first?.focus();
    else if (event.key === "Enter") first?.click();
    else if (event.key === "Escape" && search.value) {
      search.value = "";
      load(true);
    } else return;
    event.preventDefault();
  });
  rove(list, () => search.focus());
  // Not by a pointer: whoever uses keys goes on in the form.
  list.addEventListener("click", (event) => event.detail === 0 && event.target.closest("a") && openedByKey());
  on("selection", () => {
    fill(list);
    load(true);
  });
  on("tools", () => load(true));
  on("history", markRunning);

  const focusSearch = () => {
    search.focus();
    search.select();
  };
  return { element, mark, focusSearch };
}

/** The title of a tool, if it has one that says more than its name. */
export function titleOf({ name, annotations }) {
  const title = annotations?.title;
  return typeof title === "string" && title.trim() !== "" && title !== name ? title : null;
}

/** The hints of a tool, in words. */
function hintsOf(tool) {
  const annotations = tool.annotations ?? {};
  return [
    annotations.readOnlyHint === true && h("span", { class: "badge good" }, "read only"),
    annotations.destructiveHint === true && h("span", { class: "badge bad" }, "destructive"),
  ];
}

/** All that is worth a word beside a tool's name. */
export function badgesOf(tool) {
  const { annotations = {}, auth, roles = [] } = tool;
  const badge = (tone, text) => h("span", { class: `badge ${tone}` }, text);
  return [
    hintsOf(tool),
    annotations.idempotentHint === true && badge("", "idempotent"),
    annotations.openWorldHint === true && badge("", "open world"),
    annotations.category && badge("accent", annotations.category),
    auth && auth !== "none" && badge("", `auth: ${auth}`),
    roles.map((role) => badge("", `role: ${role}`)),
  ];
}
