"""Admission: what becomes of the orders that were taken. They run, or are asked about first, or go back."""

from __future__ import annotations

from enum import Enum

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath_proto.work import Order, RunTasks
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.attempts import Attempts
from taskpath_services.executor.foreign import Foreign
from taskpath_services.executor.holding import Held, Hold
from taskpath_services.executor.suspects import Suspects


class Doubt(Enum):
    """What has to be done before an order runs."""

    NONE = "none"
    ASK = "ask whether it is still wanted"
    ALONE = "ask, and run it alone"


def doubt(order: Order, *, redelivered: bool, outdated: bool) -> Doubt:
    """What has to be done before an order runs.

    Args:
        order: the order.
        redelivered: whether somebody may have taken it before.
        outdated: whether its epoch is older than the newest of its partition that was seen.
    """
    if redelivered or order.suspect:
        return Doubt.ALONE
    return Doubt.ASK if outdated else Doubt.NONE


class Epochs:
    """The newest epoch of each partition that was seen."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    def outdated(self, partition: int, epoch: int) -> bool:
        """Whether a newer epoch was seen; takes note of this one."""
        newest = self._newest.get(partition, 0)
        if epoch > newest:
            self._newest[partition] = epoch
        return epoch < newest


class Admission:
    """Lets orders in.

    Args:
        bus: whether it is durable: what is redelivered by one that is not has not been with another process.
        clock: the time.
        attempts: runs them.
        suspects: asks about them first.
        foreign: sends those back that this app does not know.
        reports: returns what is not let in.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        attempts: Attempts,
        suspects: Suspects,
        foreign: Foreign,
        reports: AttemptReports,
    ) -> None:
        self._shared = bus.durable
        self._clock = clock
        self._attempts = attempts
        self._suspects = suspects
        self._foreign = foreign
        self._reports = reports
        self._epochs = Epochs()
        self._closed = False

    def take(self, message: RunTasks, held: Held, redelivered: bool) -> None:
        """Lets the orders of a message in.

        Args:
            message: the message.
            held: settled when each order is.
            redelivered: whether somebody may have taken it before.
        """
        attempts = self._attempts
        redelivered = redelivered and self._shared
        hold = Hold(message, held, self._clock.now(), redelivered=redelivered)
        if self._closed:
            return
        attempts.holding.add(hold)
        outdated = self._epochs.outdated(message.partition, message.epoch)
        if self._shared and not self._foreign.knows(message.workflow):
            self._foreign.take(hold)
        elif outdated or redelivered or any(order.suspect for order in message.orders):
            self._apart(hold, redelivered=redelivered, outdated=outdated)
        else:
            attempts.take(hold, message.orders)
        attempts.beat.begin()

    def _apart(self, hold: Hold, *, redelivered: bool, outdated: bool) -> None:
        """Tells the suspects of a message from the others."""
        clear: list[Order] = []
        doubtful: list[Order] = []
        alone: set[int] = set()
        for order in hold.message.orders:
            match doubt(order, redelivered=redelivered, outdated=outdated):
                case Doubt.NONE:
                    clear.append(order)
                case Doubt.ALONE if not self._attempts.join(hold, order):
                    doubtful.append(order)
                    alone.add(order.command)
                case Doubt.ASK if not self._attempts.join(hold, order):
                    doubtful.append(order)
        if clear:
            self._attempts.take(hold, clear)
        if doubtful:
            self._suspects.take(hold, doubtful, frozenset(alone))

    def outdated(self, partition: int, epoch: int) -> bool:
        """Whether a newer owner has been heard of."""
        return self._epochs.outdated(partition, epoch)

    def note(self, partition: int, epoch: int) -> None:
        """Another request of an owner was seen."""
        self._epochs.outdated(partition, epoch)

    def decline(self, message: RunTasks, held: Held) -> None:
        """Returns orders at once.

        Args:
            message: their message.
            held: settled when each order is.
        """
        self._reports.returned(Hold(message, held, self._clock.now()), message.orders)

    def close(self) -> None:
        """Lets nothing in any more: what still comes goes back as it is."""
        self._closed = True

    def give_back(self) -> None:
        """Returns everything that has not begun."""
        for kept in (self._suspects.give_back(), self._foreign.give_back(), self._attempts.give_back()):
            for hold, orders in kept:
                self._reports.returned(hold, orders)
