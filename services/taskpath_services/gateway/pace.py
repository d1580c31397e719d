"""How often a watched instance's changes are sent. Pure.

A change after quiet goes out at once, and so do the few that follow it, for a short run is over before
anybody would want it conflated. What goes on changing is sent every :data:`INTERVAL_MS`, less often if
sending is expensive: it may take a tenth of the time. Expensive is what was so twice in a row, for once may
be the doing of the garbage collector, and would silence the instance for a second.
"""

from __future__ import annotations

from typing import Final

INTERVAL_MS: Final = 75
BURST: Final = 4
_MOST_INTERVAL_MS: Final = 1_000
_SHARE: Final = 10


class Pace:
    """Says when the next change may go out. Times in ms."""

    __slots__ = ("_at", "_cost", "_credit", "_interval")

    def __init__(self) -> None:
        self._credit = float(BURST)
        self._interval = float(INTERVAL_MS)
        self._cost = 0.0
        self._at = 0

    def due(self, now: int) -> bool:
        """Whether a change may go out now."""
        return self._earned(now) >= 1.0

    def sent(self, now: int, cost: float) -> None:
        """A change went out, due or not.

        Args:
            now: the time.
            cost: how much of the processor it took to send, in ms.
        """
        self._credit = max(self._earned(now) - 1.0, -1.0)
        self._at = now
        lasting, self._cost = min(cost, self._cost), cost
        self._interval = min(max(float(INTERVAL_MS), lasting * _SHARE), float(_MOST_INTERVAL_MS))

    def _earned(self, now: int) -> float:
        return min(self._credit + max(0, now - self._at) / self._interval, float(BURST))
