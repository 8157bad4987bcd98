"""A file of readings in, one message for each sound row and one report out."""

from collections.abc import Mapping

from cleaning.readings import Faulty, read
from hive import Answer, Delivery, Publication, Reject, publication, to_queue

EXCHANGE = "readings"
REPORTS = "readings.reports"


def clean(delivery: Delivery, settings: Mapping[str, str]) -> Answer:
    """Publishes each sound reading to the exchange, by its unit, and a report of the rest.

    ``settings`` is the component's configuration: ``decimals``, the places that a value is rounded to,
    and ``aliases.NAME``, the unit that a name stands for.
    """
    try:
        text = delivery.text()
    except UnicodeDecodeError as error:
        # It will be no more text next time, so a retry would only waste one.
        raise Reject(f"the file is not UTF-8: {error}") from error
    decimals = int(settings.get("decimals", "2"))
    rows = list(read(text, decimals, aliases(settings)))
    if not rows:
        raise Reject("the file has no rows")
    faults = [row for row in rows if isinstance(row, Faulty)]
    published: list[Publication] = [
        publication(
            EXCHANGE,
            f"{row.unit}.{row.sensor}",
            # As text, so that no reader makes a binary fraction of it.
            json={"sensor": row.sensor, "at": row.at.isoformat(), "value": str(row.value), "unit": row.unit},
            timestamp=row.at,
            headers={"line": row.line},
        )
        for row in rows
        if not isinstance(row, Faulty)
    ]
    report = {
        "file": delivery.properties.message_id,
        "sound": len(published),
        "faulty": [{"line": fault.line, "fault": fault.fault} for fault in faults],
    }
    return [*published, to_queue(REPORTS, json=report)]


def aliases(settings: Mapping[str, str]) -> dict[str, str]:
    prefix = "aliases."
    return {key.removeprefix(prefix): unit for key, unit in settings.items() if key.startswith(prefix)}
