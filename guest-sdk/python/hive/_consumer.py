"""Connects a handler to the host."""

import re
import traceback
from collections.abc import Callable

from componentize_py_types import Err
from wit_world.exports import Handler as HandlerProtocol
from wit_world.imports import types as wit

from hive._answers import Ack, Answer, Publication, Reject, Retry, milliseconds
from hive._delivery import Delivery

_FRAMES = 20


def consumer(handle: Callable[[Delivery], Answer]) -> type[HandlerProtocol]:
    """Turns a function into the component's export: ``Handler = consumer(handle)``.

    An exception becomes the error of the delivery. The host retries the delivery by the consumer's
    policy and writes the text to the log and the dead letter, with the message, its causes, and the file
    and line of each call. A raised ``Reject`` or ``Retry`` counts as that answer.
    """

    class Handler(HandlerProtocol):
        def handle(self, delivery: wit.Delivery) -> wit.Action:
            try:
                return action(handle(Delivery(delivery)))
            except (Reject, Retry) as answer:
                return action(answer)
            except MemoryError:
                # The host reports the limit and makes a new instance.
                raise
            except (Exception, SystemExit) as error:
                raise Err(described(error)) from None

    return Handler


def action(answer: Answer) -> wit.Action:
    match answer:
        case Ack():
            return wit.Action_Ack()
        case Publication():
            return wit.Action_Publish([answer])
        case list():
            return wit.Action_Publish(answer)
        case Reject():
            return wit.Action_Reject(str(answer))
        case Retry():
            return wit.Action_Retry(wit.Retry(str(answer), milliseconds(answer.delay)))
        case _:
            raise TypeError(f"the handler gave {type(answer).__name__}, which is not an answer")


def described(error: BaseException) -> str:
    """The message first, because a dead letter keeps the beginning; then the place of the error."""
    told = traceback.TracebackException.from_exception(error, limit=-_FRAMES)
    lines = []
    before = ""
    seen: traceback.TracebackException | None = told
    while seen is not None:
        lines.append(before + "".join(seen.format_exception_only()).strip())
        own = [frame for frame in seen.stack if "/hive/_consumer.py" not in frame.filename]
        lines += [f'  File "{within_component(frame.filename)}", line {frame.lineno}, in {frame.name}' for frame in own]
        before = "caused by "
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(lines)


def within_component(path: str) -> str:
    """componentize-py keeps the sources in folders named by a number."""
    return re.sub(r"^/\d+/", "", path)
