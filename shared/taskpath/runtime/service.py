"""The one lifecycle that every service and every part of one has.

``start`` returns when the service is ready, ``stop`` when it has ended in order. Both are safe to call twice,
and ``stop`` before ``start``. Every background task has a name, and one that ends unexpectedly fails the
whole service: :meth:`Service.wait` raises what killed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

import structlog

from taskpath.runtime.bus import BusLost

if TYPE_CHECKING:
    from prometheus_client import Metric

log = structlog.get_logger("taskpath")


class State(Enum):
    """Where a service is in its life."""

    NEW = "new"
    STARTED = "started"
    STOPPED = "stopped"


class Service:
    """A part with a beginning and an end.

    Args:
        name: for logs and the names of its tasks.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._state = State.NEW
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it has started, and has neither stopped nor failed."""
        return self._state is State.STARTED and not (self._failed is not None and self._failed.done())

    async def start(self) -> None:
        """Starts the service; if that fails, what had started is stopped again."""
        async with self._lock:
            if self._state is not State.NEW:
                return
            self._failed = asyncio.get_running_loop().create_future()
            self._state = State.STARTED
            try:
                await self.on_start()
            except BaseException:
                await self._end()
                raise

    async def stop(self) -> None:
        """Stops the service in order."""
        async with self._lock:
            if self._state is State.STARTED:
                await self._end()
            self._state = State.STOPPED

    async def _end(self) -> None:
        self._state = State.STOPPED
        try:
            await self.on_stop()
        finally:
            for task in list(self._tasks):
                task.cancel()
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            if self._failed is not None and not self._failed.done():
                self._failed.set_result(None)

    async def wait(self) -> None:
        """Returns when the service has stopped; raises what made it fail."""
        if self._failed is not None:
            await asyncio.shield(self._failed)

    async def on_start(self) -> None:
        """What starting means; returns when ready."""

    async def on_stop(self) -> None:
        """What stopping means; background tasks that are still there afterwards are cancelled."""

    def metrics(self) -> Iterable[Metric]:
        """Its figures as they are now, for a process that serves it alone."""
        return ()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs work in the background; if it raises, the service fails."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            if isinstance(error, BusLost):
                log.warning("connection lost", service=self.name, task=task.get_name(), reason=str(error))
            else:
                log.error("service failed", service=self.name, task=task.get_name(), exc_info=error)
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Makes the service fail: :meth:`wait` raises the error."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()
