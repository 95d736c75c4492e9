"""A host of the Python package `platools`, configured by PLATOS_URL and PLATOS_SECRET."""

import asyncio

from platools import Platools, current_call_id, current_user_id

platools = Platools()


@platools.tool(auth="user", roles=["support"])
def lookup_order(order_id: str, quantity: int, gift: bool = False) -> dict:
    """Look up one order by id.

    Args:
        order_id: The order to look up.
        quantity: How many of it.
        gift: Whether it is a gift.
    """
    return {"order_id": order_id, "quantity": quantity, "gift": gift, "text": "naïve ☕ 🚀"}


@platools.tool()
async def whoami(ctx) -> dict:
    """Say who is calling."""
    return {
        "user": current_user_id(),
        "call": current_call_id(),
        "context_call": ctx.call_id,
        "context": dict(ctx.context),
    }


@platools.tool()
async def fail(message: str) -> str:
    """Fail with a message."""
    raise RuntimeError(message)


@platools.tool()
async def huge(bytes: int) -> str:
    """Answer with a long text."""
    return "x" * bytes


if __name__ == "__main__":
    asyncio.run(platools.connect())
