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

    Attributes:
        out: how many have been sent and have not ended.
        waiting: what is next.
    """

    __slots__ = ("out", "waiting")

    def __init__(self) -> None:
        self.out = 0
        self.waiting: deque[Work | Frame] = deque()

    @property
    def open(self) -> bool:
        """Whether another order may go out."""
        return self.out < WINDOW


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
