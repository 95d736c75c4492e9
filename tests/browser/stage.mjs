// The other side: hosts and the platform, which the test that runs this script starts and stops.

import { createInterface } from "node:readline";

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks for something, such as `host start`, and waits until it is done. */
export async function stage(order) {
  process.stdout.write(`@ ${order}\n`);
  const { value } = await answers.next();
  if (value !== "done") throw new Error(`the stage says ${value}`);
}
