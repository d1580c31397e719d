"""Windows: how much of an instance is out at executors at once.

A foreach of 100,000 items is not 100,000 messages: each instance has, for each queue, a window of orders
that are out; as they end, the next are let out. What waits is either one work, or a foreach's frame that is
asked for its next item.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from taskpath_services.scheduler.frames import Frame, Work

WINDOW: Final = 256
"""How many orders of one instance are out to one queue at once."""


class Window:
    """The orders of one instance for one queue.

    A window that was full opens again when a quarter of it has ended. If each that ends let out the next,
    there would be a message for every few of them, in both directions, however many there are.

    Attributes:
        out: what has been sent and has not ended, the oldest first.
        waiting: what is next.
        open: whether another order may go out.
    """

    __slots__ = ("open", "out", "waiting")

    def __init__(self) -> None:
        self.out: dict[Work, None] = {}
        self.waiting: deque[Work | Frame] = deque()
        self.open = True

    def add(self, work: Work) -> None:
        """A work is out."""
        self.out[work] = None
        if len(self.out) >= WINDOW:
            self.open = False

    def remove(self, work: Work) -> None:
        """A work is out no more, if it was."""
        self.out.pop(work, None)
        if not self.open:
            self.open = len(self.out) <= WINDOW - max(1, WINDOW // 4)


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
