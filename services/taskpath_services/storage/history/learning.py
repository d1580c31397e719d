"""How the index learns how long tasks took: beside what is committed, a moment later, and never in its way.

Each change is looked at once, when its record was written for the first time, so that what is delivered again
does not count again. What was gathered and not brought into the index when the process dies is lost: history
may miss something, but it counts nothing twice (unless the connection is lost with the answer of a commit).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import structlog
from msgspec import UNSET

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.history.observing import Observer
from taskpath_services.storage.history.times import Times, joined
from taskpath_services.storage.index.contract import InstanceIndex, Kind
from taskpath_services.storage.records.contract import Outcome, Write

log = structlog.get_logger("taskpath.storage")

LAG: Final = 0.5
"""So many seconds durations are gathered before they go into the index."""

AGAIN: Final = 5.0
"""Seconds until an index that was away is tried again."""

MOST_WAITING: Final = 20_000
"""So many paths are gathered at most; what else is seen meanwhile is not counted."""

MOST_KNOWN: Final = 20_000
"""Of so many instances it is known by heart which workflow's they are."""

K = TypeVar("K")

_Place = tuple[str, str]


class Learning(Service):
    """Gathers how long tasks took, and brings it into the index.

    Args:
        index: where it is kept.
        clock: for the lag.
    """

    def __init__(self, index: InstanceIndex, clock: Clock) -> None:
        super().__init__("storage history")
        self._index = index
        self._clock = clock
        self._observer = Observer()
        self._places: dict[str, _Place] = {}
        self._gathered: dict[Kind, Times] = {}
        self._unplaced: dict[tuple[str, str], Times] = {}
        self._due = asyncio.Event()

    async def on_start(self) -> None:
        """Begins to bring in what is gathered."""
        self.spawn(self._trail(), "trail")

    async def on_stop(self) -> None:
        """Brings in what was gathered."""
        with contextlib.suppress(StoreUnavailable):
            await self.bring_in()

    def see(self, batch: Sequence[Write], outcomes: Sequence[Outcome]) -> None:
        """Looks at what was committed. It costs as much as the changes are, not as the instances."""
        for write, outcome in zip(batch, outcomes, strict=True):
            if outcome is not Outcome.APPLIED:
                continue
            if isinstance(write, InstanceChanged):
                self._see(write)
            elif isinstance(write, InstanceDeleted):
                self._places.pop(write.id, None)
        if self._gathered or self._unplaced:
            self._due.set()

    def _see(self, event: InstanceChanged) -> None:
        place = self._place(event)
        if event.whole:
            return  # it tells what is, not what has happened

        def times_of(path: str) -> Times:
            if place is not None:
                return _times(self._gathered, Kind(*place, path))
            return _times(self._unplaced, (event.id, path))

        self._observer.look(event, times_of)

    def _place(self, event: InstanceChanged) -> _Place | None:
        """Whose tasks these are, if that is known without asking."""
        change = event.instance
        if change is not None and change.workflow is not UNSET:
            realm = "default" if change.realm is UNSET else change.realm
            self._remember(event.id, (realm, change.workflow))
        return self._places.get(event.id)

    def _remember(self, id: str, place: _Place) -> None:
        if id not in self._places and len(self._places) >= MOST_KNOWN:
            del self._places[next(iter(self._places))]
        self._places[id] = place

    async def _trail(self) -> None:
        away = False
        while True:
            await self._due.wait()
            await self._clock.sleep(AGAIN if away else LAG)
            try:
                await self.bring_in()
            except StoreUnavailable as error:
                if not away:
                    log.warning("history waits for the index", reason=str(error))
                away = True
            else:
                away = False

    async def bring_in(self) -> None:
        """Brings into the index what was gathered; what could not be, stays gathered.

        Raises:
            StoreUnavailable: the index is away.
        """
        if self._unplaced:
            await self._find_places()
        seen, self._gathered = self._gathered, {}
        self._due.clear()
        if not seen:
            return
        try:
            await self._index.learn(seen, self._clock.now())
        except StoreUnavailable:
            _add(self._gathered, seen)
            self._due.set()
            raise

    async def _find_places(self) -> None:
        """Finds out whose tasks those are of instances that had begun before this replica followed them."""
        unplaced, self._unplaced = self._unplaced, {}
        try:
            places = await self._index.places(list(dict.fromkeys(id for id, _ in unplaced)))
        except StoreUnavailable:
            _add(self._unplaced, unplaced)
            raise
        for id, place in places.items():
            self._remember(id, place)
        found = {Kind(*places[id], path): times for (id, path), times in unplaced.items() if id in places}
        _add(self._gathered, found)


def _times(gathered: dict[K, Times], key: K) -> Times:
    """Where durations are gathered; somewhere that is thrown away if there are too many of them."""
    times = gathered.get(key)
    if times is None:
        times = Times()
        if len(gathered) < MOST_WAITING:
            gathered[key] = times
    return times


def _add(gathered: dict[K, Times], seen: Mapping[K, Times]) -> None:
    for key, times in seen.items():
        there = gathered.get(key)
        gathered[key] = times if there is None else joined(there, times)
