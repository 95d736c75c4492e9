"""A host of the Python package `platools` with the tool of the speed measurement."""

import asyncio

from platools import Platools

platools = Platools()


@platools.tool()
async def add(a: int, b: int, note: str) -> int:
    """Add two whole numbers."""
    return a + b


if __name__ == "__main__":
    asyncio.run(platools.connect())
