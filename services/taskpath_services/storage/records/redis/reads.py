"""How an instance is read that changes meanwhile.

Its records are read in pages, and between two of them a commit may come. So what has changed since the first
is read at the end, at once with the instance itself: the whole is what the instance was at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from taskpath_proto.records import InstanceRecord, TaskRecord
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.fields import LEAN_FIELDS, TASK_FIELDS, instance_record, task_record
from taskpath_services.storage.records.redis.connection import Connection, script
from taskpath_services.storage.records.redis.keys import Keys
from taskpath_services.storage.selection import EVERYTHING, Selection, Span

PAGE: Final = 500
"""Records that Redis reads at once; nobody else is served meanwhile."""

MOST_CHANGED: Final = 1_000
"""If more than so many records have changed during a read, it is begun anew."""

TRIES: Final = 20

_PAGE: Final = script("page")
_TASKS: Final = script("tasks")
_CHANGED: Final = script("changed")


class Snapshot(msgspec.Struct):
    """An instance and some of its tasks at one moment.

    Attributes:
        instance: its record.
        removed_at: the revision at which tasks were last removed.
        tasks: the records by path.
    """

    instance: InstanceRecord
    removed_at: int
    tasks: dict[str, TaskRecord]


class Reader:
    """Reads instances.

    Args:
        connection: to Redis.
        keys: of the store.
    """

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def load(self, id: str) -> Snapshot | None:
        """An instance with all its records."""
        return await self._read(id, None, TASK_FIELDS)

    async def view(self, id: str, selection: Selection) -> Snapshot | None:
        """An instance that is not being deleted, with the selected records less their values."""
        return await self._read(id, selection, LEAN_FIELDS)

    async def instance(self, id: str) -> tuple[InstanceRecord, int] | None:
        """The record of an instance, and the revision at which tasks were last removed."""
        (found,) = await self._connection.ask(("HGETALL", self._keys.workflow(id)))
        return instance_of(id, found)

    async def page(
        self, id: str, paths: str, span: Span, fields: Sequence[str]
    ) -> list[tuple[str, list[bytes | None]]]:
        """The first records in a span of paths, as their fields.

        Args:
            id: the instance.
            paths: the kind of key that lists the paths.
            span: of paths.
            fields: which.
        """
        return _by_path(await self._connection.run(_PAGE, id, paths, *span, PAGE, *fields))

    async def _read(self, id: str, selection: Selection | None, fields: Sequence[str]) -> Snapshot | None:
        for _ in range(TRIES):
            found = await self.instance(id)
            if found is None or (selection is not None and found[0].deleting):
                return None
            instance, removed = found
            spans, counts = [EVERYTHING], dict[str, int]()
            since = 0
            if selection is not None:
                spans = await self._spans(instance, selection, counts)
                since = selection.since
            tasks = await (
                self._changed_since(id, since, spans, fields) if since else self._in_spans(id, spans, fields)
            )
            then = await self._connection.run(_CHANGED, id, instance.revision, MOST_CHANGED, *fields)
            now = then and instance_of(id, pairs(then[0]))
            if now is None or (now[0].deleting and selection is not None):
                return None
            if now[0].revision == instance.revision:
                return Snapshot(instance, removed, tasks)
            if then[1] is None or now[1] != removed or now[0].plan_version != instance.plan_version:
                continue
            changed = records_of(_by_path(then[1]), fields)
            if any(changed[path].count != count for path, count in counts.items() if path in changed):
                continue
            tasks.update((path, task) for path, task in changed.items() if _is_in(path, spans))
            return Snapshot(now[0], removed, tasks)
        raise StoreUnavailable(f"Instance {id!r} changes faster than it can be read.")

    async def _spans(
        self, instance: InstanceRecord, selection: Selection, known: dict[str, int]
    ) -> list[Span]:
        """The spans of a selection; what was read of counts on the way is added to those known."""
        steps = selection.spans(instance.plan)
        try:
            asked = next(steps)
            while True:
                commands = [("HGET", self._keys.task(instance.id, path), "count") for path in asked]
                counts = await self._connection.ask(*commands) if commands else []
                known.update((path, int(count or 0)) for path, count in zip(asked, counts, strict=True))
                asked = steps.send({path: known[path] for path in asked})
        except StopIteration as done:
            spans: list[Span] = done.value
            return spans

    async def _in_spans(self, id: str, spans: Iterable[Span], fields: Sequence[str]) -> dict[str, TaskRecord]:
        tasks: dict[str, TaskRecord] = {}
        for low, high in spans:
            while True:
                page = await self.page(id, "workflowTasks", (low, high), fields)
                tasks.update(records_of(page, fields))
                if len(page) < PAGE:
                    break
                low = page[-1][0] + "\x01"
        return tasks

    async def _changed_since(
        self, id: str, since: int, spans: Sequence[Span], fields: Sequence[str]
    ) -> dict[str, TaskRecord]:
        key = self._keys.changes(id)
        (found,) = await self._connection.ask(("ZRANGEBYSCORE", key, f"({since}", "+inf"))
        paths = [path for path in map(bytes.decode, found) if _is_in(path, spans)]
        tasks: dict[str, TaskRecord] = {}
        for start in range(0, len(paths), PAGE):
            some = paths[start : start + PAGE]
            values = await self._connection.run(_TASKS, id, len(fields), *fields, *some)
            tasks.update(records_of(zip(some, values, strict=True), fields))
        return tasks


def records_of(
    page: Iterable[tuple[str, Sequence[bytes | None]]], fields: Sequence[str]
) -> dict[str, TaskRecord]:
    """The records of a page; one that was removed while it was read is left out."""
    names = [field.encode() for field in fields]
    return {
        path: task_record(path, zip(names, values, strict=True))
        for path, values in page
        if values[0] is not None
    }


def instance_of(id: str, fields: Mapping[bytes, bytes]) -> tuple[InstanceRecord, int] | None:
    """The record in the fields of an instance, and when tasks were last removed; None if there are none."""
    if not fields:
        return None
    return instance_record(id, fields), int(fields.get(b"removed", 0))


def pairs(found: Sequence[bytes]) -> dict[bytes, bytes]:
    """What stands there by turns as a dictionary."""
    return dict(zip(found[::2], found[1::2], strict=True))


def _by_path(found: Sequence[Any]) -> list[tuple[str, list[bytes | None]]]:
    return [(path.decode(), values) for path, values in zip(found[::2], found[1::2], strict=True)]


def _is_in(path: str, spans: Iterable[Span]) -> bool:
    return any(low <= path < high for low, high in spans)
