// Markdown from strangers, as elements: headings, lists, tables, code, quotes, emphasis and links.
//
// Elements are made one by one and texts are set as texts, so that HTML in a description is shown and never becomes part
// of the page. Pictures of other sites are not loaded: they are links.

import { h } from "./dom.js";

/** A longer text is shown as it is. */
const LONGEST = 50_000;
/** A longer paragraph is shown as it is. */
const LONGEST_PARAGRAPH = 4000;
const DEEPEST = 6;
/** A shorter line was meant to end where it does; a longer one was wrapped. */
const WRAPPED = 60;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+)(.*)$/;
const ROW = /^\s*\|.*\|\s*$/;
const DELIMITERS = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/;

/** A Markdown text as elements. */
export function markdown(text) {
  if (text.length > LONGEST) return [h("p", { class: "plain" }, text)];
  return blocks(text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n"), 0);
}

/** The text of one line, without its marks. */
export function plainly(line) {
  return h("span", {}, inline(line)).textContent;
}

/** Whether a text looks as if it were Markdown. */
export function isMarkdown(text) {
  return /^ {0,3}(#{1,6}\s|[-*+]\s|\d+[.)]\s|>|```|\|.*\|\s*$)|\*\*\S|`[^`]+`|\]\(\S+\)/m.test(text.slice(0, LONGEST));
}

function blocks(lines, depth) {
  const made = [];
  let paragraph = [];
  const end = () => {
    if (paragraph.length > 0) made.push(h("p", {}, joined(paragraph)));
    paragraph = [];
  };
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = line.match(FENCE);
    if (fence) {
      end();
      const from = at + 1;
      at = from;
      while (at < lines.length && !isFenceEnd(lines[at], fence[1])) at += 1;
      made.push(h("pre", { class: "code", tabindex: "0", aria: { label: "Code" } }, lines.slice(from, at).join("\n")));
      at += 1;
    } else if (HEADING.test(line)) {
      end();
      made.push(h("p", { class: "markdown-heading" }, h("strong", {}, inline(line.match(HEADING)[1]))));
      at += 1;
    } else if (RULE.test(line)) {
      end();
      made.push(h("hr", {}));
      at += 1;
    } else if (depth < DEEPEST && QUOTE.test(line)) {
      end();
      const quoted = [];
      while (at < lines.length && QUOTE.test(lines[at])) quoted.push(lines[at++].match(QUOTE)[1]);
      made.push(h("blockquote", {}, blocks(quoted, depth + 1)));
    } else if (depth < DEEPEST && ITEM.test(line)) {
      end();
      const { list, next } = listAt(lines, at, depth);
      made.push(list);
      at = next;
    } else if (ROW.test(line) && DELIMITERS.test(lines[at + 1] ?? "")) {
      end();
      const from = at;
      at += 2;
      while (at < lines.length && ROW.test(lines[at])) at += 1;
      made.push(table(lines[from], lines.slice(from + 2, at)));
    } else {
      if (line.trim() === "") end();
      else paragraph.push(line);
      at += 1;
    }
  }
  end();
  return made;
}

const isFenceEnd = (line, fence) => {
  const mark = line.trim();
  return mark.length >= fence.length && mark === fence[0].repeat(mark.length);
};

/** The list that begins in a line, and the line behind it. */
function listAt(lines, from, depth) {
  const isOrdered = /\d/.test(lines[from].match(ITEM)[2]);
  const items = [];
  let at = from;
  let indent = 0;
  while (at < lines.length) {
    const line = lines[at];
    const item = line.match(ITEM);
    const isInside = items.length > 0 && line.startsWith(" ".repeat(indent));
    if (item && !isInside && /\d/.test(item[2]) === isOrdered && !RULE.test(line)) {
      indent = item[1].length + item[2].length + Math.min(item[3].length, 4);
      items.push([item[4]]);
    } else if (line.trim() === "") {
      // An empty line ends the list unless it goes on behind it.
      const next = lines[at + 1] ?? "";
      if (!ITEM.test(next) && !(next.trim() !== "" && next.startsWith(" ".repeat(indent)))) break;
      items.at(-1).push("");
    } else if (isInside) {
      items.at(-1).push(line.slice(indent));
    } else if (!item && items.at(-1).at(-1) !== "" && !HEADING.test(line) && !FENCE.test(line)) {
      // A wrapped line that was not indented.
      items.at(-1).push(line.trim());
    } else {
      break;
    }
    at += 1;
  }
  const made = items.map((item) => {
    const inside = blocks(item, depth + 1);
    const isPlain = inside.length === 1 && inside[0].tagName === "P";
    return h("li", {}, isPlain ? [...inside[0].childNodes] : inside);
  });
  return { list: h(isOrdered ? "ol" : "ul", {}, made), next: at };
}

function table(head, rows) {
  const cells = (line) =>
    line
      .trim()
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll("\\|", "|"));
  return h(
    "div",
    { class: "markdown-table", tabindex: "0", role: "group", aria: { label: "Table" } },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          cells(head).map((cell) => h("th", { scope: "col" }, inline(cell))),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            cells(row).map((cell) => h("td", {}, inline(cell))),
          ),
        ),
      ),
    ),
  );
}

