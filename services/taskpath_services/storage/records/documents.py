"""Records as JSON documents that a database can merge by itself.

``json_patch`` (RFC 7396) merges a change exactly as a record wants it, *as before* for an absent field and
*none* for null, with one exception: it merges objects within objects, and drops nulls inside them, where a
field is to be replaced whole. Arrays it does replace whole. Most nested values are arrays already
(``array_like``); the three fields that are objects stand in the document as arrays of one, under names of
their own: ``@error``, ``@retry``, ``@progress``.

A large value does not stand in the document but beside it: see :mod:`.contract`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

import msgspec
from msgspec import UNSET, UnsetType

from taskpath_proto.errors import ErrorInfo
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange, Progress, RetryState, TaskChange, TaskRecord
from taskpath_services.storage.records.beside import Refresh, set_aside
from taskpath_services.storage.records.snapshots import completed
from taskpath_services.storage.unicode import cleaned

_encoder: Final = msgspec.json.Encoder()


class _Boxes(msgspec.Struct, omit_defaults=True):
    """The object fields of a record, each in an array of one."""

    error: tuple[ErrorInfo] | None | UnsetType = msgspec.field(name="@error", default=UNSET)
    retry: tuple[RetryState] | None | UnsetType = msgspec.field(name="@retry", default=UNSET)
    progress: tuple[Progress] | None | UnsetType = msgspec.field(name="@progress", default=UNSET)


_records_decoder: Final = msgspec.json.Decoder(list[TaskRecord])
_boxes_decoder: Final = msgspec.json.Decoder(list[_Boxes])


class Prepared(msgspec.Struct):
    """An event as it is committed.

    Attributes:
        tasks: JSON objects of the changes by path, to be merged one after the other.
        instance: the JSON text of what changed of the instance, without its inputs.
        refreshed: the values that the event sets.
        digest: of all that.
    """

    tasks: list[bytes]
    instance: bytes | None
    refreshed: list[Refresh]
    digest: int


def prepare(event: InstanceChanged) -> Prepared:
    """An event as it is committed."""
    if event.whole:
        event = completed(event)
    try:
        return _prepare(event)
    except UnicodeEncodeError:
        return _prepare(cleaned(event))


def _prepare(event: InstanceChanged) -> Prepared:
    refreshed: list[Refresh] = []
    tasks: list[bytes] = []
    changes: dict[str, TaskChange | msgspec.Raw] = {}
    for change in event.tasks:
        if change.path in changes:
            tasks.append(_encoder.encode(changes))
            changes = {}
        stored = set_aside(change, refreshed)
        if change.error is UNSET and change.retry is UNSET and change.progress is UNSET:
            changes[change.path] = stored
        else:
            changes[change.path] = _boxed(stored)
    if changes:
        tasks.append(_encoder.encode(changes))
    digest = crc32(_encoder.encode(event.removed)) if event.removed else 0
    for part in tasks:
        digest = crc32(part, digest)
    for _, _, _, text in refreshed:
        if text is not None:
            digest = crc32(text.encode(), digest)
    instance = None
    if event.instance is not None:
        digest = crc32(_encoder.encode(event.instance), digest)
        instance = _encoder.encode(without_inputs(event.instance))
    return Prepared(tasks=tasks, instance=instance, refreshed=refreshed, digest=digest)


def _boxed(change: TaskChange) -> msgspec.Raw:
    error, retry, progress = change.error, change.retry, change.progress
    boxes = _Boxes(
        error=(error,) if isinstance(error, ErrorInfo) else error,
        retry=(retry,) if isinstance(retry, RetryState) else retry,
        progress=(progress,) if isinstance(progress, Progress) else progress,
    )
    # A plain null beside the boxed one is harmless, and cheaper than a copy of the change.
    if boxes.error or boxes.retry or boxes.progress:
        change = msgspec.structs.replace(change, error=UNSET, retry=UNSET, progress=UNSET)
    return msgspec.Raw(_encoder.encode(change)[:-1] + b"," + _encoder.encode(boxes)[1:])


def without_inputs(change: InstanceChange) -> InstanceChange:
    """The change without plan, data and base context, which are large and rarely change."""
    if change.plan is UNSET and change.data is UNSET and change.base_context is UNSET:
        return change
    return msgspec.structs.replace(change, plan=UNSET, data=UNSET, base_context=UNSET)


def records(page: bytes) -> list[TaskRecord]:
    """The records of a JSON list of documents."""
    found = _records_decoder.decode(page)
    if b'"@' in page:
        for record, boxes in zip(found, _boxes_decoder.decode(page), strict=True):
            if boxes.error:
                record.error = boxes.error[0]
            if boxes.retry:
                record.retry = boxes.retry[0]
            if boxes.progress:
                record.progress = boxes.progress[0]
    return found


def listed(parts: Iterable[bytes]) -> str:
    """JSON texts as one JSON list."""
    return "[" + b",".join(parts).decode() + "]"


def encoded(value: object) -> bytes:
    """The JSON text of a value."""
    return _encoder.encode(value)


def encoded_or_none(value: object) -> str | None:
    """The JSON text of a field of a change, None if it is as before."""
    return None if value is UNSET else _encoder.encode(value).decode()
