"""Timers of a partition: what is due when. They are armed again from the records after a crash."""

from __future__ import annotations

import heapq

from taskpath_services.scheduler.effects import Timer


class Timers:
    """A heap of timers; the earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._count = 0

    def arm(self, timer: Timer) -> None:
        """Adds a timer."""
        self._count += 1
        heapq.heappush(self._heap, (timer.due, self._count, timer))

    @property
    def next_due(self) -> int | None:
        """When the earliest is due, ms since epoch."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> list[Timer]:
        """Takes out what is due."""
        fired: list[Timer] = []
        while self._heap and self._heap[0][0] <= now:
            fired.append(heapq.heappop(self._heap)[2])
        return fired
