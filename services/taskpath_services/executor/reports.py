"""Reports to the owners of instances, and the acknowledgement of what they settle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from taskpath.runtime.bus import Bus, BusClosed, Delivery
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.work import HandlerFinished, PlanExpanded, TaskFinished, TaskProgressed, TaskStarted

log = structlog.get_logger("taskpath.executor")

Report = TaskStarted | TaskProgressed | TaskFinished | PlanExpanded | HandlerFinished


class Held:
    """A delivery that is acknowledged when everything in it is settled.

    Args:
        delivery: what was taken.
        count: how many orders and requests it has.
    """

    __slots__ = ("_count", "_delivery")

    def __init__(self, delivery: Delivery, count: int) -> None:
        self._delivery = delivery
        self._count = count

    def settle(self, count: int = 1) -> None:
        """So many more of them are dealt with."""
        self._count -= count
        if self._count == 0:
            self._delivery.ack()


class Reports(Service):
    """Sends reports; what one settles is settled when the bus has confirmed it.

    Args:
        bus: the bus.
    """

    def __init__(self, bus: Bus) -> None:
        super().__init__("reports")
        self._bus = bus
        self._mailboxes: dict[int, str] = {}
        self._unconfirmed: asyncio.Queue[tuple[Awaitable[None], Held | None]] = asyncio.Queue()

    def send(self, partition: int, report: Report, held: Held | None = None) -> None:
        """Sends a report.

        Args:
            partition: whose owner gets it.
            report: the report.
            held: of which it settles one order; None for one that settles nothing.
        """
        mailbox = self._mailboxes.get(partition)
        if mailbox is None:
            mailbox = self._mailboxes[partition] = topology.scheduler_mailbox(partition)
        sent = self._bus.send(mailbox, report)
        if isinstance(sent, asyncio.Future) and sent.done() and sent.exception() is None:
            if held is not None:
                held.settle()
        else:
            self._unconfirmed.put_nowait((sent, held))

    async def on_start(self) -> None:
        """Waits for confirms, in the order of sending."""
        self.spawn(self._confirm(), "confirms")

    async def on_stop(self) -> None:
        """Waits until everything that was sent is confirmed, or failed."""
        await self._unconfirmed.join()

    async def _confirm(self) -> None:
        while True:
            sent, held = await self._unconfirmed.get()
            try:
                await sent
            except BusClosed:
                pass  # what is not acknowledged comes back
            except Exception as error:
                log.warning("a report was not confirmed", error=str(error))
            else:
                if held is not None:
                    held.settle()
            finally:
                self._unconfirmed.task_done()
