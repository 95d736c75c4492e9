// A server of the real Socket.IO, with the namespace /agent. Prints its port, then a line of JSON for all that happens.
//
//   node socketio_server.mjs PACKAGES [recovery]

import { createRequire } from "node:module";
import { createServer } from "node:http";
import { join } from "node:path";

const [packages, recovery] = process.argv.slice(2);
const { Server } = createRequire(join(packages, "package.json"))("socket.io");

// What was said and answered, as GET threads/thr_1/messages tells it.
let messages = [];
const stored = (role, content) => messages.push({ id: "m1", role, content, createdAt: new Date().toISOString() });
const http = createServer((request, response) => {
  const known = request.url.startsWith("/api/v1/agent/threads/thr_1/messages");
  response.writeHead(known ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(known ? { messages, total: messages.length } : { statusCode: 404, message: "Not found" }));
});
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
const good = new Set(["good.session.token", "another.session.token"]);

const turns = {
  async slow(socket) {
    for (const word of ["one ", "two ", "three ", "four"]) {
      socket.emit("agent_event", token(word));
      await sleep(900);
    }
    socket.emit("agent_event", done);
  },
  async named(socket) {
    const renamed = (threadId) => ({ type: "thread.renamed", threadId, title: `That of ${threadId}` });
    socket.emit("server.deprecation", { code: "SHARED_AGENT_NAMESPACE", message: "Connect to /agent/{agentId}." });
    agent.emit("thread_event", renamed("thr_2"));
    agent.emit("thread_event", renamed("thr_1"));
    socket.emit("agent_event", done);
  },
  async drop(socket) {
    for (const word of ["a ", "b ", "c "]) socket.emit("agent_event", token(word));
    await sleep(50);
    socket.conn.transport.socket.terminate();
    await sleep(200);
    stored("assistant", "a b c d ");
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
    stored("assistant", "a d ");
  },
  async expire(socket) {
    socket.emit("agent_event", token("a "));
    socket.emit("error", { code: "SESSION_EXPIRED", message: "The session has expired." });
    socket.disconnect();
    stored("assistant", "a d ");
  },
  async ask(socket) {
    socket.emit("agent_event", { type: "approval_needed", approvalId: "apr_1", action: "delete it" });
    socket.once("approval_response", (decision) => {
      say({ approval_response: decision });
      socket.emit("approval_ack", { approvalId: decision.approvalId, received: true });
      socket.emit("agent_event", token(decision.approved ? "approved" : "rejected"));
      socket.emit("agent_event", done);
    });
  },
};

agent.on("connection", (socket) => {
  say({ connected: true, recovered: socket.recovered });
  // As the gateway does: who is there is looked at after the namespace is connected.
  if (!good.has(socket.handshake.headers["x-platos-session-token"])) {
    socket.emit("error", { message: "Invalid or expired session token." });
    return socket.disconnect();
  }
  if (!socket.recovered) socket.emit("connected", { status: "ok", socketId: socket.id });
  else setTimeout(() => socket.emit("agent_event", done), 50);
  socket.on("message", (data) => {
    say({ message: data });
    messages = [];
    stored("user", data.message);
    turns[data.message](socket);
  });
  socket.on("join_thread", (data) => {
    say({ join_thread: data });
    socket.emit("joined_thread", data);
  });
  socket.on("stop", (data) => say({ stop: data }));
  socket.on("disconnect", (reason) => say({ disconnected: reason }));
});

http.listen(0, "127.0.0.1", () => say({ port: http.address().port }));
