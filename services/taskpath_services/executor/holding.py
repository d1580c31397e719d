"""Holding: what was taken from a mailbox stays unacknowledged until each order in it has been reported.

Reported means: finished; or, a moment after it was taken, begun or still waiting. So a short order costs no
message of its own and moves at once to another executor when its own dies, and no delivery is held for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from taskpath.runtime.bus import Delivery, Inbox
from taskpath_proto.work import Order, RunTasks

REPORT_AFTER: Final = 100
"""What was taken so long ago, in ms, and has not ended, is reported as begun or waiting."""


Key = tuple[str, int, int]
"""What tells an order apart from all others: its instance, epoch and command."""
Known = tuple[int, Key, str]
"""An order's partition, key and path."""


class Line:
    """A mailbox as long as it is open; when the connection is lost, what came on it goes back.

    Args:
        inbox: the open mailbox.
    """

    __slots__ = ("inbox", "lost")

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.lost = False


class Held:
    """A delivery that is acknowledged when everything in it is settled.

    Args:
        delivery: what was taken.
        count: how many messages it has that matter.
        line: where it came from.
    """

    __slots__ = ("_count", "_delivery", "_line")

    def __init__(self, delivery: Delivery, count: int, line: Line) -> None:
        self._delivery = delivery
        self._count = count
        self._line = line

    @property
    def lost(self) -> bool:
        """Whether it goes to somebody else, unless it was acknowledged before."""
        return self._line.lost

    def settle(self) -> None:
        """One more of its messages is dealt with."""
        self._count -= 1
        if self._count == 0:
            self._delivery.ack()


class Hold:
    """The orders of one message, as far as they are in our hands.

    Args:
        message: the message.
        held: the delivery that it came in.
        taken: when it was taken, ms since epoch.
        redelivered: whether somebody may have taken it before.
    """

    __slots__ = ("_held", "is_step", "message", "pending", "redelivered", "taken")

    def __init__(self, message: RunTasks, held: Held, taken: int, *, redelivered: bool = False) -> None:
        self.message = message
        self.taken = taken
        self.redelivered = redelivered
        self.is_step = False
        self.pending = {order.command for order in message.orders}
        """The commands of which no report is confirmed."""
        self._held = held

    def step(self, message: RunTasks) -> Hold:
        """What this executor goes on to after an order of this message: in no delivery, and nobody else's.

        Args:
            message: that it would have come in.
        """
        step = Hold(message, self._held, self.taken)
        step.is_step = True
        step.pending.clear()
        return step

    @property
    def lost(self) -> bool:
        """Whether what is pending has gone to somebody else."""
        return self._held.lost

    def keeps(self, command: int) -> bool:
        """Whether an order that has not begun is still ours: it did not go to somebody else."""
        return not self._held.lost or command not in self.pending

    def known(self, orders: Iterable[Order]) -> Iterable[Known]:
        """What tells some of its orders apart."""
        message = self.message
        for order in orders:
            yield message.partition, (message.id, message.epoch, order.command), order.path

    def settle(self, command: int) -> None:
        """An order has been dealt with, or the report of it is confirmed. More than once does nothing."""
        pending = self.pending
        if command in pending:
            pending.remove(command)
            if not pending:
                self._held.settle()

    def settle_all(self, commands: Iterable[int]) -> None:
        """Settles several."""
        for command in commands:
            self.settle(command)


class Holding:
    """Tells which holds are due: those of which something is to be reported because time has passed."""

    def __init__(self) -> None:
        self._waiting: deque[Hold] = deque()

    def add(self, hold: Hold) -> None:
        """Begins with a message that was just taken."""
        self._waiting.append(hold)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def again(self, hold: Hold) -> None:
        """What was reported of a message may not have arrived: it is due again."""
        self._waiting.appendleft(hold)

    def due(self, now: int) -> list[Hold]:
        """The holds that are due, each once; those that are settled by now are passed over."""
        holds: list[Hold] = []
        waiting = self._waiting
        while waiting and (not waiting[0].pending or now - waiting[0].taken >= REPORT_AFTER):
            hold = waiting.popleft()
            if hold.pending and not hold.lost:
                holds.append(hold)
        return holds
