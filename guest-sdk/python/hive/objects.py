"""Objects in buckets and directories, ``allow.blobstore`` in hive.toml.

The component's world must import ``wasi:blobstore/blobstore``, as hive:guest/storing-consumer does. An object store
that is away, full or refuses the host is an ``ObjectError``; a handler that raises it has its deliveries kept by the
host, and no retry is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from componentize_py_types import Err
from wit_world.imports import blobstore, container, streams, wasi_blobstore_types as wit

_END = 2**64 - 1
_T = TypeVar("_T")


class ObjectError(Exception):
    """Why an object store did not do what it was asked."""


@dataclass(frozen=True)
class Info:
    """What is known of an object: bytes, and the last write in seconds since 1970."""

    size: int
    written: int


class Container:
    """The objects under one name of ``allow.blobstore``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._container: container.Container = _done(lambda: blobstore.get_container(name))

    def put(self, name: str, content: bytes) -> None:
        """Writes an object, and replaces one of the same name. It appears whole or not at all."""
        value = wit.OutgoingValue.new_outgoing_value()
        _done(lambda: self._container.write_data(name, value))
        # The value must not be finished before its stream is gone.
        with _done(value.outgoing_value_write_body) as body:
            _write(body, content)
        _done(lambda: wit.OutgoingValue.finish(value))

    def get(self, name: str) -> bytes | None:
        """The content of an object of up to 16 MiB; None if there is no such object."""
        value = self._if_there(name, lambda: self._container.get_data(name, 0, _END))
        if value is None:
            return None
        return _done(lambda: wit.IncomingValue.incoming_value_consume_sync(value))

    def info(self, name: str) -> Info | None:
        """What is known of an object; None if there is no such object."""
        found = self._if_there(name, lambda: self._container.object_info(name))
        return None if found is None else Info(found.size, found.created_at)

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        return _done(lambda: self._container.has_object(name))

    def delete(self, name: str) -> None:
        """Deletes an object, if it exists."""
        _done(lambda: self._container.delete_object(name))

    def names(self) -> list[str]:
        """The names of all objects, in no order."""
        found: list[str] = []
        with _done(self._container.list_objects) as listing:
            while True:
                names, is_end = _done(lambda: listing.read_stream_object_names(1000))
                found += names
                if is_end:
                    return found

    def copy(self, name: str, target: Container, to: str) -> None:
        """Copies an object to a name in a container, which may be this one."""
        source = wit.ObjectId(self._name, name)
        _done(lambda: blobstore.copy_object(source, wit.ObjectId(target._name, to)))

    def _if_there(self, name: str, work: Callable[[], _T]) -> _T | None:
        try:
            return _done(work)
        except ObjectError:
            if self.exists(name):
                raise
            return None


def _write(body: streams.OutputStream, content: bytes) -> None:
    while content:
        room = _done(body.check_write)
        if room == 0:
            with body.subscribe() as writable:
                writable.block()
            continue
        some, content = content[:room], content[room:]
        _done(lambda: body.write(some))


def _done(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except Err as error:
        reason = error.value
        if isinstance(reason, streams.StreamError_LastOperationFailed):
            raise ObjectError(reason.value.to_debug_string()) from None
        raise ObjectError(str(reason)) from None
