"""Reports to the owners of instances: sent in order, and again until they are confirmed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.work import (
    HandlerFinished,
    PlanExpanded,
    TaskFinished,
    TaskProgressed,
    TasksHeld,
    TasksReturned,
    TaskStarted,
)

log = structlog.get_logger("taskpath.executor")

MAX_UNCONFIRMED: Final = 1_000
"""So many reports may wait for their confirms before no more work is taken."""
AGAIN_SECONDS: Final = 0.1
"""How long after a connection was lost reports are sent again; each time in vain it is twice as long."""
MOST_AGAIN_SECONDS: Final = 1.0

Report = (
    TaskStarted | TaskProgressed | TaskFinished | TasksHeld | TasksReturned | PlanExpanded | HandlerFinished
)


def _nothing() -> None:
    pass


class _Entry:
    """A report on its way."""

    __slots__ = ("confirmed", "instead", "mailbox", "report", "sent")

    def __init__(
        self,
        mailbox: str,
        report: Report,
        confirmed: Callable[[], None],
        instead: Callable[[], None] | None,
        sent: Awaitable[None] | None,
    ) -> None:
        self.mailbox = mailbox
        self.report = report
        self.confirmed = confirmed
        self.instead = instead
        self.sent = sent


class Reports(Service):
    """Sends reports, and says when the bus has confirmed them.

    When the connection is lost, what is not confirmed may or may not have arrived. It is sent again, in the
    order in which it was sent first: an owner drops what it has heard before.

    Args:
        bus: the bus.
        clock: for waiting while the bus is away.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        super().__init__("reports")
        self._bus = bus
        self._clock = clock
        self._mailboxes: dict[int, str] = {}
        self._waiting: deque[_Entry] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._away = False

    @property
    def full(self) -> bool:
        """Whether no more work should be taken, because its reports would have to wait here."""
        return len(self._waiting) >= MAX_UNCONFIRMED

    @property
    def partitions(self) -> list[int]:
        """The partitions whose owners have been told anything."""
        return list(self._mailboxes)

    def send(
        self,
        partition: int,
        report: Report,
        confirmed: Callable[[], None] = _nothing,
        instead: Callable[[], None] | None = None,
    ) -> bool:
        """Sends a report; whether it is confirmed already.

        Args:
            partition: whose owner gets it.
            report: the report.
            confirmed: called when the bus has it.
            instead: called, instead of sending it again, when the connection was lost.
        """
        mailbox = self._mailboxes.get(partition)
        if mailbox is None:
            mailbox = self._mailboxes[partition] = topology.scheduler_mailbox(partition)
        if self._away:
            if instead is not None:
                instead()
            else:
                self._put(_Entry(mailbox, report, confirmed, instead, None))
            return False
        sent = self._bus.send(mailbox, report)
        if isinstance(sent, asyncio.Future) and sent.done() and sent.exception() is None:
            confirmed()
            return True
        self._put(_Entry(mailbox, report, confirmed, instead, sent))
        return False

    async def tell(self, partition: int, report: Report) -> None:
        """Sends a report; returns when it is confirmed."""
        done = asyncio.Event()
        self.send(partition, report, done.set)
        await done.wait()

    def _put(self, entry: _Entry) -> None:
        self._waiting.append(entry)
        self._more.set()

    async def on_start(self) -> None:
        """Waits for confirms, in the order of sending."""
        self.spawn(self._confirm(), "confirms")

    async def flush(self, limit: asyncio.Future[None]) -> None:
        """Returns when everything is confirmed, or the limit is over."""
        while self._waiting and not limit.done():
            self._empty.clear()
            empty = asyncio.ensure_future(self._empty.wait())
            await asyncio.wait((limit, empty), return_when=asyncio.FIRST_COMPLETED)
            empty.cancel()

    async def _confirm(self) -> None:
        waiting, pause = self._waiting, AGAIN_SECONDS
        while True:
            while not waiting:
                self._more.clear()
                self._empty.set()
                await self._more.wait()
            entry = waiting[0]
            try:
                if entry.sent is not None:
                    await entry.sent
            except BusLost:
                self._away = True
                self._let_go()
                await self._clock.sleep(pause)
                pause = min(2 * pause, MOST_AGAIN_SECONDS)
                self._send_again()
            except BusClosed:
                waiting.popleft()  # what is not acknowledged comes back
            except Exception as error:
                waiting.popleft()
                log.error("a report cannot be sent", report=type(entry.report).__name__, error=str(error))
            else:
                waiting.popleft()
                pause = AGAIN_SECONDS
                entry.confirmed()

    def _let_go(self) -> None:
        """Drops what need not be sent again: whoever sent it does something else."""
        entries = list(self._waiting)
        self._waiting.clear()
        for entry in entries:
            if isinstance(entry.sent, asyncio.Future):
                entry.sent.add_done_callback(_heed)
            if entry.instead is None:
                self._waiting.append(entry)
            else:
                entry.instead()

    def _send_again(self) -> None:
        self._away = False
        for entry in self._waiting:
            entry.sent = self._bus.send(entry.mailbox, entry.report)


def _heed(sent: asyncio.Future[None]) -> None:
    """What came of it is known from elsewhere."""
    if not sent.cancelled():
        sent.exception()
