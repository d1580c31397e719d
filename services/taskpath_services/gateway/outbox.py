"""The outbox of one client: what waits to be sent, bounded.

Bundles are put into it while the client keeps up. For one that does not there is nothing to be kept: a
*source* that is behind stands in line, and when the socket has taken what was there, it makes the frames that
bring the client up to date then. So a client that does not read costs a bounded number of bytes, and delays
nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from taskpath_services.gateway.bundle import Bundle

LIMIT_BYTES: Final = 512 * 1024
"""How many bytes may wait for one client."""


class Source(Protocol):
    """What can tell a client where it is, whenever that is."""

    def bundles(self) -> Iterator[Bundle]:
        """What has to be sent now, made while it is sent. It may put itself in line again at the end."""
        ...


class Outbox:
    """What waits to be sent to one client.

    Args:
        limit: how many bytes may wait.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._bundles: deque[Bundle] = deque()
        self._behind: dict[Source, None] = {}
        self._size = 0
        self._wake: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._bundles and not self._behind

    def offer(self, bundle: Bundle) -> bool:
        """Adds frames if there is room for all of them; whether there was."""
        if self._size + bundle.size > self._limit:
            return False
        self._add(bundle)
        return True

    def put(self, frame: bytes) -> None:
        """Adds a frame that may not be left out. Whoever causes such frames waits for :meth:`room`."""
        self._add(Bundle(frame))

    async def room(self) -> None:
        """Returns when there is room."""
        await self._room.wait()

    def pull(self, source: Source) -> None:
        """Puts a source in line; its frames follow when everything that waits has been sent."""
        self._behind[source] = None
        self._notify()

    def forget(self, source: Source) -> None:
        """Takes a source out of the line."""
        self._behind.pop(source, None)

    async def run(self, send: Callable[[Bundle], Awaitable[None]]) -> None:
        """Sends what waits, for ever.

        Args:
            send: sends a bundle, and returns when the socket can take another.
        """
        bundles = self._bundles
        while True:
            while bundles:
                bundle = bundles.popleft()
                await send(bundle)
                self._size -= bundle.size
                if self._size < self._limit:
                    self._room.set()
            if self._behind:
                source = next(iter(self._behind))
                del self._behind[source]
                for bundle in source.bundles():
                    await send(bundle)
                    await asyncio.sleep(0)  # making the next one takes time that others want, too
                continue
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _add(self, bundle: Bundle) -> None:
        self._bundles.append(bundle)
        self._size += bundle.size
        if self._size >= self._limit:
            self._room.clear()
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
