"""The JSON text of a value that stands for others: bodies, blobs, joined results, items of lists."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from taskpath.inputs import Derivation, way_to
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.plan import TaskSpec
from taskpath_proto.records import InstanceRecord
from taskpath_proto.values import NULL, Blob, Inline, Item, Joined, Stored, Value
from taskpath_services.storage import joined
from taskpath_services.storage.joined import Shape
from taskpath_services.storage.records.contract import OWN, RecordStore, TextKey, ValueName
from taskpath_services.storage.selection import at_or_under, items_of, without_items

MAX_DEPTH: Final = 100
"""Values that refer to values that refer to values: so deep, it can only be a circle."""

TEXTS: Final = 500
"""So many texts are asked for at once."""

LONG: Final = 1_000
"""The results of more tasks are put together in a thread."""

_NAMES: Final[Mapping[str, ValueName]] = {
    "body": "body",
    "argument": "argument",
    "updaters": "updaters",
    "items": "items",
}

_list_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Materialiser:
    """Reads the values of one instance.

    Args:
        records: the record store.
        instance: the instance's record.
        limit: the size of the largest value, in bytes.
    """

    def __init__(self, records: RecordStore, instance: InstanceRecord, limit: int) -> None:
        self._records = records
        self._instance = instance
        self._limit = limit

    async def json(self, value: Value, depth: int = 0) -> str:
        """The JSON text of a value.

        Raises:
            TaskpathError: CANNOT_FIND_TASK if there is no such value, TOO_LARGE if it is above the limit.
        """
        if isinstance(value, Inline):
            return value.json
        if depth > MAX_DEPTH:
            raise TaskpathError(
                ErrorCode.SCHEDULER_ERROR, "A value refers to itself, directly or through others."
            )
        if isinstance(value, Stored):
            return await self._body(value.path, depth)
        if isinstance(value, Blob):
            return await self._blob(value, depth)
        if isinstance(value, Item):
            return await self._item(value, depth)
        if value.shape == "dict":
            parts = await self.texts([part for _, part in value.parts], depth)
            return self._bounded(joined.text(value.parts, parts))
        return await self._list(value.path, value.count, depth)

    async def _body(self, path: str, depth: int) -> str:
        # A text is kept beside a record just as long as the record's body is that text.
        text = await self._text((path, "body", OWN))
        if text is None:
            body = await self._records.value(self._instance.id, path, "body")
            if isinstance(body, Stored) and body.path == path:
                text = await self._text((path, "body", OWN))
            elif body is not None:
                return await self.json(body, depth + 1)
            elif (joined_there := await self._joined_at(path)) is not None:
                return await self.json(joined_there, depth + 1)
        if text is None:
            raise TaskpathError(ErrorCode.CANNOT_FIND_TASK, f"{path} has no result.", path=path)
        return text

    async def _joined_at(self, path: str) -> Value | None:
        plan = self._instance.plan
        found = await self._records.results(self._instance.id, without_items(plan, path))
        known = {record.path: record for record in found}
        return Derivation(plan, self._instance.data or NULL, known).joined_at(path)

    async def _blob(self, blob: Blob, depth: int) -> str:
        text = await self._text((blob.path, blob.name, blob.version))
        if text is not None:
            return text
        # An older version goes when the record has a newer one, and stands for that from then on.
        current = await self._current(blob)
        if current is None or current == blob:
            raise TaskpathError(
                ErrorCode.CANNOT_FIND_TASK,
                f"The value {blob.name!r} of {blob.path} is not stored.",
                path=blob.path,
            )
        return await self.json(current, depth + 1)

    async def _current(self, blob: Blob) -> Value | None:
        if blob.path == paths.ROOT and blob.name in ("data", "context"):
            return self._instance.data if blob.name == "data" else self._instance.base_context
        name = _NAMES.get(blob.name)
        return None if name is None else await self._records.value(self._instance.id, blob.path, name)

    async def _item(self, item: Item, depth: int) -> str:
        of = item.of
        if isinstance(of, Joined) and of.shape == "list":
            path = paths.item(of.path, item.index)
            found = await self._records.results(self._instance.id, at_or_under(path))
            shape = joined.item(self._spec(of.path), path, {record.path: record for record in found})
            return self._bounded(joined.text(shape, await self.texts(joined.leaves(shape), depth)))
        text = await self.json(of, depth + 1)
        try:
            return bytes(_list_decoder.decode(text)[item.index]).decode()
        except (IndexError, msgspec.DecodeError):
            raise TaskpathError(ErrorCode.CANNOT_FIND_TASK, f"A list has no item {item.index}.") from None

    async def _list(self, foreach: str, count: int, depth: int) -> str:
        """The results of a foreach's items, in their order; an item that has none is null."""
        found = await self._records.results(self._instance.id, [items_of(foreach)])

        def take_apart() -> tuple[Shape, list[Value]]:
            known = {record.path: record for record in found}
            shape = joined.items(self._spec(foreach), foreach, count, known)
            return shape, list(joined.leaves(shape))

        # The loop has other things to do meanwhile.
        aside = len(found) > LONG
        shape, values = await asyncio.to_thread(take_apart) if aside else take_apart()
        texts = await self.texts(values, depth)
        return self._bounded(
            await asyncio.to_thread(joined.text, shape, texts) if aside else joined.text(shape, texts)
        )

    def _spec(self, path: str) -> TaskSpec | None:
        way = way_to(self._instance.plan, path)
        return way[-1].spec if way else None

    async def texts(self, values: Iterable[Value], depth: int = 0) -> dict[Value, str]:
        """The texts of values that are not inline; those that are kept beside records are read many at once.

        Raises:
            TaskpathError: as :meth:`json`; TOO_LARGE also if they are too large together.
        """
        texts: dict[Value, str] = {}
        kept: dict[Value, TextKey] = {}
        others: list[Value] = []
        for value in values:
            if isinstance(value, Stored):
                kept[value] = (value.path, "body", OWN)
            elif isinstance(value, Blob):
                kept[value] = (value.path, value.name, value.version)
            elif not isinstance(value, Inline):
                others.append(value)
        size = 0
        wanted = list(kept.items())
        for start in range(0, len(wanted), TEXTS):
            some = wanted[start : start + TEXTS]
            read = await self._records.texts(self._instance.id, list({key for _, key in some}))
            for value, key in some:
                if key in read:
                    texts[value] = read[key]
                    size += len(read[key])
            self._bounded("", size)
        others.extend(value for value in kept if value not in texts)
        for value in others:
            if value not in texts:
                text = texts[value] = await self.json(value, depth + 1)
                size += len(text)
                self._bounded("", size)
        return texts

    async def _text(self, key: TextKey) -> str | None:
        return (await self._records.texts(self._instance.id, [key])).get(key)

    def _bounded(self, text: str, size: int = 0) -> str:
        if max(size, len(text)) > self._limit:
            raise TaskpathError(
                ErrorCode.TOO_LARGE,
                f"The value is larger than {self._limit} bytes, the most that is allowed.",
            )
        return text
