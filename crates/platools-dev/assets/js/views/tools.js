// The list of tools: searched by the platform, loaded page by page, so that ten thousand are no trouble.

import { listTools } from "../api.js";
import { fill, h } from "../dom.js";
import { plural } from "../format.js";
import { on, state } from "../state.js";

const PAGE = 100;

/** `{element, focusSearch, mark}`; `mark` says which tool is looked at. */
export function createToolList() {
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
    "aside",
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
      if (isNew) fill(list, items);
      else list.append(...items);
      count.textContent = search.value.trim()
        ? `${page.matching.toLocaleString("en")} of ${plural(page.total, "tool")}`
        : plural(page.total, "tool");
      mark(current);
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
    const isReadOnly = tool.annotations?.readOnlyHint === true;
    const isDestructive = tool.annotations?.destructiveHint === true;
    return h(
      "li",
      {},
      h(
        "a",
        { href: `#/call/${encodeURIComponent(tool.name)}`, data: { tool: tool.name } },
        h(
          "span",
          { class: "tool-name" },
          tool.name,
          isDestructive && h("span", { class: "dot bad", title: "destructive" }),
          isReadOnly && h("span", { class: "dot good", title: "read only" }),
        ),
        h("span", { class: "tool-text" }, tool.description.split("\n")[0]),
      ),
    );
  }

  /** Says which tool is looked at. */
  function mark(name) {
    current = name;
    for (const link of list.querySelectorAll("a")) {
      if (link.dataset.tool === name) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  let typing;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => load(true), 120);
  });
  scroller.addEventListener("scroll", () => isEndNear() && next());
  element.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown") links[at + 1]?.focus();
    else if (event.key === "ArrowUp") (links[at - 1] ?? search).focus();
    else if (event.key === "Enter" && at < 0) links[0]?.click();
    else if (event.key === "Escape" && at < 0 && search.value) {
      search.value = "";
      load(true);
    } else return;
    event.preventDefault();
  });
  on("selection", () => {
    fill(list);
    load(true);
  });
  on("tools", () => load(true));

  return { element, mark, focusSearch: () => (search.focus(), search.select()) };
}
