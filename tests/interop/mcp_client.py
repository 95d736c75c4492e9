"""The official Python client, driving `mcp-server`.

    mcp_client.py drive stdio|http VERSION TARGET   does everything once, and prints what it saw, as JSON
    mcp_client.py hold stdio|http VERSION TARGET    begins a call that does not end, says so, and waits to be killed

TARGET is the program or the URL, whose token is in MCP_SERVER_TOKEN. The same as `mcp_client.mjs`.
"""

import asyncio
import base64
import json
import os
import sys

import httpx2
import jsonschema
import mcp.client.session
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ToolListChangedNotification

TODO, WAY, VERSION, TARGET = sys.argv[1:]
MODERN = VERSION >= "2026"
PAGE = 7
# Nothing takes that long; it only ends what hangs.
GUARD = 60
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
# The client offers its newest version; older ones are asked for by making it older.
if not MODERN:
    mcp.client.session.LATEST_HANDSHAKE_VERSION = VERSION


def bearer(token: str | None = None) -> dict:
    return {"Authorization": f"Bearer {token or os.environ['MCP_SERVER_TOKEN']}"}


class Connection:
    """A client, and what the server told it without being asked."""

    def __init__(self, user: str | None = None, token: str | None = None):
        self.log = []
        self.changes = asyncio.Semaphore(0)
        variables = {name: os.environ[name] for name in ("RUST_LOG", "RUST_BACKTRACE") if name in os.environ}
        if WAY == "stdio":
            if user:
                variables["MCP_SERVER_USER_TOKEN"] = user
            transport = stdio_client(StdioServerParameters(command=TARGET, args=["stdio", str(PAGE)], env=variables))
        else:
            headers = bearer(token) | ({"X-Platos-User-Token": user} if user else {})
            # The default is 100 connections, and one of them listens.
            limits = httpx2.Limits(max_connections=200)
            http = httpx2.AsyncClient(headers=headers, limits=limits, timeout=GUARD)
            transport = streamable_http_client(TARGET, http_client=http, max_sse_event_size=None)
        self.client = Client(
            transport,
            mode="auto" if MODERN else "legacy",
            read_timeout_seconds=GUARD,
            logging_callback=self.logged,
            message_handler=self.told,
            cache=None,
        )

    async def logged(self, params):
        self.log.append([params.level, params.logger, params.data])

    async def told(self, message):
        if isinstance(message, ToolListChangedNotification):
            self.changes.release()

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.client.__aexit__(*error)

    async def call(self, tool, arguments=None, **options):
        return await self.client.call_tool(tool, arguments or {}, **options)

    async def text(self, tool, arguments=None, **options):
        """The text of a result, with `!` in front when it is an error."""
        result = await self.call(tool, arguments, **options)
        return ("!" if result.is_error else "") + "".join(part.text for part in result.content)

    async def refused(self, action):
        try:
            await action
        except MCPError as error:
            return [error.code, error.error.message]
        return "not refused"

    async def loud_from(self, level):
        """Asks for log messages of that level, and returns the options of a call that wants them."""
        if MODERN:
            return {"meta": {"io.modelcontextprotocol/logLevel": level}}
        await self.client.set_logging_level(level)
        return {}


async def until(is_so):
    """Notifications may come on another stream than answers: waits for them."""
    async with asyncio.timeout(GUARD):
        while not is_so():
            await asyncio.sleep(0.01)


