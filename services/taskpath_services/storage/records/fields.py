"""Records as flat fields of text, as stores keep them that merge field by field: Redis, DynamoDB.

A person can read them: words and names stand as they are, everything else as JSON. A value that is at hand is
its own JSON text; one that is elsewhere is ``@``, with which no JSON text begins, and the reference. What is
none is no field.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET

from taskpath_proto.records import InstanceChange, InstanceRecord, TaskChange, TaskRecord
from taskpath_proto.values import Inline, Value
from taskpath_services.storage.records.contract import TaskResult

Pairs: TypeAlias = list[str]
"""Fields and their texts by turns."""

Fields: TypeAlias = tuple[Pairs, list[str]]
"""The fields that a change sets, and those that it takes away."""

_encode: Final = msgspec.json.Encoder().encode
_reference_decoder: Final[msgspec.json.Decoder[Value]] = msgspec.json.Decoder(Value)


def _text(value: str) -> str:
    return value


_number: Final[Callable[[int], str]] = int.__repr__


def _json(value: object) -> str:
    return _encode(value).decode()


def value_text(value: Value) -> str:
    """A value as a field."""
    return value.json if type(value) is Inline else "@" + _encode(value).decode()


def text_value(text: bytes) -> Value:
    """The value of a field."""
    return _reference_decoder.decode(text[1:]) if text[:1] == b"@" else Inline(text.decode())


def _word(kind: type[StrEnum]) -> Callable[[bytes], StrEnum]:
    words = {word.value.encode(): word for word in kind}
    return words.__getitem__


def _codec(hint: Any) -> tuple[Callable[[Any], str], Callable[[bytes], Any]]:
    """How a field of this type becomes text, and how the text is read again."""
    members = tuple(member for member in get_args(hint) if member is not type(None))
    kind = hint if get_origin(hint) not in (Union, UnionType) or not members else Union[members]  # noqa: UP007  # of a tuple
    if kind == Value:
        return value_text, text_value
    if kind is str:
        return _text, bytes.decode
    if kind is int:
        return _number, int
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _text, _word(kind)
    return _json, msgspec.json.Decoder(kind).decode


def _fields(record: type[msgspec.Struct], added: Container[str]) -> tuple[tuple[_Field, ...], _Readers]:
    """The fields of a record as changes write them, and as they are read.

    Args:
        record: its type.
        added: those that no change has.
    """
    hints = get_type_hints(record)
    writers, readers = [], {}
    for field in msgspec.structs.fields(record):
        write, read = _codec(hints[field.name])
        readers[field.encode_name.encode()] = (field.name, read)
        if field.name not in added:
            writers.append((field.name, field.encode_name, write))
    return tuple(writers), readers


_Field: TypeAlias = tuple[str, str, Callable[[Any], str]]
_Readers: TypeAlias = dict[bytes, tuple[str, Callable[[bytes], Any]]]

_task_writers, _task_readers = _fields(TaskRecord, ("path", "revision"))
_instance_writers, _instance_readers = _fields(InstanceRecord, ("id", "epoch", "revision"))

TASK_FIELDS: Final = ("revision", *(field for _, field, _ in _task_writers))
"""What a task's record may have."""

LEAN_FIELDS: Final = tuple(
    name for name in TASK_FIELDS if name not in ("body", "argument", "items", "updaters")
)
"""The same without its values."""

RESULT_FIELDS: Final = tuple(
    field for name, field, _ in _task_writers if name in TaskResult.__struct_fields__
)
"""As much of it as a result has."""

INSTANCE_FIELDS: Final = tuple(field for _, field, _ in _instance_writers)
"""What an instance's record may have."""

INPUTS: Final = ("plan", "data", "baseContext")
"""The fields of an instance that are large and rarely change."""


def task_fields(change: TaskChange) -> Fields:
    """What a change does to the fields of a task's record."""
    return _written(_task_writers, change)


def instance_fields(change: InstanceChange) -> Fields:
    """What a change does to the fields of an instance's record."""
    return _written(_instance_writers, change)


def _written(writers: tuple[_Field, ...], change: TaskChange | InstanceChange) -> Fields:
    pairs: Pairs = []
    gone: list[str] = []
    for name, field, write in writers:
        value = getattr(change, name)
        if value is UNSET:
            continue
        if value is None:
            gone.append(field)
        else:
            pairs.append(field)
            pairs.append(write(value))
    return pairs, gone


def task_record(path: str, fields: Iterable[tuple[bytes, bytes | None]]) -> TaskRecord:
    """The record of a task from its fields."""
    return TaskRecord(path=path, **_read(_task_readers, fields))


def instance_record(id: str, fields: Mapping[bytes, bytes]) -> InstanceRecord:
    """The record of an instance from its fields; others of the store are left out."""
    return InstanceRecord(id=id, **_read(_instance_readers, fields.items()))


def task_result(path: str, fields: Iterable[tuple[bytes, bytes | None]]) -> TaskResult:
    """What the task has left, from its fields."""
    return TaskResult(path, **_read(_task_readers, fields))


def _read(readers: _Readers, fields: Iterable[tuple[bytes, bytes | None]]) -> dict[str, Any]:
    values = {}
    for field, text in fields:
        if text is not None and (reader := readers.get(field)) is not None:
            values[reader[0]] = reader[1](text)
    return values
