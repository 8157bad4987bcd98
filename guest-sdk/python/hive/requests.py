"""Calls to others over the broker: a message is published, and the reply to it is awaited.

The component's world must import ``hive:consumer/requests``, as hive:guest/requesting-consumer does.
"""

from datetime import timedelta

from componentize_py_types import Err
from wit_world.imports import requests as wit

from hive._answers import Publication, milliseconds
from hive._delivery import Reply


class RequestError(Exception):
    """A request without a reply."""

    def __init__(self, failure: str, text: str) -> None:
        super().__init__(text)
        self.failure = failure
        """``not-allowed``, ``refused``, ``unroutable``, ``timed-out``, ``disconnected`` or ``too-large``;
        wit/consumer.wit says more of each."""


def request(publication: Publication, *, timeout: timedelta | None = None) -> Reply:
    """Publishes a message and waits for the reply to it: ``request(to_queue("rpc.prices", json=…))``.

    The wait ends after ``timeout``, and in any case with the time of the call. Raises ``RequestError``.
    """
    if publication.delay_ms is not None:
        raise RequestError("refused", "a request cannot be delayed")
    try:
        reply = wit.request(
            publication.exchange,
            publication.routing_key,
            publication.message,
            milliseconds(timeout),
        )
    except Err as error:
        failure = error.value.failure.name.lower().replace("_", "-")
        raise RequestError(failure, error.value.text) from None
    return Reply(reply)
