"""Rows of a sensor's file, as spreadsheets of several countries write them."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

COLUMNS = ("sensor", "at", "value", "unit")


@dataclass(frozen=True)
class Reading:
    """A row that is sound."""

    line: int
    sensor: str
    at: datetime
    value: Decimal
    unit: str


@dataclass(frozen=True)
class Faulty:
    """A row that is not, and why."""

    line: int
    fault: str


def read(text: str, decimals: int, aliases: Mapping[str, str]) -> Iterator[Reading | Faulty]:
    """Each row, clean or with its fault. The separator is the one that the first line uses."""
    first = text.lstrip("\ufeff").partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator)
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or []]
    missing = [column for column in COLUMNS if column not in rows.fieldnames]
    if missing:
        yield Faulty(1, f"the columns {', '.join(missing)} are missing")
        return
    for row in rows:
        try:
            cells = {column: (row[column] or "").strip() for column in COLUMNS}
            yield Reading(
                line=rows.line_num,
                sensor=present(cells, "sensor").lower(),
                at=moment(present(cells, "at")),
                value=number(present(cells, "value"), decimals),
                unit=aliases.get(cells["unit"].lower(), cells["unit"].lower()),
            )
        except ValueError as fault:
            yield Faulty(rows.line_num, str(fault))


def present(cells: Mapping[str, str], column: str) -> str:
    if not cells[column]:
        raise ValueError(f"{column} is empty")
    return cells[column]


def number(text: str, decimals: int) -> Decimal:
    """``1.234,5`` and ``1,234.5`` are the same number: the last of the two marks is the decimal one."""
    comma, point = text.rfind(","), text.rfind(".")
    thousands, decimal = (",", ".") if point > comma else (".", ",")
    plain = text.replace(thousands, "").replace(decimal, ".").replace("\u00a0", "").replace(" ", "")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a number")
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def moment(text: str) -> datetime:
    """A moment in ISO 8601, in UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a moment in ISO 8601") from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
