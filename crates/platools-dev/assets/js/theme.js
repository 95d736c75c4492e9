// Light or dark: as the system has it, until somebody says otherwise.

import { svg, fill } from "./dom.js";

const KEY = "platools.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

export function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem(KEY, theme);
  draw();
}

function draw() {
  const sun = [
    svg("circle", { cx: 12, cy: 12, r: 4.2 }),
    svg("path", {
      d: "M12 2.5v2.4M12 19.1v2.4M2.5 12h2.4M19.1 12h2.4M5.3 5.3 7 7M17 17l1.7 1.7M5.3 18.7 7 17M17 7l1.7-1.7",
    }),
  ];
  const moon = [svg("path", { d: "M20 14.2A8.3 8.3 0 0 1 9.8 4a8.3 8.3 0 1 0 10.2 10.2z" })];
  fill(
    document.getElementById("theme"),
    svg("svg", { viewBox: "0 0 24 24", class: "line-icon", "aria-hidden": "true" }, ...(isDark() ? sun : moon)),
  );
}

export function startTheme() {
  const chosen = localStorage.getItem(KEY);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  dark.addEventListener("change", draw);
  document.getElementById("theme").addEventListener("click", toggleTheme);
  draw();
}
