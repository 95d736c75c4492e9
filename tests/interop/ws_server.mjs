// A server with npm's `ws`, which says what it is told on standard input and prints all that comes, as lines of JSON.
//
//   node ws_server.mjs PACKAGES [CERTIFICATE KEY]
//
// Told: {"send": TEXT}, {"close": [CODE, REASON]}. Printed: {"port"}, {"open"}, {"message"}, {"closed": [CODE, REASON]}.

import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createServer as createEncrypted } from "node:https";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [packages, certificate, key] = process.argv.slice(2);
const { WebSocketServer } = createRequire(join(packages, "package.json"))("ws");
const say = (what) => console.log(JSON.stringify(what));

const http = certificate
  ? createEncrypted({ cert: readFileSync(certificate), key: readFileSync(key) })
  : createServer();
let socket;
new WebSocketServer({ server: http }).on("connection", (opened, request) => {
  socket = opened;
  opened.on("message", (data) => say({ message: data.toString() }));
  opened.on("close", (code, reason) => say({ closed: [code, reason.toString()] }));
  opened.on("error", (error) => say({ error: String(error) }));
  say({ open: request.url });
});
http.listen(0, "127.0.0.1", () => say({ port: http.address().port }));

createInterface({ input: process.stdin }).on("line", (line) => {
  const { send, close } = JSON.parse(line);
  if (send !== undefined) socket.send(send);
  if (close) socket.close(...close);
});
