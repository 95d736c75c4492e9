// Lists of links with one stop for the Tab key, among which the arrow keys move.

/** Makes `link`, or the one that is looked at, or the first, the stop of a list. */
export function stopAt(list, link = null) {
  const links = [...list.querySelectorAll("a")];
  const chosen = link ?? links.find((each) => each.hasAttribute("aria-current")) ?? links[0];
  for (const each of links) each.tabIndex = each === chosen ? 0 : -1;
}

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

/** Lets the arrow keys move in a list; `leave` is called at its beginning, if there is something before it. */
export function rove(list, leave = () => {}) {
  list.addEventListener("focusin", (event) => {
    if (event.target.matches("a")) stopAt(list, event.target);
  });
  list.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (at < 0) return;
    const step = STEPS[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? links.length - 1 : step === undefined ? at : at + step;
    if (to === at) return;
    event.preventDefault();
    if (to < 0) leave();
    else links[to]?.focus();
  });
}
