"""Suspects: orders that may have run before, and may have ended the executor that ran them.

Their owner is asked first whether they are still wanted: what was done meanwhile is dropped. Then they run
one at a time, each with the executor to itself, and are reported as started before they begin. So if the
executor ends, its owner knows which order did it. As those before it take their time, its owner is asked
about each once more when its turn comes: who had it before may have returned it or done it meanwhile.

An executor is not kept for one order for ever. What still runs after ``QUIET_SECONDS`` goes on beside the
suspect, which then counts as not alone, and so do the next ones until the executor has been quiet or
``BUSY_SECONDS`` are over. A suspect that runs longer than ``ALONE_SECONDS`` gets company, and its owner is
told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.work import Order
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.attempts import Attempts
from taskpath_services.executor.holding import Hold, Known
from taskpath_services.executor.questions import Questions

QUIET_SECONDS: Final = 10.0
"""How long a suspect waits for what runs on this executor to end; no new orders are taken meanwhile."""
ALONE_SECONDS: Final = 10.0
"""How long a suspect has this executor to itself."""
BUSY_SECONDS: Final = 60.0
"""For so long after it was waited in vain, no suspect waits."""


class Suspects(Service):
    """Asks about suspects, and runs them one at a time.

    Args:
        questions: asks.
        attempts: runs them.
        reports: reports them as started.
        clock: the time.
        calm: whether nothing but attempts could end this executor: no generator or handler runs.
        chance: which of those that wait is next, so that one that ends executors has its turn some time.
    """

    def __init__(
        self,
        questions: Questions,
        attempts: Attempts,
        reports: AttemptReports,
        clock: Clock,
        calm: Callable[[], bool],
        chance: random.Random,
    ) -> None:
        super().__init__("suspects")
        self._questions = questions
        self._attempts = attempts
        self._reports = reports
        self._clock = clock
        self._calm = calm
        self._chance = chance
        self._waiting: list[tuple[Hold, Order]] = []
        self._asking: dict[Hold, Sequence[Order]] = {}
        self._more = asyncio.Event()
        self._busy_until = 0

    def __len__(self) -> int:
        return len(self._waiting) + sum(len(orders) for orders in self._asking.values())

    def take(self, hold: Hold, orders: Sequence[Order], alone: frozenset[int]) -> None:
        """Runs orders if they are still wanted.

        Args:
            hold: the message that they came in.
            orders: some of its orders.
            alone: the commands of those that have to run alone; the others only have to be asked about.
        """
        self.spawn(self._ask(hold, orders, alone), "question")

    async def on_start(self) -> None:
        """Begins to run them."""
        self.spawn(self._run(), "runner")

    def known(self) -> Iterable[Known]:
        """Those that are here and have not begun."""
        for hold, orders in self._asking.items():
            yield from hold.known(orders)
        for hold, order in self._waiting:
            yield from hold.known((order,))

    def give_back(self) -> list[tuple[Hold, Sequence[Order]]]:
        """Gives up what has not begun, and returns it."""
        given = [*self._asking.items(), *((hold, [order]) for hold, order in self._waiting)]
        self._asking.clear()
        self._waiting.clear()
        return given

    async def _ask(self, hold: Hold, orders: Sequence[Order], alone: frozenset[int]) -> None:
        self._asking[hold] = orders
        wanted = await self._wanted(hold, orders)
        if self._asking.pop(hold, None) is None:
            return
        at_once: list[Order] = []
        for order in orders:
            if order.command not in wanted:
                hold.settle(order.command)
            elif order.command in alone:
                self._waiting.append((hold, order))
                self._more.set()
            else:
                at_once.append(order)
        if at_once:
            self._attempts.take(hold, at_once)

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._attempts.release()
                self._more.clear()
                await self._more.wait()
            self._attempts.reserve()
            await self._quiet()
            if self._waiting:
                await self._run_one(*self._chance.choice(self._waiting))

    async def _run_one(self, hold: Hold, order: Order) -> None:
        """Has the turn of one of those that wait, which runs if it is still wanted and ours."""
        wanted = await self._wanted(hold, (order,))
        if (hold, order) not in self._waiting:
            return  # it was given back meanwhile
        self._waiting.remove((hold, order))
        if order.command not in wanted:
            hold.settle(order.command)
        elif hold.keeps(order.command) and not self._attempts.join(hold, order):
            await self._begin(hold, order)

    async def _wanted(self, hold: Hold, orders: Sequence[Order]) -> set[int]:
        message = hold.message
        named = [(order.path, order.command) for order in orders]
        return await self._questions.wanted(message.partition, message.id, message.epoch, named)

    async def _quiet(self) -> None:
        """Waits until nothing runs, if that may be soon."""
        if self._attempts.idle or self._clock.now() < self._busy_until:
            return
        limit = asyncio.ensure_future(self._clock.sleep(QUIET_SECONDS))
        try:
            await self._attempts.until_idle(limit)
        finally:
            limit.cancel()
        if not self._attempts.idle:
            self._busy_until = self._clock.now() + round(BUSY_SECONDS * 1000)

    async def _begin(self, hold: Hold, order: Order) -> None:
        """Reports a suspect as started, begins it, and leaves it the executor for a while if it has that."""
        alone = self._attempts.idle and self._calm()
        await self._reports.started_alone(hold, order, alone=alone)
        if not hold.keeps(order.command):
            return  # the connection was lost meanwhile: it is somebody else's
        hold.settle(order.command)
        ended = self._attempts.expect((hold.message.id, hold.message.epoch, order.command))
        self._attempts.take(hold, (order,), started=True)
        if not alone:
            return
        self._busy_until = 0
        limit = asyncio.ensure_future(self._clock.sleep(ALONE_SECONDS))
        end = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait((limit, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            end.cancel()
        if not ended.is_set():
            self._attempts.company = lambda: None if ended.is_set() else self._reports.joined(hold, order)
