"""Does what the header ``do`` says: the guest of the contract test in Python."""

from datetime import datetime, timedelta, timezone
from typing import Any

from hive import Ack, Answer, Delivery, Publication, Reject, Retry, consumer, publication, to_queue
from hive.requests import RequestError, request


def handle(delivery: Delivery) -> Answer:
    delay_ms = delivery.headers.get("delay-ms")
    delay = timedelta(milliseconds=delay_ms) if isinstance(delay_ms, int) else None
    match delivery.headers.get("do"):
        case "ack":
            return Ack()
        case "echo":
            return delivery.forward("", "out")
        case "publish-none":
            return []
        case "publish-one":
            return to_queue("out", text="only")
        case "publish-several":
            return [to_queue("out", text=text) for text in ("first", "second", "third")]
        case "publish-everything":
            return publication("everything", "every.thing", **everything())
        case "publish-delayed":
            return to_queue("out", text="late", delay=delay)
        case "publish-nowhere":
            return publication("", "nowhere", mandatory=False)
        case "reply":
            return delivery.reply(text=f"to {delivery.text()}")
        case "request":
            return to_queue("out", text=asked(delivery.text(), delay))
        case "json":
            return to_queue("out", json={"got": delivery.json()})
        case "tell":
            return to_queue("out", text=told(delivery))
        case "retry":
            return Retry("not now")
        case "retry-after":
            return Retry("not now", delay=delay)
        case "reject":
            return Reject("never: ünïcode ✓")
        case "error":
            raise RuntimeError("plain words")
        case "exception":
            deep(delivery)
        case "trap":
            exhaust()
        case what:
            raise ValueError(f"nothing is called {what}")
    return Ack()


def everything() -> dict[str, Any]:
    return {
        "body": bytes([0, 255, 128, 10]),
        "headers": {
            "void": None,
            "yes": True,
            "no": False,
            "least": -(2**63),
            "most": 2**63 - 1,
            "small": -5,
            "double": 0.5,
            "whole": 2.0,
            "text": "ünïcode ✓",
            "bytes": bytes([0, 255]),
            "when": datetime.fromtimestamp(1_700_000_000, timezone.utc),
            "nested": {"list": [1, "x", True]},
            "list": [1, 2],
        },
        "persistent": False,
        "content_type": "text/plain",
        "content_encoding": "identity",
        "priority": 7,
        "correlation_id": "correlation",
        "reply_to": "answers",
        "expiration": timedelta(hours=1),
        "message_id": "id-1",
        "timestamp": 1_700_000_000,
        "type": "kind",
        "user_id": "guest",
        "app_id": "contract",
    }


def asked(text: str, timeout: timedelta | None) -> str:
    try:
        reply = request(to_queue("answers", text=text, type="question"), timeout=timeout)
    except RequestError as error:
        return error.failure
    return f"{reply.text()} {reply.properties.type} {reply.headers['number']}"


def told(delivery: Delivery) -> str:
    redelivered = str(delivery.redelivered).lower()
    parts = (delivery.queue, delivery.exchange, delivery.routing_key, redelivered, str(delivery.attempt))
    return "|".join(parts)


def deep(delivery: Delivery) -> None:
    try:
        raise KeyError(delivery.text())
    except KeyError as cause:
        raise ValueError("deep trouble") from cause


def exhaust() -> None:
    """Takes memory until there is none."""
    taken: list[bytes] = []
    while True:
        taken.append(b"x" * (1 << 20))




Handler = consumer(handle)
