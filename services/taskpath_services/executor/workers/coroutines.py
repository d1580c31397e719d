"""Coroutines on the event loop, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class CoroutineWorkers:
    """Runs coroutines as tasks of the event loop.

    Args:
        limit: how many run at once.
    """

    def __init__(self, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[Callable[[], asyncio.Task[None] | None]] = deque()
        self.done = 0
        """How many have ended, ever."""

    @property
    def free(self) -> int:
        """How many more may begin now."""
        return self._limit - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether any runs."""
        return bool(self._running)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def submit(self, start: Callable[[], asyncio.Task[None] | None]) -> None:
        """Starts a task now, or when there is room.

        Args:
            start: makes the task; None if it is not wanted any more.
        """
        if len(self._running) < self._limit:
            self._start(start)
        else:
            self._waiting.append(start)

    def _start(self, start: Callable[[], asyncio.Task[None] | None]) -> None:
        task = start()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.done += 1
        while self._waiting and len(self._running) < self._limit:
            self._start(self._waiting.popleft())

    def close(self) -> None:
        """Drops what waits."""
        self._waiting.clear()
