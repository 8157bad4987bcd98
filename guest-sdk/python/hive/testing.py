"""Deliveries for native unit tests of a handler."""

from typing import Any

from wit_world.imports import types as wit

from hive import Delivery, to_queue


def delivery(
    *,
    queue: str = "queue",
    exchange: str = "",
    routing_key: str = "queue",
    redelivered: bool = False,
    attempt: int = 1,
    stream_offset: int | None = None,
    **content: Any,
) -> Delivery:
    """A delivery at its first attempt; ``content`` is that of ``hive.publication``."""
    message = to_queue(queue, **content).message
    return Delivery(
        wit.Delivery(message, queue, exchange, routing_key, redelivered, attempt, stream_offset)
    )
