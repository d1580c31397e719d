"""A second owner: one that was taken for dead, and goes on beside its successor for a while.

It finishes what it was about to let out, and decides what it had taken, under its old epoch. Its commands
reach executors. Storage refuses its events, and so nobody is answered by it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from taskpath_proto.codec import Message
from taskpath_services.scheduler.effects import Outcome, Timer
from taskpath_services.scheduler.partition import Partition

Step = Callable[[], None]


class Rival:
    """An owner that does not know that it is none any more.

    Args:
        partition: its state.
        timers: its timers, as a heap.
        steps: what it has decided and not let out.
        taken: the messages that it has taken and not acknowledged.
    """

    def __init__(
        self,
        partition: Partition,
        timers: list[tuple[int, int, Timer]],
        steps: list[Step],
        taken: list[Message],
    ) -> None:
        self.partition = partition
        self.timers = timers
        self._steps = steps
        self._taken = taken
        self._acts = 0

    def act(
        self,
        random: random.Random,
        now: int,
        load: Callable[[Partition, list[str]], None],
        let_out: Callable[[Outcome], None],
    ) -> bool:
        """Does something; whether there is more to come.

        Args:
            random: how much.
            now: the time, ms since epoch.
            load: gets instances from storage.
            let_out: lets out what a decision leads to; what storage refuses is refused.
        """
        if self._steps:
            self._steps.pop(0)()
            return True
        self._acts += 1
        size = random.randint(0, len(self._taken))
        batch, self._taken = self._taken[:size], self._taken[size:]
        fired: list[Timer] = []
        while self.timers and self.timers[0][0] <= now:
            fired.append(heapq.heappop(self.timers)[2])
        load(self.partition, self.partition.unknown(batch, redelivered=True))
        let_out(self.partition.decide(batch, fired, now, redelivered=random.random() < 0.5))
        return bool(self._taken) or self._acts < random.randint(1, 4)
