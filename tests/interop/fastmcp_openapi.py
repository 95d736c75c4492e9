"""Makes an MCP server of an OpenAPI document, says how many tools it has, and waits to be measured."""

import asyncio
import json
import logging
import sys

import httpx2
from fastmcp import FastMCP

logging.disable(logging.CRITICAL)


async def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    client = httpx2.AsyncClient(base_url="http://127.0.0.1:1")
    server = FastMCP.from_openapi(openapi_spec=document, client=client)
    del document
    tools = await server.list_tools()
    print(json.dumps({"tools": len(tools)}), flush=True)
    sys.stdin.read()


asyncio.run(main())
