"""Values that are kept beside the records: which, and under which version."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from taskpath_proto.records import TaskChange
from taskpath_proto.values import KEEP_BYTES, Blob, Inline, Stored, Value, size_of
from taskpath_services.storage.records.contract import OWN, ValueName

Refresh: TypeAlias = tuple[str, ValueName, int | None, str | None]
"""A value that a change sets: path, name, the version of the blob that it is now, the text to be kept."""


def set_aside(change: TaskChange, refreshed: list[Refresh]) -> TaskChange:
    """The change with references in place of large inline values; adds the values that it sets to a list."""
    stored = change
    if change.body is not UNSET:
        stored = _kept(stored, "body", change.body, refreshed)
    if change.argument is not UNSET:
        stored = _kept(stored, "argument", change.argument, refreshed)
    if change.updaters is not UNSET:
        stored = _kept(stored, "updaters", change.updaters, refreshed)
    if change.items is not UNSET:
        stored = _kept(stored, "items", change.items, refreshed)
    return stored


def is_own(value: Value | None | UnsetType, path: str, name: ValueName) -> bool:
    """Whether the value of a record is kept beside it."""
    if name == "body":
        return isinstance(value, Stored) and value.path == path
    return isinstance(value, Blob) and value.version == OWN and value.path == path and value.name == name


def _kept(change: TaskChange, name: ValueName, value: Value | None, refreshed: list[Refresh]) -> TaskChange:
    path = change.path
    if type(value) is Inline:
        # A character has at most four bytes: most values are small at a glance.
        size = 0 if len(value.json) * 4 <= KEEP_BYTES else size_of(value)
        if size > KEEP_BYTES:
            refreshed.append((path, name, None, value.json))
            reference: Value = Stored(path, size) if name == "body" else Blob(path, name, OWN, size)
            return msgspec.structs.replace(change, **{name: reference})
        refreshed.append((path, name, None, None))
    else:
        refreshed.append((path, name, _version(value, path, name), None))
    return change


def _version(value: Value | None, path: str, name: ValueName) -> int | None:
    """The version under which the value of a record is kept beside it, if it is."""
    if isinstance(value, Blob) and value.path == path and value.name == name:
        return value.version
    return OWN if is_own(value, path, name) else None
