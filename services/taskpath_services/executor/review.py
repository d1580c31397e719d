"""The review of what is here: owners may ask for it, and are asked when messages may have been missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from taskpath.runtime.service import Service
from taskpath_proto.work import CancelAttempts, TasksHeld, WhatIsHeld
from taskpath_services.executor.holding import Known
from taskpath_services.executor.questions import Named, Questions
from taskpath_services.executor.reports import Reports


def by_instance(known: Iterable[Known]) -> dict[tuple[int, str, int], list[Named]]:
    """Orders by partition, instance and epoch: one question for each."""
    questions: dict[tuple[int, str, int], list[Named]] = {}
    for partition, (id, epoch, command), path in known:
        questions.setdefault((partition, id, epoch), []).append((path, command))
    return questions


class Review(Service):
    """Asks about everything that is here, and stops what is not wanted any more.

    Args:
        questions: asks.
        known: what is here.
        cancel: stops orders.
        reports: tells owners.
        executor: this executor's id.
    """

    def __init__(
        self,
        questions: Questions,
        known: Callable[[], Iterable[Known]],
        cancel: Callable[[CancelAttempts], None],
        reports: Reports,
        executor: str,
    ) -> None:
        super().__init__("review")
        self._questions = questions
        self._known = known
        self._cancel = cancel
        self._reports = reports
        self._executor = executor
        self._due = asyncio.Event()

    def begin(self) -> None:
        """Something may have been missed."""
        self._due.set()

    def tell(self, asked: WhatIsHeld) -> None:
        """Tells a new owner what is here of its partition."""
        here = (one for one in self._known() if one[0] == asked.partition)
        for (partition, id, epoch), orders in by_instance(here).items():
            self._reports.send(partition, TasksHeld(id, epoch, self._executor, tuple(orders)))

    async def on_start(self) -> None:
        """Waits until it is needed."""
        self.spawn(self._work(), "questions")

    async def _work(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            asked = by_instance(self._known())
            await asyncio.gather(*(self._ask(*of, orders) for of, orders in asked.items()))

    async def _ask(self, partition: int, id: str, epoch: int, orders: list[Named]) -> None:
        wanted = await self._questions.wanted(partition, id, epoch, orders)
        unwanted = tuple(command for _, command in orders if command not in wanted)
        if unwanted:
            self._cancel(CancelAttempts(id, epoch, unwanted))
