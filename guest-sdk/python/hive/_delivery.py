"""Reading a delivery."""

import json
from functools import cached_property
from typing import Any

from wit_world.imports import types as wit

from hive import _headers
from hive._answers import Headers, Publication, Reject, to_queue


class Received:
    """A message as it arrived."""

    def __init__(self, message: wit.Message) -> None:
        self.message = message
        """Properties and body as they arrived, each header with its AMQP type."""

    @property
    def properties(self) -> wit.Properties:
        return self.message.properties

    @property
    def body(self) -> bytes:
        """The raw bytes, exactly as published."""
        return bytes(self.message.body)

    @cached_property
    def headers(self) -> Headers:
        """The headers as Python values."""
        return {name: _headers.read(value) for name, value in self.properties.headers}

    def text(self) -> str:
        """The body as text. Raises ``UnicodeDecodeError`` if it is not UTF-8."""
        return self.body.decode()

    def json(self, **options: Any) -> Any:
        """The body as JSON; ``options`` are those of ``json.loads``, such as ``parse_float=Decimal``.

        Raises ``json.JSONDecodeError``, or ``UnicodeDecodeError``: both are a ``ValueError``.
        """
        return json.loads(self.text(), **options)


class Reply(Received):
    """The reply to a request; ``hive.requests.request`` returns it."""


class Delivery(Received):
    """One message, as it was consumed from one queue."""

    def __init__(self, raw: wit.Delivery) -> None:
        super().__init__(raw.message)
        self.queue = raw.queue
        """The queue that it was consumed from."""
        self.exchange = raw.exchange
        """The exchange that it was published to; empty for the default exchange. A retry keeps it."""
        self.routing_key = raw.routing_key
        """The routing key that it was published with. A retry keeps it."""
        self.redelivered = raw.redelivered
        """The broker delivered this message before and got no answer."""
        self.attempt = raw.attempt
        """1 for the first attempt, then one more for each retry. Redeliveries do not count."""
        self.stream_offset = raw.stream_offset
        """The offset in a stream."""

    def forward(self, exchange: str, routing_key: str, *, mandatory: bool = True) -> Publication:
        """A publication of the unchanged message: body, properties, every header with its AMQP type."""
        return Publication(exchange, routing_key, self.message, mandatory, None)

    def reply(self, **content: Any) -> Publication:
        """A publication to the ``reply-to`` of the message with its correlation id. It is not mandatory,
        because the requester may be gone. ``content`` is that of ``publication``. Raises ``Reject`` if the
        message has no reply-to.
        """
        queue = self.properties.reply_to
        if not queue:
            raise Reject("the message says no reply-to")
        told = {"mandatory": False, "correlation_id": self.properties.correlation_id}
        return to_queue(queue, **(told | content))
