"""Does to a container what the body asks for, as tests/guests/examples/objects.rs does."""

from hive import Answer, Delivery, consumer, to_queue
from hive.objects import Container, ObjectError


def handle(delivery: Delivery) -> Answer:
    words = delivery.text().split(" ")
    if words[0] == "fail":
        return to_queue("out", text=carry_out(words[1:]))
    try:
        return to_queue("out", text=carry_out(words))
    except ObjectError as error:
        return to_queue("out", text=f"error: {error}")


def carry_out(words: list[str]) -> str:
    container = Container(words[0])
    match words[1:]:
        case ["put", name, content]:
            container.put(name, content.encode())
        case ["put-large", name, size]:
            container.put(name, b"\x01" * int(size))
        case ["get", name]:
            content_of = container.get(name)
            return "-" if content_of is None else content_of.decode()
        case ["size", name]:
            info = container.info(name)
            return "-" if info is None else str(info.size)
        case ["exists", name]:
            return str(container.exists(name)).lower()
        case ["delete", name]:
            container.delete(name)
        case ["names"]:
            return " ".join(sorted(container.names()))
        case ["copy", name, target, to]:
            container.copy(name, Container(target), to)
        case _:
            return "what?"
    return "done"


Handler = consumer(handle)
