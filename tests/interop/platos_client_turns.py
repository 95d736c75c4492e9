"""The Python package `platos-client` does what the test asks for, and says what came of it, as JSON.

Asked on standard input: `{"url", "session_token"?, "api_key"?, "scope"?, "agent", "title", "message", "options"}`.
"""

import asyncio
import json
import sys

from platos_client import PlatosClient, PlatosError


async def main() -> None:
    asked = json.load(sys.stdin)
    scope = asked.get("scope")
    mode = {name: asked[name] for name in ("session_token", "api_key") if name in asked}
    async with PlatosClient(base_url=asked["url"], **mode) as client:
        agents = await client.agents.list(scope=scope)
        missing = await client.agents.get("agt_nobody", scope=scope)
        thread = await client.threads.create(agent_id=asked["agent"], title=asked["title"], scope=scope)
        listed = await client.threads.list(agent_id=asked["agent"], limit=5, scope=scope)
        try:
            await client.threads.create(agent_id="agt_nobody", scope=scope)
            refused = None
        except PlatosError as error:
            refused = error.status
        events = []
        async for event in client.threads.send(thread["id"], asked["message"], scope=scope, **asked["options"]):
            events.append(event)
        messages = await client.threads.messages(thread["id"], scope=scope)
        await client.threads.archive(thread["id"], scope=scope)
    print(
        json.dumps(
            {
                "agents": agents,
                "missing": missing,
                "thread": thread,
                "listed": listed,
                "refused": refused,
                "events": events,
                "messages": messages,
            }
        )
    )


asyncio.run(main())
