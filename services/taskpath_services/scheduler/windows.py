"""Windows: how much of an instance is out at executors at once.

A foreach of 100,000 items is not 100,000 messages: each instance has, for each queue, a window of orders
that are out; as they end, the next are let out. What waits is either one work, or a foreach's frame that is
asked for its next item.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.frames import Frame, Work

WINDOW: Final = 256
"""So many orders of one instance are out to one queue at once, more if its executors can run more at once."""


def size(fleet: Fleet, queue: str) -> int:
    """How many orders of one instance may be out to one queue.

    Three quarters of that are out even when it is about to be filled again, which is more than its executors
    can run at once: none of them has nothing to do as long as anything waits.
    """
    return max(WINDOW, 2 * fleet.capacity(queue))


class Window:
    """The orders of one instance for one queue.

    A window that was full opens again when a quarter of it has ended. If each that ends let out the next,
    there would be a message for every few of them, in both directions, however many there are.

    Attributes:
        out: what has been sent and has not ended, the oldest first.
        waiting: what is next.
    """

    __slots__ = ("_full", "out", "waiting")

    def __init__(self) -> None:
        self.out: dict[Work, None] = {}
        self.waiting: deque[Work | Frame] = deque()
        self._full = False

    def add(self, work: Work, size: int) -> None:
        """A work goes out.

        Args:
            work: it.
            size: how many may be out.
        """
        self.out[work] = None
        self._full = len(self.out) >= size

    def has_room(self, size: int) -> bool:
        """Whether another order may go out.

        Args:
            size: how many may be out.
        """
        self._full = len(self.out) > (size - max(1, size // 4) if self._full else size - 1)
        return not self._full


class Windows:
    """The windows of one instance, by queue."""

    __slots__ = ("by_queue",)

    def __init__(self) -> None:
        self.by_queue: dict[str, Window] = {}

    def of(self, queue: str) -> Window:
        """The window for a queue."""
        window = self.by_queue.get(queue)
        if window is None:
            window = self.by_queue[queue] = Window()
        return window
