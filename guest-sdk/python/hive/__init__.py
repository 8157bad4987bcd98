"""The Python SDK of Hive: a consumer is a function that takes a delivery and returns an answer.

    from hive import Answer, Delivery, Reject, consumer, to_queue

    def handle(delivery: Delivery) -> Answer:
        name = delivery.text()
        if not name:
            raise Reject("nobody to greet")
        return to_queue("greetings", text=f"hello {name}")

    Handler = consumer(handle)

The module needs ``wit_world``, the bindings that componentize-py generates for the world.
"""

from hive._answers import (
    Ack,
    Answer,
    Headers,
    HeaderValue,
    Nested,
    Publication,
    Reject,
    Retry,
    Timestamp,
    publication,
    to_queue,
)
from hive._consumer import consumer
from hive._delivery import Delivery, Reply

__all__ = [
    "Ack",
    "Answer",
    "Delivery",
    "HeaderValue",
    "Headers",
    "Nested",
    "Publication",
    "Reject",
    "Reply",
    "Retry",
    "Timestamp",
    "consumer",
    "publication",
    "to_queue",
]
