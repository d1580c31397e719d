"""How much may wait for a worker, so that short orders never wait for us, and long ones not for others.

What waits here nobody else can run. So the quicker a kind of worker gets through its work, the more may wait
for it: about as much as it does in the time that it takes to get more.
"""

from __future__ import annotations

from typing import Final

AHEAD_SECONDS: Final = 0.05
"""So many seconds of work may wait: several times what a report and the next orders take over a broker."""
MOST_AHEAD: Final = 256
"""How many orders may wait for a kind of worker at most."""
SHORTEST_MS: Final = 20
LONGEST_MS: Final = 1_000
"""What is measured over less time says nothing, and over more nothing about now."""
_WEIGHT: Final = 0.5


class Flow:
    """How fast a kind of worker gets through its work.

    Attributes:
        ahead: how many orders may wait.
        soon: how many orders are done within a second, at this rate.

    Args:
        least: how many orders may wait at least.
    """

    __slots__ = ("_done", "_least", "_rate", "_since", "ahead", "soon")

    def __init__(self, least: int = 0) -> None:
        self.ahead = self._least = least
        self.soon = 0
        self._done = 0
        self._rate = 0.0
        self._since = 0

    def measure(self, done: int, now: int) -> None:
        """Measures if it is time, and decides how many orders may wait until it is measured again.

        Args:
            done: how many orders have been done, ever.
            now: ms since epoch.
        """
        elapsed = now - self._since
        if elapsed < SHORTEST_MS:
            return
        rate = (done - self._done) * 1000 / elapsed if elapsed <= LONGEST_MS else 0.0
        self._rate += _WEIGHT * (rate - self._rate)
        self._since, self._done = now, done
        self.soon = int(self._rate)
        self.ahead = max(self._least, min(MOST_AHEAD, int(self._rate * AHEAD_SECONDS)))
