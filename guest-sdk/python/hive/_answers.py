"""The return values of a handler, and how to make a publication."""

import json as _json
from datetime import datetime, timedelta
from typing import Any, Union

from wit_world.imports import types as wit

from hive import _headers
from hive._headers import Headers, HeaderValue, Nested, Timestamp

__all__ = ["Headers", "HeaderValue", "Nested", "Timestamp"]

Publication = wit.Publication
"""A message for the host to publish: made by ``publication``, ``to_queue``, ``Delivery.forward`` or
``Delivery.reply``."""


class Ack:
    """Done: the delivery is acknowledged."""


class Reject(Exception):
    """Never: the delivery is dead-lettered now, for this reason. Return it, or raise it from anywhere."""


class Retry(Exception):
    """Not now: the delivery comes again after ``delay``, or after that of the consumer's retry policy.
    Return it, or raise it from anywhere."""

    def __init__(self, reason: str, *, delay: timedelta | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


Answer = Union[Ack, Publication, list[Publication], Reject, Retry]
"""The return value of a handler. Several publications are published in their order; the host
acknowledges the delivery when the broker has confirmed all of them."""

_NOTHING = object()


def publication(
    exchange: str,
    routing_key: str,
    *,
    json: Any = _NOTHING,
    text: str | None = None,
    body: bytes | None = None,
    headers: Headers | None = None,
    mandatory: bool = True,
    delay: timedelta | None = None,
    persistent: bool = True,
    content_type: str | None = None,
    content_encoding: str | None = None,
    priority: int | None = None,
    correlation_id: str | None = None,
    reply_to: str | None = None,
    expiration: timedelta | None = None,
    message_id: str | None = None,
    timestamp: datetime | int | None = None,
    type: str | None = None,
    user_id: str | None = None,
    app_id: str | None = None,
) -> Publication:
    """A publication to an exchange: persistent and mandatory by default.

    It has one of ``json`` (content type ``application/json``, unless you set another), ``text`` and
    ``body``, or is empty. Without a ``message_id``, the host derives one from the delivery, the same at
    every attempt.
    """
    if (json is not _NOTHING) + (text is not None) + (body is not None) > 1:
        raise TypeError("a message has one of json, text and body")
    if json is not _NOTHING:
        body = _json.dumps(json, ensure_ascii=False).encode()
        content_type = content_type or "application/json"
    elif text is not None:
        body = text.encode()
    properties = wit.Properties(
        content_type=content_type,
        content_encoding=content_encoding,
        headers=[(name, _headers.written(name, value)) for name, value in (headers or {}).items()],
        persistent=persistent,
        priority=priority if priority is None else _headers.within(priority, 0, 255, "the priority"),
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration_ms=milliseconds(expiration),
        message_id=message_id,
        timestamp=_headers.seconds(timestamp) if isinstance(timestamp, datetime) else timestamp,
        type=type,
        user_id=user_id,
        app_id=app_id,
    )
    return Publication(
        exchange, routing_key, wit.Message(properties, body or b""), mandatory, milliseconds(delay)
    )


def to_queue(queue: str, **content: Any) -> Publication:
    """The same for a queue, through the default exchange."""
    return publication("", queue, **content)


def milliseconds(time: timedelta | None) -> int | None:
    if time is None:
        return None
    return _headers.within(time // timedelta(milliseconds=1), 0, 2**64 - 1, "a time")
