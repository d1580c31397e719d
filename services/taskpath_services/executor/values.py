"""Values at hand: JSON text read from storage, cached, and decoded once where many tasks read it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Final, TypeAlias

import msgspec

from taskpath.frozen import freeze
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import BlobPut, PutBlob, ReadValue, ValueRead
from taskpath_proto.values import INLINE_BYTES, Inline, Item, Joined, Stored, Value

CACHE_BYTES: Final = 64 * 1024 * 1024
"""How much JSON text is kept. What was decoded of it takes several times that."""
_SMALL: Final = 512
"""Inline values up to this length are decoded again rather than looked up."""
_RETRY_SECONDS: Final = 1.0

JSONText: TypeAlias = "str | msgspec.Raw"

_raws: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
decode = msgspec.json.Decoder().decode


class Reading:
    """A value that has been read. What is made of its text is made once, when it is asked for."""

    __slots__ = ("_frozen", "_items", "json")

    def __init__(self, json: str) -> None:
        self.json = json
        self._frozen: Any = msgspec.UNSET
        self._items: list[msgspec.Raw] | None = None

    def frozen(self) -> Any:
        """The JSON value, which all who read it share, and none can change.

        Raises:
            TaskpathError: EXECUTION_FAILED, if it is nested too deep.
        """
        if self._frozen is msgspec.UNSET:
            try:
                self._frozen = freeze(decode(self.json))
            except RecursionError:
                raise TaskpathError(
                    ErrorCode.EXECUTION_FAILED, "A value of the context is nested too deep to be read."
                ) from None
        return self._frozen

    def items(self) -> list[msgspec.Raw]:
        """The JSON texts of a list's items.

        Raises:
            msgspec.ValidationError: it is no list.
        """
        if self._items is None:
            self._items = _raws.decode(self.json)
        return self._items

    def item(self, index: int) -> msgspec.Raw:
        """The JSON text of a list's item.

        Raises:
            TaskpathError: EXECUTION_FAILED, if there is no such item.
        """
        try:
            return self.items()[index]
        except (IndexError, msgspec.ValidationError):
            raise TaskpathError(
                ErrorCode.EXECUTION_FAILED, f"The list that the foreach read has no item {index} any more."
            ) from None


_Key: TypeAlias = tuple[str, Value, int]


class Values:
    """Reads values from storage and puts large ones there.

    Args:
        caller: asks storage.
        clock: for waiting while storage is away.
        most: how many bytes of JSON text are kept.
    """

    def __init__(self, caller: Caller, clock: Clock, most: int = CACHE_BYTES) -> None:
        self._caller = caller
        self._clock = clock
        self._most = most
        self._size = 0
        self._cache: OrderedDict[_Key, Reading] = OrderedDict()
        self._reading: dict[_Key, asyncio.Task[Reading]] = {}

    def at_hand(self, instance: str, value: Value, revision: int) -> Reading | None:
        """The value, if that needs no question."""
        if type(value) is Inline:
            if len(value.json) <= _SMALL:
                return Reading(value.json)
            key = (instance, value, 0)
            return self._cached(key) or self._keep(key, Reading(value.json))
        if type(value) is Item:
            of = self.at_hand(instance, value.of, revision)
            return None if of is None else Reading(_item(of, value))
        return self._cached(_key(instance, value, revision))

    async def read(self, instance: str, value: Value, revision: int) -> Reading:
        """The value. While storage is away it is asked again and again; whoever waits may be cancelled.

        Raises:
            TaskpathError: storage has no such value.
        """
        reading = self.at_hand(instance, value, revision)
        if reading is not None:
            return reading
        if type(value) is Item:
            return Reading(_item(await self.read(instance, value.of, revision), value))
        key = _key(instance, value, revision)
        task = self._reading.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._ask(key, ReadValue(id=instance, value=value, min_revision=revision)), name="read value"
            )
            self._reading[key] = task
        return await asyncio.shield(task)

    async def _ask(self, key: _Key, query: ReadValue) -> Reading:
        try:
            while True:
                try:
                    answer = await self._caller.ask(topology.QUERIES, query, ValueRead)
                    return self._keep(key, Reading(answer.json))
                except TaskpathError as error:
                    if not error.code.temporary:
                        raise
                await self._clock.sleep(_RETRY_SECONDS)
        finally:
            self._reading.pop(key, None)

    async def put(self, instance: str, path: str, name: str, version: int, json: str) -> Value:
        """What stands for the text in a message: the text itself, or a reference to where it has been put.

        Args:
            instance: whose value it is.
            path: the task that it belongs to.
            name: what it is of that task.
            version: tells the values of successive executions apart.
            json: the text.

        Raises:
            TaskpathError: storage refuses it.
        """
        if fits_inline(json):
            return Inline(json)
        while True:
            try:
                blob = PutBlob(id=instance, path=path, name=name, version=version, json=json)
                put = await self._caller.ask(topology.QUERIES, blob, BlobPut)
                self._keep(_key(instance, put.value, 0), Reading(json))
                return put.value
            except TaskpathError as error:
                if not error.code.temporary:
                    raise
            await self._clock.sleep(_RETRY_SECONDS)

    async def close(self) -> None:
        """Ends what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cached(self, key: _Key) -> Reading | None:
        reading = self._cache.get(key)
        if reading is not None:
            self._cache.move_to_end(key)
        return reading

    def _keep(self, key: _Key, reading: Reading) -> Reading:
        if key not in self._cache:
            self._cache[key] = reading
            self._size += len(reading.json)
            # The newest is kept whatever its size: thousands of items may be read from one large list.
            while self._size > self._most and len(self._cache) > 1:
                self._size -= len(self._cache.popitem(last=False)[1].json)
        return reading


def fits_inline(json: str) -> bool:
    """Whether a message carries the text itself."""
    return len(json) <= INLINE_BYTES and (json.isascii() or len(json.encode()) <= INLINE_BYTES)


def _key(instance: str, value: Value, revision: int) -> _Key:
    """What names a value for ever; one without a version goes by the reader's revision."""
    unversioned = isinstance(value, (Stored, Joined)) and value.version == 0
    return (instance, value, revision if unversioned else 0)


def _item(of: Reading, item: Item) -> str:
    return bytes(of.item(item.index)).decode()
