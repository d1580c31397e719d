"""Committing: how far storage is with what an owner has published.

A question through the mailbox of the events is answered when everything before it is stored. Callers are
answered after that; and an owner that is too far ahead of storage waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog

from taskpath.runtime.bus import BusLost
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import AllCommitted, AskCommitted

log = structlog.get_logger("taskpath.scheduler")

STRIDE: Final = 500
"""After so many events storage is asked."""

MOST_AHEAD: Final = 8
"""So many questions may be open; then the owner waits."""

TIMEOUT: Final = 10.0
"""How long one question waits for its answer, in seconds; it is asked again."""

AGAIN: Final = 0.5
"""Seconds before a question that was refused is asked again."""


class Committing:
    """What one owner has published and storage has not confirmed.

    Args:
        caller: for asking storage.
        clock: for waiting before it is asked again.
        partition: whose events.

    Attributes:
        epoch: the owner's, once it has claimed the partition.
    """

    def __init__(self, caller: Caller, clock: Clock, partition: int) -> None:
        self.epoch = 0
        self._clock = clock
        self._caller = caller
        self._partition = partition
        self._mailbox = topology.storage_mailbox(partition)
        self._published = 0
        self._open: deque[asyncio.Task[None]] = deque()
        self._last: asyncio.Task[None] | None = None
        self._asked_at = 0

    def published(self, count: int) -> None:
        """So many events more are with the broker."""
        self._published += count

    @property
    def behind(self) -> bool:
        """Whether something is published of which it is not known that it is stored."""
        return self._asked_at < self._published or (self._last is not None and not self._last.done())

    async def near(self) -> None:
        """Returns when storage is near enough.

        Raises:
            BusLost: another owner has claimed the partition.
        """
        if self._last is not None and self._last.done():
            self._last.result()
        if self._published - self._asked_at < STRIDE:
            return
        self._open.append(self.stored())
        while self._open and self._open[0].done():
            self._open.popleft()
        while len(self._open) > MOST_AHEAD:
            await self._open.popleft()

    def stored(self) -> asyncio.Task[None]:
        """Is done when everything that is published by now is stored."""
        if self._last is None or self._last.done() or self._asked_at < self._published:
            self._asked_at = self._published
            self._last = asyncio.get_running_loop().create_task(
                self._ask(), name=f"partition {self._partition}: stored"
            )
        return self._last

    async def _ask(self) -> None:
        while True:
            try:
                await self._caller.ask(
                    self._mailbox, AskCommitted(self._partition, self.epoch), AllCommitted, timeout=TIMEOUT
                )
                return
            except TaskpathError as error:
                if error.code is ErrorCode.CONFLICT:
                    raise BusLost(str(error)) from None
                if error.code is not ErrorCode.UNAVAILABLE:
                    raise
                log.warning("storage is behind", partition=self._partition)
            await self._clock.sleep(AGAIN)  # while the bus is away it is refused at once

    async def close(self) -> None:
        """Waits for nothing any more."""
        tasks = [task for task in (*self._open, self._last) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