/** The lines of a paragraph, wrapped anew where they were wrapped. */
function joined(lines) {
  let text = "";
  lines.forEach((line, index) => {
    const isLast = index === lines.length - 1;
    const isBroken = / {2,}$|\\$/.test(line) || line.trim().length < WRAPPED;
    text += line.trim().replace(/\\$/, "") + (isLast ? "" : isBroken ? "\n" : " ");
  });
  return inline(text);
}

/** Inline syntax. The alternatives are tried in this order. */
const INLINE = new RegExp(
  [
    String.raw`\\(?<escaped>[!-/:-@[-\x60{-~])`,
    String.raw`(?<ticks>\x60+)(?<code>[^\x60]|[^\x60][\s\S]*?[^\x60])\k<ticks>(?!\x60)`,
    String.raw`!?\[(?<label>[^[\]]*)\]\(\s*<?(?<target>[^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)`,
    String.raw`<(?<auto>(?:https?|mailto):[^\s<>]+)>`,
    String.raw`(?<bare>\bhttps?:\/\/[^\s<>"\x60]*[^\s<>"\x60.,;:!?)\]'*_])`,
    String.raw`\*\*\*(?<both>[^\s*]|[^\s*][^*]*?[^\s*])\*\*\*`,
    String.raw`\*\*(?<strong>\S|\S[\s\S]*?\S)\*\*`,
    String.raw`(?<![A-Za-z0-9])__(?<strong2>\S|\S[\s\S]*?\S)__(?![A-Za-z0-9])`,
    String.raw`\*(?<em>[^\s*]|[^\s*][^*]*?[^\s*])\*`,
    String.raw`(?<![A-Za-z0-9])_(?<em2>[^\s_]|[^\s_][^_]*?[^\s_])_(?![A-Za-z0-9])`,
    String.raw`~~(?<gone>\S|\S[\s\S]*?\S)~~`,
    `&(?<entity>amp|lt|gt|quot|#39);`,
  ].join("|"),
  "g",
);
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

/** @returns {(string | HTMLElement)[]} */
function inline(text, depth = 0) {
  if (text.length > LONGEST_PARAGRAPH || depth > DEEPEST) return [text];
  const made = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    made.push(...withBreaks(text.slice(from, found.index)), element(found.groups, found[0], depth));
    from = found.index + found[0].length;
  }
  return [...made, ...withBreaks(text.slice(from))];
}

function element(groups, whole, depth) {
  const inner = (inside) => inline(inside, depth + 1);
  if (groups.escaped !== undefined) return groups.escaped;
  if (groups.code !== undefined) return h("code", {}, groups.code.replace(/^ (.*\S.*) $/s, "$1"));
  if (groups.label !== undefined)
    return link(groups.target, groups.label === "" ? [groups.target] : inner(groups.label), whole);
  const address = groups.auto ?? groups.bare;
  if (address !== undefined) return link(address, [address], whole);
  if (groups.both !== undefined) return h("strong", {}, h("em", {}, inner(groups.both)));
  const strong = groups.strong ?? groups.strong2;
  if (strong !== undefined) return h("strong", {}, inner(strong));
  const em = groups.em ?? groups.em2;
  if (em !== undefined) return h("em", {}, inner(em));
  if (groups.gone !== undefined) return h("s", {}, inner(groups.gone));
  return ENTITIES[groups.entity];
}

/** A link that leads out of the page, for addresses that may be followed; anything else stays text. */
function link(target, children, whole) {
  if (!/^(?:https?|mailto):/i.test(target)) return whole;
  return h("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, children);
}

const withBreaks = (text) => text.split("\n").flatMap((part, index) => (index === 0 ? [part] : [h("br", {}), part]));
