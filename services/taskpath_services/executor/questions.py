"""Asking the owner of an instance which orders are still wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.errors import TaskpathError
from taskpath_proto.queries import AskWanted, Wanted

AGAIN_SECONDS: Final = 0.5
AT_ONCE: Final = 32
"""How many questions are asked at once."""

Named = tuple[str, int]
"""An order's path and its command's number."""


class Questions:
    """Asks owners, until they answer.

    Args:
        caller: asks.
        executor: this executor's id.
        clock: for waiting before it is asked again.
    """

    def __init__(self, caller: Caller, executor: str, clock: Clock) -> None:
        self._caller = caller
        self._executor = executor
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def wanted(self, partition: int, id: str, epoch: int, orders: Iterable[Named]) -> set[int]:
        """The commands that are still wanted. As long as the owner or the bus is away, it asks again.

        Args:
            partition: of the instance.
            id: the instance.
            epoch: of the orders.
            orders: of each its path and its command's number.
        """
        question = AskWanted(id, epoch, self._executor, tuple(orders))
        while True:
            async with self._room:
                try:
                    answer = await self._caller.ask(topology.scheduler_mailbox(partition), question, Wanted)
                    return set(answer.commands)
                except TaskpathError as error:
                    if not error.code.temporary:
                        return set()
            await self._clock.sleep(AGAIN_SECONDS)
