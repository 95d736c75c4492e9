// Each fault does what it says, and the host comes back.

import { picture, visit } from "./browser.mjs";
import { agree, becomes, equal, includes } from "./check.mjs";
import { stage } from "./stage.mjs";

const card = (page, name) => page.locator(`[data-fault="${name}"]`);
const push = (page, name, button) => card(page, name).getByRole("button", { name: button }).click();
const connected = (page, expected) =>
  becomes("the connection", () => page.locator("#status").getAttribute("data-connected"), String(expected));

/** The last event of a kind, with its time; empty before there is one. */
const last = async (page, kind) =>
  (await page.locator(`.watch [data-event="${kind}"]`).allInnerTexts())[0] ?? "";

/** Does something after which the host has to have connected once more. */
async function comesBack(page, act) {
  const before = await last(page, "connected");
  await act();
  await becomes("another connection", async () => (await last(page, "connected")) !== before, true);
  await connected(page, true);
}

async function dropped_and_sent_away_it_reconnects({ page }) {
  await comesBack(page, () => push(page, "Drop", "Drop"));
  await picture(page, "faults-light");
  await comesBack(page, () => push(page, "Go away", "Go away"));
}

async function frozen_or_unheard_it_notices({ page }) {
  await comesBack(page, async () => {
    await push(page, "Freeze", "Freeze");
    await page.getByText("Connected, and frozen").waitFor();
  });
  await comesBack(page, () => push(page, "Ignore heartbeats", "Ignore"));
  await push(page, "Ignore heartbeats", "Acknowledge again");
  await card(page, "Ignore heartbeats").getByRole("button", { name: "Ignore" }).waitFor();
  await becomes(
    "calm",
    () => page.locator(".fault-notice").innerText(),
    "A host is connected as local in dev.",
  );
}

async function throttled_it_registers_later({ page }) {
  await visit(page, "faults");
  await page.getByRole("heading", { name: "Faults" }).waitFor();
  await page.getByText("A host is connected as local in dev.").waitFor();
  await push(page, "Throttle", "Throttle");
  await becomes("throttled", async () => (await last(page, "throttled")) !== "", true);
  await becomes(
    "and registered",
    () =>
      page.locator(".watch li").evaluateAll((items) => {
        const kinds = items
          .map((item) => item.dataset.event)
          .filter((kind) => kind === "registered" || kind === "throttled");
        return kinds[0];
      }),
    "registered",
  );
}

async function it_reads_a_rotated_secret({ page }) {
  await comesBack(page, async () => {
    await push(page, "Rotate", "Rotate the secret");
    await agree(page, "Rotate it");
  });
  includes("the new secret", await card(page, "Rotate").innerText(), "export PLATOS_SECRET=");
  // A host says `signature_mismatch` to that, and the page says why.
  await push(page, "Replay", "Replay the last call");
  await card(page, "Replay").getByText("signed before the secret was rotated").waitFor();
  equal("it is in order", await card(page, "Replay").locator(".verdict .badge.good").count(), 1);
  await card(page, "Replay").locator(".verdict a").click();
  await page.locator(".detail").getByText("signed before the secret was rotated").waitFor();
  await picture(page, "replay-after-rotation-light");
  await visit(page, "faults");
}

async function a_replayed_call_is_refused({ page }) {
  await push(page, "Replay", "Replay the last call");
  await card(page, "Replay").getByText("Refused: nonce_replay").waitFor();
}

async function tampered_calls_are_refused({ page }) {
  for (const [kind, reason] of [
    ["arguments", "signature_mismatch"],
    ["tool_name", "signature_mismatch"],
    ["timestamp", "signature_mismatch"],
    ["nonce", "signature_mismatch"],
    ["signature", "signature_mismatch"],
    ["unsigned", "signature_missing"],
    ["call_id", "call_id_mismatch"],
    ["scope", "scope_mismatch"],
  ]) {
    await card(page, "Tamper").locator("select").selectOption(kind);
    const links = () =>
      card(page, "Tamper")
        .locator(".verdict a")
        .evaluateAll((all) => all.map((link) => link.href));
    const before = await links();
    await push(page, "Tamper", "Send a tampered call");
    await becomes(`a verdict on ${kind}`, async () => String(await links()) !== String(before), true);
    includes(
      `the verdict on ${kind}`,
      await card(page, "Tamper").locator(".verdict").innerText(),
      `Refused: ${reason}`,
    );
  }
  for (const [kind, said] of [
    ["signature", "tampered with the first time already"],
    ["scope", "Refused: nonce_replay"],
  ]) {
    await card(page, "Tamper").locator("select").selectOption(kind);
    const verdict = card(page, "Tamper").locator(".verdict a");
    const before = await verdict.getAttribute("href");
    await push(page, "Tamper", "Send a tampered call");
    await becomes("another verdict", async () => (await verdict.getAttribute("href")) !== before, true);
    await push(page, "Replay", "Replay the last call");
    await card(page, "Replay").getByText(said).waitFor();
    equal(`${kind} replayed is in order`, await card(page, "Replay").locator(".verdict .badge.good").count(), 1);
  }
  await push(page, "Garbage", "Send garbage");
  await becomes("garbage", async () => (await last(page, "fault")).includes("send text"), true);
  await connected(page, true);
  await picture(page, "faults-verdicts-light");
}

async function superseded_it_stands_by_and_another_takes_over({ page }) {
  await push(page, "Supersede", "Supersede");
  await connected(page, false);
  await page.getByText("No host is connected as local in dev.", { exact: true }).waitFor();
  await picture(page, "faults-superseded-light");
  await comesBack(page, () => stage("host stop").then(() => stage("host start")));
}

// Throttled first: a host declares its tools six times a minute at most, and every reconnection is one of them.
export default [
  throttled_it_registers_later,
  dropped_and_sent_away_it_reconnects,
  frozen_or_unheard_it_notices,
  a_replayed_call_is_refused,
  it_reads_a_rotated_secret,
  tampered_calls_are_refused,
  superseded_it_stands_by_and_another_takes_over,
];
