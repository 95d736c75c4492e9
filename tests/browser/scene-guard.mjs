// What a page of somebody else's can do from the same browser: nothing.

import { createServer } from "node:http";

import { equal, includes } from "./check.mjs";

const { PLAYGROUND_URL: url, PLAYGROUND_TOKEN: token } = process.env;

/** Tries, from a page of another origin, what such pages try. */
const attempts = async ({ url, token }) => {
  const calls = `${url}api/v1/entities/local/dev/calls`;
  const body = '{"tool":"add","arguments":{"a":1,"b":2}}';
  const attempt = async (action) => {
    try {
      const response = await action();
      return `${response.type} ${response.status}`;
    } catch {
      return "blocked";
    }
  };
  const socket = () =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${url.replace("http", "ws")}tools/sync?entity=local`);
      socket.onmessage = (message) => resolve(JSON.parse(message.data).type);
      socket.onclose = () => resolve("closed");
    });
  return {
    simplePost: await attempt(() => fetch(calls, { method: "POST", mode: "no-cors", body })),
    postWithToken: await attempt(() =>
      fetch(calls, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body,
      }),
    ),
    readPage: await attempt(() => fetch(url)),
    readHealth: await attempt(() => fetch(`${url}api/v1/health`)),
    socket: await socket(),
  };
};

async function a_foreign_page_gets_nowhere({ newPage, complaints }) {
  const server = createServer((_, response) =>
    response.setHeader("Content-Type", "text/html").end(`<title>evil</title><iframe src="${url}"></iframe>`),
  );
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const page = await newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const callsBefore = await count();
  equal("the attempts", await page.evaluate(attempts, { url, token }), {
    simplePost: "blocked",
    postWithToken: "blocked",
    readPage: "blocked",
    readHealth: "blocked",
    socket: "error",
  });
  equal("calls that were made", (await count()) - callsBefore, 0);
  const framed = page.frames().find((frame) => frame !== page.mainFrame());
  equal("the page in a frame", await framed.locator("#tabs").count(), 0);
  await page.close();
  server.close();
  // The browser says what it blocked; that is what was wanted.
  includes("the complaints", complaints.join(), "blocked");
  complaints.length = 0;
}

async function count() {
  const response = await fetch(`${url}api/v1/entities`, { headers: { Authorization: `Bearer ${token}` } });
  return (await response.json()).counters.calls;
}

export default [a_foreign_page_gets_nowhere];
