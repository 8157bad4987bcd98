"""Conversions of header values between Python's types and the contract's."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Union

from wit_world.imports import types as wit


class Timestamp(int):
    """Seconds since the Unix epoch, also beyond the range of ``datetime``."""


class Nested(str):
    """A table or an array as JSON text, kept unchanged."""


HeaderValue = Union[
    None, bool, int, float, str, bytes, datetime, Timestamp, Nested, Mapping[str, Any], Sequence[Any]
]
"""A header as it is read and written: a ``datetime`` is a timestamp, an ``int`` an integer of 64 bits,
a ``float`` a double, ``None`` a void, a mapping or a sequence a nested table or array."""

Headers = Mapping[str, HeaderValue]


def read(value: wit.FieldValue) -> HeaderValue:
    match value:
        case wit.FieldValue_Void():
            return None
        case wit.FieldValue_Nested(text):
            nested: HeaderValue = json.loads(text)
            return nested
        case wit.FieldValue_Timestamp(seconds):
            try:
                return datetime.fromtimestamp(seconds, timezone.utc)
            except (OverflowError, ValueError, OSError):
                return Timestamp(seconds)
        case wit.FieldValue_Bytes(content):
            return bytes(content)
        case _:
            return value.value


def written(name: str, value: HeaderValue) -> wit.FieldValue:
    match value:
        case None:
            return wit.FieldValue_Void()
        case bool():
            return wit.FieldValue_Boolean(value)
        case Timestamp():
            return wit.FieldValue_Timestamp(within(int(value), 0, 2**64 - 1, f"the header {name}"))
        case int():
            return wit.FieldValue_Integer(within(value, -(2**63), 2**63 - 1, f"the header {name}"))
        case float():
            return wit.FieldValue_Double(value)
        case Nested():
            return wit.FieldValue_Nested(str(value))
        case str():
            return wit.FieldValue_Text(value)
        case bytes() | bytearray():
            return wit.FieldValue_Bytes(bytes(value))
        case datetime():
            return wit.FieldValue_Timestamp(seconds(value))
        case Mapping():
            return wit.FieldValue_Nested(json.dumps(dict(value)))
        case Sequence():
            return wit.FieldValue_Nested(json.dumps(list(value)))
        case _:
            raise TypeError(f"the header {name} is a {type(value).__name__}")


def seconds(moment: datetime) -> int:
    """Seconds since the Unix epoch of a moment, which must have a time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return within(int(moment.timestamp()), 0, 2**64 - 1, "a timestamp")


def within(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        raise ValueError(f"{what} is {value}, which is out of range")
    return value
