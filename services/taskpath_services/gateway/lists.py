"""Live lists: the first page of a list of instances, and what changes in it.

Any change of any instance may change what belongs to a page, so the page is asked for again whenever storage
says that the index has changed, at most four times a second however much happens, once for all clients with
the same filter, and each is sent what differs. The events of instances do not tell when to ask: the index is
not there yet when they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import structlog

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import IndexChanged
from taskpath_proto.packets import InstancesChanged
from taskpath_proto.queries import InstanceSummary, ListInstances
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.frames import encode
from taskpath_services.gateway.hearing import Hearing
from taskpath_services.gateway.outbox import Outbox
from taskpath_services.gateway.reads import Reads

log = structlog.get_logger("taskpath.gateway")

INTERVAL: Final = 0.25
"""Seconds between two times that the watched pages are asked for."""

LOOK: Final = 10.0
"""After so many seconds they are asked for though nobody has said that anything changed: who would have said
it may have died just then, and the index may be made anew by hand."""

AT_ONCE: Final = 8
"""So many pages are asked for at once."""

_MOST_FILTERS: Final = 200


class Listing:
    """One client's live list.

    Args:
        outbox: the client's.
        query: the filter, and how long the page is.
    """

    def __init__(self, outbox: Outbox, query: ListInstances) -> None:
        self.query: Final = query
        self.shown: Mapping[str, InstanceSummary] | None = None
        self._outbox = outbox
        self._page: Mapping[str, InstanceSummary] = {}
        self._behind = False
        self._begun = False

    def begin(self) -> None:
        """Sends the page; before that nothing is sent."""
        self._begun = True
        self._outbox.pull(self)
        self._behind = True

    def show(self, page: Mapping[str, InstanceSummary], bundle: Bundle | None, before: object) -> None:
        """The page is now this.

        Args:
            page: the instances by id, newest first.
            bundle: what differs from the page before, encoded for everyone; None if nothing does.
            before: the page before.
        """
        self._page = page
        if not self._begun or self._behind:
            return
        if self.shown is before and (bundle is None or self._outbox.offer(bundle)):
            self.shown = page
        else:
            self._behind = True
            self._outbox.pull(self)

    def end(self) -> None:
        """Sends nothing any more."""
        self._begun = False
        self._outbox.forget(self)

    def bundles(self) -> Iterator[Bundle]:
        """What brings the client up to date now."""
        if not self._begun:
            return
        self._behind = False
        before, self.shown = self.shown, self._page
        bundle = difference(before or {}, self._page)
        if bundle is not None or before is None:
            yield bundle if bundle is not None else Bundle(encode(InstancesChanged(items=[], removed=[])))


class _Filter:
    """The listings with one filter, and their page."""

    __slots__ = ("listings", "page", "reading")

    def __init__(self) -> None:
        self.reading = asyncio.Lock()
        self.listings: dict[Listing, None] = {}
        self.page: Mapping[str, InstanceSummary] = {}


class Lists(Service):
    """Keeps live lists live.

    Args:
        bus: where it is heard that something has changed.
        clock: paces the asking.
        reads: where pages are read.
    """

    def __init__(self, bus: Bus, clock: Clock, reads: Reads) -> None:
        super().__init__("gateway lists")
        self._clock = clock
        self._reads = reads
        self._filters: dict[ListInstances, _Filter] = {}
        self._hearing = Hearing(self.name, bus, clock, self._take, self._miss)
        self._bound = False
        self._binding = asyncio.Lock()
        self._changed = asyncio.Event()

    async def on_start(self) -> None:
        """Begins to listen."""
        await self._hearing.start()
        self.spawn(self._hearing.wait(), "hearing")
        self.spawn(self._refresh(), "refreshing")
        self.spawn(self._look(), "looking")

    async def on_stop(self) -> None:
        """Ends the subscription."""
        await self._hearing.stop()

    async def enter(self, listing: Listing) -> None:
        """Keeps a listing up to date from now on.

        Raises:
            TaskpathError: UNAVAILABLE, TOO_MANY_REQUESTS.
        """
        filter_ = self._filters.get(listing.query)
        if filter_ is None:
            if len(self._filters) >= _MOST_FILTERS:
                raise TaskpathError(
                    ErrorCode.TOO_MANY_REQUESTS,
                    f"{_MOST_FILTERS} different lists are watched already; try again.",
                )
            filter_ = self._filters[listing.query] = _Filter()
        filter_.listings[listing] = None
        try:
            await self._bind()
            await self._ask(listing.query, filter_)
        except BaseException:
            self.leave(listing)
            raise

    def leave(self, listing: Listing) -> None:
        """Keeps it up to date no more. Safe to call twice."""
        listing.end()
        filter_ = self._filters.get(listing.query)
        if filter_ is not None:
            filter_.listings.pop(listing, None)
            if not filter_.listings:
                del self._filters[listing.query]
                if not self._filters and self.ready:
                    self.spawn(self._unbind(), "unbinding")

    async def _bind(self) -> None:
        """Hears of the index from now on, until nobody watches a list."""
        async with self._binding:
            if not self._bound:
                await self._hearing.bind(topology.INDEX)
                self._bound = True

    async def _unbind(self) -> None:
        async with self._binding:
            if self._bound and not self._filters:
                await self._hearing.unbind(topology.INDEX)
                self._bound = False

    def _take(self, messages: Sequence[Message]) -> None:
        if any(isinstance(message, IndexChanged) for message in messages):
            self._changed.set()

    def _miss(self, reason: str) -> None:
        self._changed.set()

    async def _refresh(self) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.gather(
                *(self._ask_again(query, filter_, places) for query, filter_ in self._filters.items())
            )
            await self._clock.sleep(INTERVAL)

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK)
            self._changed.set()

    async def _ask_again(self, query: ListInstances, filter_: _Filter, places: asyncio.Semaphore) -> None:
        async with places:
            try:
                await self._ask(query, filter_)
            except TaskpathError as error:
                log.warning("cannot read a watched list", error=error.info.message)
                self._changed.set()

    async def _ask(self, query: ListInstances, filter_: _Filter) -> None:
        # One read at a time: an older answer must not come after a newer one.
        async with filter_.reading:
            found = await self._reads.instances(query)
            before, page = filter_.page, {item.id: item for item in found.items}
            bundle = difference(before, page)
            filter_.page = page
            for listing in filter_.listings:
                listing.show(page, bundle, before)


def difference(before: Mapping[str, InstanceSummary], now: Mapping[str, InstanceSummary]) -> Bundle | None:
    """The frame that leads from one page to the next; None if they are the same."""
    items = [item for id_, item in now.items() if before.get(id_) != item]
    removed = [id_ for id_ in before if id_ not in now]
    return Bundle(encode(InstancesChanged(items=items, removed=removed))) if items or removed else None
