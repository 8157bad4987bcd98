"""The component's configuration: ``config = { … }`` in hive.toml.

The component's world must import ``wasi:config/store``, as hive:guest/configured-consumer does.
"""

from wit_world.imports import store


def get(key: str) -> str | None:
    """The value of a key; None if the key is not set."""
    return store.get(key)


def all() -> dict[str, str]:
    """Every key with its value."""
    return dict(store.get_all())
