// The exact lines that start a host, for a seat without one.

import { showSecret, showToken } from "../api.js";
import { copyButton, fill, h, toast } from "../dom.js";

const HIDDEN = "•".repeat(24);

/** A card with the lines for this seat. */
export function connectCard({ entity, environment, url }) {
  let secret = null;
  const lines = h("pre", { class: "code lines", tabindex: "0", aria: { label: "Lines to paste" } });
  const reveal = h("button", { type: "button", class: "small quiet" }, "Show the secret");
  const text = (shown) => `export PLATOS_URL='${url}'\nexport PLATOS_SECRET='${shown}'`;
  const draw = () => {
    fill(lines, text(secret ?? HIDDEN));
    reveal.textContent = secret ? "Hide the secret" : "Show the secret";
  };
  const told = async (asking) => {
    try {
      return await asking;
    } catch (error) {
      toast(error.message);
      throw error;
    }
  };
  const ask = async () => (await told(showSecret(entity))).secret;
  const token = async () => (await told(showToken())).token;
  reveal.addEventListener("click", async () => {
    secret = secret ? null : await ask();
    draw();
  });
  draw();
  const step = (number, title, ...content) =>
    h(
      "li",
      { class: "step" },
      h("span", { class: "step-number", aria: { hidden: "true" } }, number),
      h("div", { class: "stack tight grow" }, h("h2", {}, title), content),
    );
  return h(
    "div",
    { class: "connect card", data: { entity, environment } },
    h("div", { class: "row" }, h("span", { class: "dot warn pulse" }), h("h1", {}, "Waiting for a host")),
    h(
      "p",
      { class: "muted" },
      "No host is connected as ",
      h("code", {}, entity),
      " in ",
      h("code", {}, environment),
      ". Its tools appear here the moment it is.",
    ),
    h(
      "ol",
      { class: "stack" },
      step(
        "1",
        "Paste this into the shell that starts your host",
        lines,
        h(
          "div",
          { class: "row" },
          copyButton(async () => text(await ask()), "the lines, with the secret"),
          reveal,
        ),
      ),
      step(
        "2",
        "Start it",
        h(
          "p",
          { class: "muted small" },
          "Any host will do: platools for Rust, Python or JavaScript reads these two variables. In Rust the whole of it is",
        ),
        h("pre", { class: "code", tabindex: "0", aria: { label: "A host in Rust" } }, QUICKSTART),
      ),
      step(
        "3",
        "That is all",
        h(
          "p",
          { class: "muted small" },
          "For ",
          h("code", {}, "curl"),
          " and scripts, the API is described at ",
          h("a", { href: "/api/v1/openapi.json" }, "/api/v1/openapi.json"),
          ". ",
          copyButton(async () => `export PLATOOLS_DEV_TOKEN='${await token()}'`, "the API token", "Copy its token"),
        ),
      ),
    ),
  );
}

const QUICKSTART = `use platools::prelude::*;

/// Add two whole numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tokio::main]
async fn main() -> platools::Result<()> {
    Platools::from_env()?.run().await
}`;
