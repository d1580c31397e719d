"""Values: JSON that is either at hand or somewhere else.

Whatever authors pass and return is JSON text from the moment it leaves their function, so that it means the
same in one process and across the broker. Small values travel inline; larger ones by reference, and a joined
result is a *layered* reference that an executor materialises when a task needs it. Schedulers pass values on
without ever decoding them.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

KEEP_BYTES: Final = 1024
"""A scheduler keeps values up to this size in memory; a larger one becomes a reference."""

INLINE_BYTES: Final = 64 * 1024
"""A message carries a value inline up to this size; a larger one goes through storage as a blob."""


class Inline(msgspec.Struct, frozen=True, array_like=True, tag="inline", gc=False):
    """The JSON text itself."""

    json: str


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="stored", gc=False):
    """The body of the task at ``path``, as storage has it.

    Attributes:
        path: the task.
        size: of the JSON text, in bytes.
        version: the number of the command that made it, so that a cache tells it from an older one.
    """

    path: str
    size: int
    version: int = 0


class Blob(msgspec.Struct, frozen=True, array_like=True, tag="blob", gc=False):
    """A large value that was put into storage by itself.

    Attributes:
        path: the task that it belongs to (``#`` for the instance's own data).
        name: what it is of that task: ``body``, ``items``, ``updaters``, ``data``, ``context``.
        version: tells the values of successive executions apart.
        size: of the JSON text, in bytes.
    """

    path: str
    name: str
    version: int
    size: int


class Joined(msgspec.Struct, frozen=True, array_like=True, tag="joined", gc=False):
    """The result of a group: its tasks' results by name, or its items' results in order.

    Attributes:
        path: the group.
        shape: ``list`` for a foreach, ``dict`` for subtasks.
        count: how many results it has.
        parts: for a dict, the results of the subtasks that have one, in tree order; a list reads its items'.
        version: the group's ``left``, so that a cache tells it from an older one.
    """

    path: str
    shape: Literal["list", "dict"]
    count: int
    parts: tuple[tuple[str, Value], ...] = ()
    version: int = 0


class Item(msgspec.Struct, frozen=True, array_like=True, tag="item", gc=False):
    """One item of a list that travels by reference."""

    of: Value
    index: int


Value: TypeAlias = Inline | Stored | Blob | Joined | Item

NULL: Final = Inline("null")


def size_of(value: Value) -> int:
    """The size of the value's JSON text in bytes, as far as it is known without reading it."""
    if isinstance(value, Inline):
        return len(value.json) if value.json.isascii() else len(value.json.encode())
    if isinstance(value, (Stored, Blob)):
        return value.size
    return 0
