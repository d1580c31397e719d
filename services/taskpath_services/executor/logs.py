"""What tasks write: gathered per attempt, published a few times a second and before the final report."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from taskpath.runtime.bus import Bus, BusLost
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.events import LogLine, LogsWritten

if TYPE_CHECKING:
    from taskpath_services.executor.attempt import Attempt

MAX_LINE: Final = 16 * 1024
"""How many bytes a line has at most."""
MAX_WAITING: Final = 10_000
"""How many lines of an attempt wait; beyond, the oldest go. Their numbers tell how many are missing."""
MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
AGAIN_SECONDS: Final = 0.5
"""How long after a connection was lost lines are published again."""
_CHUNK_BYTES: Final = 256 * 1024

current: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar("taskpath_attempt", default=None)
"""The attempt in whose function we are."""


class LogBook:
    """The lines of one attempt. They are added in any thread and published on the event loop.

    Args:
        instance: the instance.
        partition: of the instance.
        path: the task.
        attempt: its number.
    """

    __slots__ = (
        "_attempt",
        "_bytes",
        "_clock",
        "_instance",
        "_lines",
        "_numbers",
        "_partition",
        "_path",
        "_unconfirmed",
    )

    def __init__(self, clock: Clock, instance: str, partition: int, path: str, attempt: int) -> None:
        self._clock = clock
        self._instance = instance
        self._partition = partition
        self._path = path
        self._attempt = attempt
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._numbers = itertools.count(1)
        self._unconfirmed: deque[tuple[LogsWritten, asyncio.Future[None]]] = deque()

    def add(self, level: str, text: str) -> None:
        """Adds a line, cut to what a line may have."""
        text = cut(text)
        self._lines.append(
            LogLine(
                time=self._clock.now(), level=level, text=text, attempt=self._attempt, n=next(self._numbers)
            )
        )
        self._bytes += len(text)
        while len(self._lines) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            try:
                self._bytes -= len(self._lines.popleft().text)
            except IndexError:
                self._bytes = 0

    def publish(self, bus: Bus) -> None:
        """Publishes the lines that wait, unless those before them are not safe yet; those that did not become
        safe are published again."""
        waiting = self._unconfirmed
        while waiting and waiting[0][1].done():
            if not _is_safe(waiting[0][1]):
                self._publish_again(bus)
                return
            waiting.popleft()
        if not waiting:
            self._publish_all(bus)

    async def confirm(self, bus: Bus) -> None:
        """Publishes what is left; returns when all lines are safe, however often they have to be published.

        Raises:
            BusClosed: the bus was closed.
        """
        self._publish_all(bus)
        while self._unconfirmed:
            try:
                await self._unconfirmed[0][1]
                self._unconfirmed.popleft()
            except BusLost:
                await self._clock.sleep(AGAIN_SECONDS)
                self._publish_again(bus)

    def _publish_again(self, bus: Bus) -> None:
        """Publishes what is not safe once more, in its order; storage knows the lines by their numbers."""
        self._unconfirmed = deque((event, self._send(bus, event)) for event, _ in self._unconfirmed)

    def _publish_all(self, bus: Bus) -> None:
        while self._lines:
            lines: list[LogLine] = []
            size = 0
            while self._lines and size < _CHUNK_BYTES:
                line = self._lines.popleft()
                size += len(line.text) + 64
                lines.append(line)
            # Threads add to the count without a lock; here it starts anew.
            self._bytes = 0
            event = LogsWritten(id=self._instance, partition=self._partition, path=self._path, lines=lines)
            self._unconfirmed.append((event, self._send(bus, event)))

    def _send(self, bus: Bus, event: LogsWritten) -> asyncio.Future[None]:
        return bus.publish(
            event, topology.storage_mailbox(self._partition), topology.instance_key(self._instance)
        )


def _is_safe(future: asyncio.Future[None]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def cut(text: str) -> str:
    """The text without what a line has no room for."""
    if len(text) * 4 <= MAX_LINE:
        return text
    data = text.encode(errors="replace")
    if len(data) <= MAX_LINE:
        return text
    return data[: MAX_LINE - 3].decode(errors="ignore") + "…"


class _Records(logging.Handler):
    """Takes the records of the module ``logging`` that are made inside a task to the task's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record to the log of the task in which it was made."""
        attempt = current.get()
        if attempt is not None:
            try:
                attempt.write_log(record.levelname.lower(), self.format(record))
            except Exception:
                self.handleError(record)
        elif (
            # With a handler on the root logger, logging keeps what nobody else handles from stderr.
            logging.lastResort is not None
            and record.levelno >= logging.lastResort.level
            and logging.getLogger().handlers == [self]
        ):
            logging.lastResort.handle(record)


class _Listening:
    """The one handler on the root logger, there while any executor of the process runs."""

    def __init__(self) -> None:
        self.handler = _Records()
        self.executors = 0
        self.level: int | None = None


_listening: Final = _Listening()


def listen() -> None:
    """Listens to all loggers, from INFO on unless the root logger was set to something else.

    A process may have several executors; each calls this once, and :func:`leave` when it ends.
    """
    _listening.executors += 1
    if _listening.executors > 1:
        return
    root = logging.getLogger()
    if root.level == logging.WARNING:
        _listening.level = root.level
        root.setLevel(logging.INFO)
    root.addHandler(_listening.handler)


def leave() -> None:
    """Leaves logging as it was, if this was the last executor."""
    _listening.executors -= 1
    if _listening.executors > 0:
        return
    root = logging.getLogger()
    root.removeHandler(_listening.handler)
    if _listening.level is not None and root.level == logging.INFO:
        root.setLevel(_listening.level)
    _listening.level = None
