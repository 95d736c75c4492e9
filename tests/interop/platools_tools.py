"""Tools of the Python package `platools`, the same as in `tests/tests/it/interop_doctor.rs`."""

from platools import Platools
from pydantic import BaseModel

platools = Platools()


class RefundResult(BaseModel):
    refund_id: str
    amount: int


@platools.tool(auth="user", roles=["support", "admin"])
def process_refund(order_id: str, reason: str) -> RefundResult:
    """Process a refund for an order.

    Args:
        order_id: The order ID to refund.
        reason:   Reason for the refund, surfaced in the audit log.
    """
    return RefundResult(refund_id="ref-" + order_id, amount=len(reason))


@platools.tool()
async def divide(dividend: int, divisor: int) -> int:
    """Divide a number by another.

    Args:
        dividend: The number to divide.
        divisor: What to divide it by.
    """
    if divisor == 0:
        raise ValueError("nothing can be divided by 0")
    return dividend // divisor


@platools.tool()
def echo(value: dict) -> dict:
    """Give back what came, as it came.

    Args:
        value: Anything at all.
    """
    return value


@platools.tool()
def is_true(switch: bool) -> bool:
    """Fail unless the switch is on.

    Args:
        switch: Whether it is on.
    """
    if switch is not True:
        raise ValueError(f"the switch is {switch!r}")
    return switch
