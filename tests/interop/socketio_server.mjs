// A server of the real Socket.IO, with the namespace /agent. Prints its port, then a line of JSON for all that happens.
//
//   node socketio_server.mjs PACKAGES [recovery]

import { createRequire } from "node:module";
import { createServer } from "node:http";
import { join } from "node:path";

const [packages, recovery] = process.argv.slice(2);
const { Server } = createRequire(join(packages, "package.json"))("socket.io");

const http = createServer();
const io = new Server(http, {
  pingInterval: 300,
  pingTimeout: 1000,
  ...(recovery ? { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } } : {}),
});
const say = (what) => console.log(JSON.stringify(what));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const token = (text) => ({ type: "token", text });
const done = { type: "done", usage: { outputTokens: 1 } };

const agent = io.of("/agent");
agent.use((socket, next) => {
  if (socket.handshake.headers["x-platos-session-token"] === "good.session.token") return next();
  next(Object.assign(new Error("Unauthorized"), { data: { status: 401 } }));
});

const turns = {
  async slow(socket) {
    for (const word of ["one ", "two ", "three ", "four"]) {
      socket.emit("agent_event", token(word));
      await sleep(900);
    }
    socket.emit("agent_event", done);
  },
  async drop(socket) {
    for (const word of ["a ", "b ", "c "]) socket.emit("agent_event", token(word));
    await sleep(50);
    socket.conn.transport.socket.terminate();
  },
  // Words that all look alike, two of them into a connection that is gone.
  async alike(socket) {
    for (let said = 0; said < 3; said++) socket.emit("agent_event", token("ha "));
    await sleep(50);
    const session = agent.to(socket.id);
    socket.conn.transport.socket.terminate();
    await sleep(5);
    for (let said = 0; said < 2; said++) session.emit("agent_event", token("ha "));
  },
  async flood(socket) {
    for (let said = 0; said < 3000; said++) socket.emit("agent_event", { ...token(`${said} `), pad: "x".repeat(2000) });
    socket.emit("agent_event", done);
  },
  async binary(socket) {
    socket.emit("agent_event", { type: "token", text: Buffer.from("binary") });
  },
  async asked(socket) {
    const answer = await socket.timeout(5000).emitWithAck("agent_event", token("acknowledged"));
    say({ acknowledged: answer ?? null });
    socket.emit("agent_event", done);
  },
  async kick(socket) {
    socket.emit("agent_event", token("a "));
    socket.disconnect();
  },
};

agent.on("connection", (socket) => {
  say({ connected: true, recovered: socket.recovered });
  socket.on("message", (data) => {
    say({ message: data });
    turns[data.message](socket);
  });
  socket.on("resume_stream", async (data) => {
    say({ resume_stream: data });
    if (recovery) await sleep(50);
    else socket.emit("agent_event", token("d "));
    socket.emit("agent_event", done);
  });
  socket.on("stop", (data) => say({ stop: data }));
  socket.on("disconnect", (reason) => say({ disconnected: reason }));
});

http.listen(0, "127.0.0.1", () => say({ port: http.address().port }));
