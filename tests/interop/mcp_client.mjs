// The official TypeScript client, driving `mcp-server`.
//
//   mcp_client.mjs PACKAGES drive stdio|http VERSION TARGET   does everything once, and prints what it saw, as JSON
//   mcp_client.mjs PACKAGES hold stdio|http VERSION TARGET    begins a call that does not end, says so, and waits
//                                                             to be killed
//   mcp_client.mjs PACKAGES end stdio VERSION TARGET          ends the input with 20 calls in flight, and prints
//                                                             their answers
//
// PACKAGES is the folder where the client is installed, TARGET the program or the URL, whose token is in
// MCP_SERVER_TOKEN. The same as `mcp_client.py`.

import { once } from 'node:events';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const [packages, todo, way, version, target] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${packages}/package.json`));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = require('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const types = require('@modelcontextprotocol/sdk/types.js');
const { AjvJsonSchemaValidator } = require('@modelcontextprotocol/sdk/validation/ajv');

const page = 7;
// Nothing takes that long; it only ends what hangs.
const guard = 60_000;
const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const token = process.env.MCP_SERVER_TOKEN;

function transportOf({ user, bearer = token }) {
    if (way === 'stdio') {
        const env = { ...process.env, ...(user && { MCP_SERVER_USER_TOKEN: user }) };
        return new StdioClientTransport({ command: target, args: ['stdio', String(page)], env });
    }
    const headers = { Authorization: `Bearer ${bearer}`, ...(user && { 'X-Platos-User-Token': user }) };
    return new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } });
}

/** A client, and what the server told it without being asked. */
class Connection {
    log = [];
    changes = 0;

    static async open(options = {}) {
        const to = new Connection();
        to.transport = transportOf(options);
        // The client offers its newest version; older ones are asked for by changing what it sends.
        const send = to.transport.send.bind(to.transport);
        to.transport.send = (message, ...more) => {
            if (message.method === 'initialize') message.params.protocolVersion = version;
            return send(message, ...more);
        };
        const setVersion = to.transport.setProtocolVersion?.bind(to.transport);
        to.transport.setProtocolVersion = (version) => {
            to.version = version;
            setVersion?.(version);
        };
        to.client = new Client({ name: 'interop', version: '1' });
        to.client.setNotificationHandler(types.LoggingMessageNotificationSchema, ({ params }) => {
            to.log.push([params.level, params.logger, params.data]);
        });
        to.client.setNotificationHandler(types.ToolListChangedNotificationSchema, () => {
            to.changes += 1;
        });
        await to.client.connect(to.transport);
        return to;
    }

    call(name, args = {}, { meta, ...options } = {}) {
        const params = { name, arguments: args, ...(meta && { _meta: meta }) };
        return this.client.callTool(params, undefined, { timeout: guard, ...options });
    }

    /** The text of a result, with `!` in front when it is an error. */
    async text(name, args, options) {
        const result = await this.call(name, args, options);
        return (result.isError ? '!' : '') + result.content.map((part) => part.text).join('');
    }

    async close() {
        if (way === 'http') await this.transport.terminateSession();
        await this.client.close();
    }
}

const refused = (action) =>
    action.then(
        () => 'not refused',
        (error) => [error.code, error.message.replace(/^MCP error -\d+: /, '')],
    );

/** Notifications may come on another stream than answers: waits for them. */
async function until(isSo) {
    for (const begun = Date.now(); !isSo(); await sleep(10)) {
        if (Date.now() - begun > guard) throw new Error(`never: ${isSo}`);
    }
}

async function listing(to) {
    const pages = [];
    let cursor;
    do {
        const answer = await to.client.listTools({ cursor });
        pages.push(answer.tools);
        cursor = answer.nextCursor;
    } while (cursor);
    const tools = new Map(pages.flat().map((tool) => [tool.name, tool]));
    const bad = await refused(to.client.listTools({ cursor: 'no cursor!' }));
    const { description, annotations, inputSchema } = tools.get('add');
    const structured = {};
    const calls = { add: { a: 2, b: 3 }, lookup_order: { order_id: 'ord-1042' }, folders: { depth: 2 } };
    for (const [name, args] of Object.entries(calls)) {
        const { structuredContent } = await to.call(name, args);
        const check = new AjvJsonSchemaValidator().getValidator(tools.get(name).outputSchema);
        const { valid, errorMessage } = check(structuredContent);
        if (!valid) throw new Error(`${name}: ${errorMessage}`);
        if (check({ broken: true }).valid) throw new Error(`${name}: its schema allows everything`);
        structured[name] = structuredContent;
    }
    return {
        pages: pages.map((tools) => tools.length),
        tools: [...tools.keys()],
        'bad cursor': bad,
        add: { description, annotations, inputSchema },
        structured,
    };
}

async function contents(to) {
    const parts = [];
    for (const tool of ['test_multiple_content_types', 'test_audio_content', 'test_embedded_resource']) {
        for (const { type, text, data, mimeType, resource } of (await to.call(tool)).content) {
            if (type === 'text') parts.push([type, text]);
            else if (type === 'resource') parts.push([type, resource.uri, resource.mimeType, resource.text]);
            else parts.push([type, mimeType, Buffer.from(data, 'base64').length]);
        }
    }
    const count = 450_000;
    const long = await to.text('lines', { count });
    const expected = Array.from({ length: count }, (_, line) => `line ${line}`).join('\n');
    return {
        parts,
        large: [long.length > 5_000_000, long === expected],
        'large argument': await to.text('length', { text: 'é'.repeat(1_000_000) }),
    };
}

async function errors(to) {
    return {
        tool: await to.text('lookup_order', { order_id: 'ord-7' }),
        unknown: await refused(to.call('lookup_ordr')),
        arguments: await to.text('add', { a: 'two', c: 3 }),
        panic: (await to.text('explode')).split('mcp-')[0],
        inside: (await to.text('fail_inside')).split('mcp-')[0],
        print: await to.text('print'),
        'no user': await to.text('account'),
    };
}

async function reports(to) {
    const steps = [];
    const onprogress = ({ progress, total, message = null }) => {
        if (steps.push([progress, total, message]) === 3) to.call('note', { event: 'steps seen' });
    };
    // It ends only when all its reports were seen on the way. (Of one that comes in one piece with the answer, this
    // client tells nobody.)
    await to.call('climb', {}, { onprogress });
    await to.client.setLoggingLevel('warning');
    await to.call('speak');
    await until(() => to.log.length >= 2);
    const quiet = to.log.splice(0);
    await to.client.setLoggingLevel('debug');
    await to.call('speak');
    await until(() => to.log.length >= 4);
    return { steps, quiet, loud: to.log.map(([level]) => level) };
}

/** A call whose handler runs. What it ends with is in `ended`. */
async function begun(to, tool, args) {
    const running = Promise.withResolvers?.() ?? deferred();
    const call = new AbortController();
    const ended = to.text(tool, args, { onprogress: running.resolve, signal: call.signal });
    ended.catch(running.reject);
    await running.promise;
    return { ended, cancel: () => call.abort() };
}

// `Promise.withResolvers`, which came with Node 22.
function deferred() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
}

async function flight(to) {
    const held = await begun(to, 'hold', { name: 'held' });
    held.cancel();
    const noted = JSON.parse(await to.text('journal', { event: 'held cancelled' }));
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const met = await Promise.all(numbers.map((number) => to.text('meet', { place: 'here', number, of: 100 })));
    return { cancelled: noted, met: met.every((number, index) => number === String(index)) };
}

async function changes(to) {
    const names = async () => (await to.client.listTools()).tools.map(({ name }) => name);
    await to.call('insert_tool', { name: 'aaa' });
    await until(() => to.changes === 1);
    const [there, hello] = [(await names()).includes('aaa'), await to.text('aaa')];
    const gone = await to.text('remove_tool', { name: 'aaa' });
    await until(() => to.changes === 2);
    return { changes: [there, hello, gone, (await names()).includes('aaa'), (await refused(to.call('aaa')))[0]] };
}

async function callers(to) {
    const who = JSON.parse(await to.text('whoami', {}, { meta: { traceparent: trace } }));
    const account = async (user) => {
        const other = await Connection.open({ user });
        const text = await other.text('account');
        await other.close();
        return text;
    };
    return { who, account: await account('user-usr_7'), stranger: await account('hunter2hunter2') };
}

/** What HTTP requests are answered that should not be made. */
async function refusals() {
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const usual = {
        Accept: 'application/json, text/event-stream',
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        'MCP-Protocol-Version': '2025-11-25',
    };
    async function send(headers, { method = 'POST', body = ping } = {}) {
        const sent = request(target, { method, headers: { ...usual, ...headers } });
        sent.end(method === 'POST' ? JSON.stringify(body) : undefined);
        const [answer] = await once(sent, 'response');
        answer.resume();
        return answer;
    }
    const status = async (...asked) => (await send(...asked)).statusCode;
    const wrong = await send({ Authorization: 'Bearer hunter2hunter2hunter2' });
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    const begun = await send({}, { body: { ...ping, method: 'initialize', params } });
    const session = { 'Mcp-Session-Id': begun.headers['mcp-session-id'] };
    const ended = await status(session, { method: 'DELETE' });
    const letIn = await Connection.open({ bearer: 'hunter2hunter2hunter2' }).then(
        () => true,
        () => false,
    );
    return {
        'wrong token': [wrong.statusCode, wrong.headers['www-authenticate']],
        'client with the wrong token is let in': letIn,
        'foreign origin': await status({ Origin: 'https://evil.example' }),
        'foreign host': await status({ Host: 'evil.example' }),
        begun: begun.statusCode,
        ended,
        'old session': await status(session),
        "no session's": await status({ 'Mcp-Session-Id': 'nobody' }),
    };
}

async function drive() {
    const to = await Connection.open();
    const server = to.client.getServerVersion();
    const report = {
        version: to.version,
        server: [server.name, server.version],
        instructions: to.client.getInstructions(),
    };
    for (const part of [listing, contents, errors, reports, flight, changes, callers]) {
        Object.assign(report, await part(to));
    }
    await to.close();
    if (way === 'http') report.http = await refusals();
    console.log(JSON.stringify(report));
}

async function hold() {
    const to = await Connection.open();
    const held = await begun(to, 'hold', { name: 'held' });
    console.log('running');
    await held.ended;
}

async function end() {
    const to = await Connection.open();
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const calls = await Promise.all(numbers.map((number) => begun(to, 'wait', { ms: 1_000, number })));
    const answers = Promise.allSettled(calls.map(({ ended }) => ended));
    await to.client.close();
    console.log(JSON.stringify((await answers).map(({ value, reason }) => value ?? String(reason))));
}

await { drive, hold, end }[todo]();
// Timers and connections of the client are left over for some seconds.
process.exit();
