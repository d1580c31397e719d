"""Writes as a store takes them that keeps records as flat fields."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from taskpath_proto.events import InstanceChanged
from taskpath_services.storage.records.beside import Refresh, set_aside
from taskpath_services.storage.records.fields import Fields, instance_fields, task_fields
from taskpath_services.storage.records.snapshots import completed
from taskpath_services.storage.unicode import cleaned

_encoder: Final = msgspec.msgpack.Encoder()


class FlatChange(msgspec.Struct, frozen=True):
    """A change of an instance as it is committed.

    Attributes:
        tasks: MessagePack of a list of (path, fields and texts by turns, fields that go), in order.
        instance: likewise; None if nothing changed of the instance itself.
        refreshed: the values that it sets.
        digest: of all that.
    """

    tasks: bytes
    instance: Fields | None
    refreshed: list[Refresh]
    digest: int


def flat(event: InstanceChanged) -> FlatChange:
    """A change as it is committed."""
    if event.whole:
        event = completed(event)
    try:
        return _flat(event)
    except UnicodeEncodeError:
        return _flat(cleaned(event))


def _flat(event: InstanceChanged) -> FlatChange:
    refreshed: list[Refresh] = []
    tasks = _encoder.encode(
        [(change.path, *task_fields(set_aside(change, refreshed))) for change in event.tasks]
    )
    digest = crc32(tasks, crc32(_encoder.encode(event.removed)) if event.removed else 0)
    for _, _, _, text in refreshed:
        if text is not None:
            digest = crc32(text.encode(), digest)
    instance = None
    if event.instance is not None:
        instance = instance_fields(event.instance)
        digest = crc32(_encoder.encode(instance), digest)
    return FlatChange(tasks=tasks, instance=instance, refreshed=refreshed, digest=digest)
