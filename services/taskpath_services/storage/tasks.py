"""One task as callers see it: its record, and what follows from the tree as it stands now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from taskpath import layers as contexts
from taskpath.inputs import Derivation, before, leaves, way_to
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import TaskView
from taskpath_proto.records import InstanceRecord, TaskStatus
from taskpath_proto.values import INLINE_BYTES, NULL, Blob, Inline, Joined, Stored, Value, size_of
from taskpath_proto.work import Layer
from taskpath_services.storage.materialise import Materialiser
from taskpath_services.storage.records.contract import RecordStore, TaskResult
from taskpath_services.storage.selection import Span, foreaches_at, items_of, without_items

MAX_LAYERS: Final = 10_000
"""A context that more tasks left something in is not shown."""

MAX_ITEM_RESULTS: Final = 50_000
"""Nor is one for which the records of more tasks inside items would have to be read."""

CONTEXT: Final = "context"

_NO_CONTEXT: Final = Inline("{}")

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class TaskReader:
    """Reads tasks.

    Args:
        records: the record store.
        limit: the size of the largest value, in bytes.
    """

    def __init__(self, records: RecordStore, limit: int) -> None:
        self._records = records
        self._limit = limit

    async def view(self, id: str, path: str) -> TaskView:
        """A task with its values; those that its record does not keep are derived from the tree.

        A value too large to be shown in place is a reference that knows its size: a joined result is the
        body of its group, a context a blob of the task that is made when it is read.

        Raises:
            TaskpathError: INVALID_PATH.
        """
        found = await self._records.task(id, path)
        instance, task = found.instance, found.task
        if instance is None or task is None:
            return found
        if path == paths.ROOT:
            return TaskView(instance=instance, task=task, context=instance.base_context)
        derivation, whole = await self._derivation(instance, path)
        inputs = derivation.inputs_of(path)
        if inputs is None:
            return TaskView(instance=instance)
        values = Materialiser(self._records, instance, self._limit)
        if task.argument is None and task.status is not TaskStatus.INACTIVE and _is_given(instance, path):
            task.argument = await self._shown(values, inputs.argument)
        if task.body is None and (joined := derivation.joined_at(path)) is not None:
            task.body = await self._shown(values, joined)
        text = await self._context(values, instance, inputs.layers) if whole else None
        context: Value | None = None
        if text is not None:
            size = len(text.encode())
            inline = size <= INLINE_BYTES
            context = Inline(text) if inline else Blob(path, CONTEXT, instance.revision, size)
        return TaskView(instance=instance, task=task, context=context)

    async def context(self, instance: InstanceRecord, path: str) -> str:
        """The JSON text of the context that a task sees.

        Raises:
            TaskpathError: CANNOT_FIND_TASK, if it cannot be built.
        """
        derivation, whole = await self._derivation(instance, path)
        inputs = derivation.inputs_of(path)
        text = None
        if inputs is not None and whole:
            values = Materialiser(self._records, instance, self._limit)
            text = await self._context(values, instance, inputs.layers)
        if text is None:
            raise TaskpathError(
                ErrorCode.CANNOT_FIND_TASK, f"The context of {path} cannot be built.", path=path
            )
        return text

    async def _derivation(self, instance: InstanceRecord, path: str) -> tuple[Derivation, bool]:
        """What the inputs of a task are derived from, and whether that is all that its context needs."""
        plan = instance.plan
        way = way_to(plan, path)
        spans = without_items(plan, paths.ROOT)
        for place in way:
            if place.item:
                spans += without_items(plan, place.path)
        known = {record.path: record for record in await self._records.results(instance.id, spans)}
        wanted: list[Span] = []
        untold: dict[str, bool] = {}
        for place in before(way):
            for foreach, spec in foreaches_at(place):
                if leaves(spec):
                    wanted.append(items_of(foreach))
                else:
                    untold[foreach] = spec.subtasks is None
        # Updaters cannot be told from the plan.
        probed = [items_of(foreach) for foreach in untold]
        updated = await self._some(instance.id, probed, updated=True)
        if updated is None:
            return _derivation(instance, known), False
        known.update(updated)
        wanted.extend(
            items_of(foreach)
            for foreach, plain in untold.items()
            if not plain and any(found.startswith(foreach + "[") for found in updated)
        )
        inside = await self._some(instance.id, wanted)
        known.update(inside or {})
        return _derivation(instance, known), inside is not None

    async def _some(
        self, id: str, spans: Sequence[Span], *, updated: bool = False
    ) -> dict[str, TaskResult] | None:
        """What tasks have left; None if they are too many."""
        if not spans:
            return {}
        found = await self._records.results(id, spans, updated=updated, most=MAX_ITEM_RESULTS)
        return None if len(found) > MAX_ITEM_RESULTS else {record.path: record for record in found}

    async def _shown(self, values: Materialiser, value: Value) -> Value | None:
        """The value itself if it is small, else a reference; None if it has gone meanwhile."""
        if isinstance(value, (Stored, Blob)) and value.size > INLINE_BYTES:
            return value
        try:
            text = await values.json(value)
        except TaskpathError as error:
            if error.code is not ErrorCode.TOO_LARGE:
                return None
            # How large it is exactly is not known.
            return Stored(value.path, self._limit + 1) if isinstance(value, Joined) else value
        size = len(text.encode())
        if size <= INLINE_BYTES:
            return Inline(text)
        return Stored(value.path, size) if isinstance(value, Joined) else value

    async def _context(
        self, values: Materialiser, instance: InstanceRecord, layers: Sequence[Layer]
    ) -> str | None:
        """The JSON text of a context; None if it cannot be built, or would need too much."""
        base = instance.base_context or _NO_CONTEXT
        if len(layers) > MAX_LAYERS:
            return None
        needed = list(contexts.values_of(base, layers))
        if sum(map(size_of, needed)) > self._limit:
            return None
        try:
            texts = await values.texts(needed)
            texts.update((value, value.json) for value in needed if isinstance(value, Inline))
            if sum(len(texts[value]) for value in needed) > self._limit:
                return None
            # Thousands of updaters take their time, in which the loop has other things to do.
            return await asyncio.to_thread(_built, base, layers, texts)
        except (TaskpathError, msgspec.DecodeError):
            return None


def context_of(value: Value) -> str | None:
    """The task of which a value is the context that it sees, which is stored nowhere; None if it is
    another."""
    return (
        value.path if isinstance(value, Blob) and value.name == CONTEXT and value.path != paths.ROOT else None
    )


def _derivation(instance: InstanceRecord, known: Mapping[str, TaskResult]) -> Derivation:
    return Derivation(instance.plan, instance.data or NULL, known)


def _is_given(instance: InstanceRecord, path: str) -> bool:
    """Whether a task has a use for what the task before it hands on: a foreach may read its list
    elsewhere."""
    place = way_to(instance.plan, path)[-1]
    return not place.is_foreach or place.spec.foreach is True


def _built(base: Value, layers: Sequence[Layer], texts: Mapping[Value, str]) -> str:
    read: dict[Value, Any] = {value: _decode(text) for value, text in texts.items()}
    return _encode(contexts.build(base, layers, read.__getitem__)).decode()
