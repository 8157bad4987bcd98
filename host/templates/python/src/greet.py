"""Greets: a name in JSON comes in, a greeting goes out."""

from hive import Answer, Delivery, Reject, to_queue


def greet(delivery: Delivery) -> Answer:
    greeting = f"hello {name_in(delivery)}"
    return to_queue("{{name}}.out", text=greeting)


def name_in(delivery: Delivery) -> str:
    try:
        match delivery.json():
            case {"name": str(name)}:
                return name
    except ValueError as error:
        # It will be as malformed next time, so a retry would only waste one.
        raise Reject(f"the body is not JSON: {error}") from error
    raise Reject("the message has no name")
