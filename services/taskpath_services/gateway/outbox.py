"""The outbox of one client: what waits to be sent, bounded.

Frames are put into it while the client keeps up. For one that does not there is nothing to be kept: a
*source* that is behind stands in line, and when the socket has taken what was there, it makes the frames that
bring the client up to date then. So a client that does not read costs a bounded number of bytes, and delays
nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

LIMIT_BYTES: Final = 512 * 1024
"""How many bytes may wait for one client."""


class Source(Protocol):
    """What can tell a client where it is, whenever that is."""

    def frames(self) -> Iterator[bytes]:
        """What has to be sent now, made while it is sent. It may put itself in line again at the end."""
        ...


class Outbox:
    """What waits to be sent to one client.

    Args:
        limit: how many bytes may wait.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._frames: deque[bytes] = deque()
        self._behind: dict[Source, None] = {}
        self._size = 0
        self._wake: asyncio.Future[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._frames and not self._behind

    def offer(self, frames: Sequence[bytes]) -> bool:
        """Adds frames if there is room for all of them; whether there was."""
        size = sum(map(len, frames))
        if self._size + size > self._limit:
            return False
        self._add(frames, size)
        return True

    def put(self, frame: bytes) -> None:
        """Adds a frame that may not be left out. Whoever causes such frames waits for :meth:`room`."""
        self._add((frame,), len(frame))

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

    async def run(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Sends what waits, for ever.

        Args:
            send: sends one frame, and returns when the socket can take another.
        """
        frames = self._frames
        while True:
            while frames:
                frame = frames.popleft()
                await send(frame)
                self._size -= len(frame)
                if self._size < self._limit:
                    self._room.set()
            if self._behind:
                source = next(iter(self._behind))
                del self._behind[source]
                for frame in source.frames():
                    await send(frame)
                    await asyncio.sleep(0)  # making the next one takes time that others want, too
                continue
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def _add(self, frames: Sequence[bytes], size: int) -> None:
        self._frames.extend(frames)
        self._size += size
        if self._size >= self._limit:
            self._room.clear()
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