async def listing(to) -> dict:
    pages, cursor = [], None
    while True:
        page = await to.client.list_tools(cursor=cursor)
        pages.append(page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    tools = {tool.name: tool for page in pages for tool in page}
    bad = await to.refused(to.client.list_tools(cursor="no cursor!"))
    add = tools["add"].model_dump(mode="json", by_alias=True, exclude_none=True)
    structured = {}
    for name, arguments in [("add", {"a": 2, "b": 3}), ("lookup_order", {"order_id": "ord-1042"}), ("folders", {"depth": 2})]:
        result = await to.call(name, arguments)
        schema = jsonschema.Draft202012Validator(tools[name].output_schema)
        schema.check_schema(schema.schema)
        schema.validate(result.structured_content)
        assert not schema.is_valid({"broken": True}), f"{name}: its schema allows everything"
        structured[name] = result.structured_content
    return {
        "pages": [len(page) for page in pages],
        "tools": list(tools),
        "bad cursor": bad,
        "add": {key: add.get(key) for key in ("description", "annotations", "inputSchema")},
        "structured": structured,
    }


async def contents(to) -> dict:
    parts = []
    for tool in ("test_multiple_content_types", "test_audio_content", "test_embedded_resource"):
        for part in (await to.call(tool)).content:
            if part.type == "text":
                parts.append(["text", part.text])
            elif part.type == "resource":
                parts.append(["resource", str(part.resource.uri), part.resource.mime_type, part.resource.text])
            else:
                parts.append([part.type, part.mime_type, len(base64.b64decode(part.data))])
    lines = 450_000
    long = await to.text("lines", {"count": lines})
    return {
        "parts": parts,
        "large": [len(long) > 5_000_000, long == "\n".join(f"line {line}" for line in range(lines))],
        "large argument": await to.text("length", {"text": "é" * 1_000_000}),
    }


async def errors(to) -> dict:
    return {
        "tool": await to.text("lookup_order", {"order_id": "ord-7"}),
        "unknown": await to.refused(to.call("lookup_ordr")),
        "arguments": await to.text("add", {"a": "two", "c": 3}),
        "panic": (await to.text("explode")).split("mcp-")[0],
        "inside": (await to.text("fail_inside")).split("mcp-")[0],
        "print": await to.text("print"),
        "no user": await to.text("account"),
    }


async def reports(to) -> dict:
    steps = []

    async def step(done, total, message):
        steps.append([done, total, message])
        if len(steps) == 3:
            await to.call("note", {"event": "steps seen"})

    # It ends only when all its reports were seen on the way.
    await to.call("climb", progress_callback=step)
    await to.call("speak", **await to.loud_from("warning"))
    await until(lambda: len(to.log) >= 2)
    quiet = list(to.log)
    to.log.clear()
    await to.call("speak", **await to.loud_from("debug"))
    await until(lambda: len(to.log) >= 4)
    return {"steps": steps, "quiet": quiet, "loud": [level for level, _, _ in to.log]}


async def begun(to, name) -> asyncio.Task:
    """A call that does not end by itself, once its handler runs."""
    running = asyncio.Event()

    async def step(*_):
        running.set()

    call = asyncio.create_task(to.call("hold", {"name": name}, progress_callback=step))
    async with asyncio.timeout(GUARD):
        await running.wait()
    return call


async def flight(to) -> dict:
    held = await begun(to, "held")
    held.cancel()
    noted = json.loads(await to.text("journal", {"event": "held cancelled"}))
    meeting = [to.text("meet", {"place": "here", "number": number, "of": 100}) for number in range(100)]
    met = await asyncio.gather(*meeting)
    return {"cancelled": noted, "met": met == [str(number) for number in range(100)]}


async def changes(to) -> dict:
    async def told():
        async with asyncio.timeout(GUARD):
            await to.changes.acquire()

    async def names():
        return [tool.name for tool in (await to.client.list_tools()).tools]

    async def come_and_go(told):
        await to.call("insert_tool", {"name": "aaa"})
        await told()
        there, hello = "aaa" in await names(), await to.text("aaa")
        gone = await to.text("remove_tool", {"name": "aaa"})
        await told()
        return [there, hello, gone, "aaa" in await names(), (await to.refused(to.call("aaa")))[0]]

    if not MODERN:
        return {"changes": await come_and_go(told)}
    async with to.client.listen(tools_list_changed=True) as subscription:

        async def event():
            async with asyncio.timeout(GUARD):
                await anext(subscription)

        return {"changes": await come_and_go(event)}


async def callers(to) -> dict:
    who = json.loads(await to.text("whoami", meta={"traceparent": TRACE}))
    async with Connection(user="user-usr_7") as user:
        account = await user.text("account")
    async with Connection(user="hunter2hunter2") as stranger:
        return {"who": who, "account": account, "stranger": await stranger.text("account")}


async def refusals() -> dict:
    """What HTTP requests are answered that should not be made."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    usual = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"} | bearer()
    async with httpx2.AsyncClient(timeout=GUARD) as http:

        async def post(body=ping, **headers):
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            return await http.post(TARGET, json=body, headers=usual | headers)

        wrong = await post(Authorization="Bearer hunter2hunter2hunter2")
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        begun = await post({**ping, "method": "initialize", "params": params})
        session = begun.headers["mcp-session-id"]
        ended = await http.delete(TARGET, headers=usual | {"Mcp-Session-Id": session})
        try:
            async with Connection(token="hunter2hunter2hunter2"):
                let_in = True
        except (MCPError, ExceptionGroup, httpx2.HTTPError):
            let_in = False
        return {
            "wrong token": [wrong.status_code, wrong.headers.get("www-authenticate")],
            "client with the wrong token is let in": let_in,
            "foreign origin": (await post(Origin="https://evil.example")).status_code,
            "foreign host": (await post(Host="evil.example")).status_code,
            "begun": begun.status_code,
            "ended": ended.status_code,
            "old session": (await post(Mcp_Session_Id=session)).status_code,
            "no session's": (await post(Mcp_Session_Id="nobody")).status_code,
        }


async def drive():
    async with Connection() as to:
        client, server = to.client, to.client.server_info
        report = {
            "version": client.protocol_version,
            "server": [server.name, server.version],
            "instructions": client.instructions,
        }
        for part in (listing, contents, errors, reports, flight, changes, callers):
            report |= await part(to)
    if WAY == "http":
        report["http"] = await refusals()
    print(json.dumps(report))


async def hold():
    async with Connection() as to:
        call = await begun(to, "held")
        print("running", flush=True)
        await call


asyncio.run(drive() if TODO == "drive" else hold())
