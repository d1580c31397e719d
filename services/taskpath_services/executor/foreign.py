"""Work for other apps: it came from a queue that apps share, and this app does not have its workflow.

It is neither failed nor lost: orders are returned to their owner, and requests to their mailbox, in the hope
that another executor takes them next. That costs time and messages, so apps should not share queues; the
longer it goes on, the longer what came is kept before it goes back, so that two wrong executors do not throw
it to and fro.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from taskpath.app import App
from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.work import ExpandPlan, Order, RunHandler
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.holding import Held, Hold, Known

log = structlog.get_logger("taskpath.executor")

FIRST_SECONDS: Final = 0.25
"""How long an order is kept before it goes back, at first."""
MOST_SECONDS: Final = 30.0
FORGET_MS: Final = 60_000
"""After so long without any, it begins with the first again."""
MOST_WAITING: Final = 1_000
"""So many orders may be kept before no more work is taken."""
MOST_PASSES: Final = 10
"""How often a request is passed on by the same executor; then it is dealt with here, as well as it can be."""
PASS_SECONDS: Final = 0.1
_MOST_REMEMBERED: Final = 1_000


class Foreign(Service):
    """Sends back what this app cannot do.

    Args:
        app: what it can do.
        bus: for requests.
        clock: the time.
        reports: for orders.
        changed: called when there is room again.
    """

    def __init__(
        self, app: App, bus: Bus, clock: Clock, reports: AttemptReports, changed: Callable[[], None]
    ) -> None:
        super().__init__("foreign work")
        self._app = app
        self._bus = bus
        self._clock = clock
        self._reports = reports
        self._changed = changed
        self._waiting: dict[Hold, tuple[Order, ...]] = {}
        self._count = 0
        self._pauses: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._passed: OrderedDict[tuple[str, int, int], int] = OrderedDict()

    @property
    def full(self) -> bool:
        """Whether no more work should be taken."""
        return self._count >= MOST_WAITING

    def knows(self, workflow: str) -> bool:
        """Whether this app has a workflow."""
        return workflow in self._app.workflows

    def take(self, hold: Hold) -> None:
        """Returns the orders of a message after a while."""
        self._waiting[hold] = hold.message.orders
        self._count += len(hold.message.orders)
        self.spawn(self._return(hold, self._pause(hold.message.workflow)), "return")

    async def _return(self, hold: Hold, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
            orders = self._waiting.pop(hold, None)
            if orders is not None:
                self._reports.returned(hold, orders)
        finally:
            self._count -= len(hold.message.orders)
            self._changed()

    def known(self) -> Iterable[Known]:
        """What is kept."""
        for hold, orders in self._waiting.items():
            yield from hold.known(orders)

    def give_back(self) -> list[tuple[Hold, tuple[Order, ...]]]:
        """Gives up what is kept, and returns it."""
        given = list(self._waiting.items())
        self._waiting.clear()
        return given

    def _pause(self, workflow: str) -> float:
        """How long to keep an order of a workflow; longer each time, up to a bound."""
        now = self._clock.now()
        seconds, last = self._pauses.pop(workflow, (0.0, 0))
        if now - last >= FORGET_MS:
            seconds = 0.0
        if seconds == 0.0:
            log.warning(
                "this executor has no such workflow; what comes of it goes back. "
                "Apps that share a queue do this: give each its own queues",
                workflow=workflow,
            )
        # Messages that come together are of one wave: the pause grows from wave to wave.
        if seconds == 0.0 or now - last >= seconds * 1000:
            seconds = min(MOST_SECONDS, 2 * seconds or FIRST_SECONDS)
            last = now
        self._pauses[workflow] = (seconds, last)
        while len(self._pauses) > _MOST_REMEMBERED:
            self._pauses.popitem(last=False)
        return seconds

    def passes(self, request: ExpandPlan | RunHandler, queue: str, held: Held) -> bool:
        """Passes a request on, unless this executor has the workflow or has passed it on too often.

        Args:
            request: the request.
            queue: whose mailbox it came from.
            held: settled when it is there again.
        """
        if self.knows(request.workflow):
            return False
        key = (request.id, request.epoch, request.command)
        count = self._passed.pop(key, 0) + 1
        if count > MOST_PASSES:
            return False
        self._passed[key] = count
        while len(self._passed) > _MOST_REMEMBERED:
            self._passed.popitem(last=False)
        self.spawn(self._pass(request, topology.generator_mailbox(queue), held), "pass on")
        return True

    async def _pass(self, request: ExpandPlan | RunHandler, mailbox: str, held: Held) -> None:
        try:
            await self._clock.sleep(PASS_SECONDS)
            await self._bus.send(mailbox, request)
        except (BusLost, BusClosed):
            return  # it was not acknowledged: it comes back
        held.settle()
