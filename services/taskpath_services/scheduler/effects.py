"""What a decision wants done: collected while a batch is decided, let out by the owner afterwards."""

from __future__ import annotations

from enum import Enum

import msgspec

from taskpath_proto.calls import Call, Response
from taskpath_proto.errors import TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.values import Value
from taskpath_proto.work import CancelAttempts, ExpandPlan, Layer, Order, RunHandler, RunTasks, WhatIsHeld


class TimerKind(Enum):
    """What a timer is for."""

    RETRY = "retry"
    TIMEOUT = "timeout"
    EXPANSION = "expansion"
    HANDLER = "handler"
    WATCH = "watch"


class Timer(msgspec.Struct, frozen=True, order=False):
    """Something to be looked at later. It decides nothing: when it fires, the state says whether it still
    matters.

    Attributes:
        due: ms since epoch.
        id: the instance.
        kind: what it is for.
        path: the task.
        number: of the command that it belongs to.
    """

    due: int
    id: str
    kind: TimerKind
    path: str
    number: int


class PendingOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that is to be sent to a queue, with the context that it sees, and the list that its argument
    is an item of."""

    queue: str
    layers: tuple[Layer, ...]
    items: Value | None
    order: Order


class Effects:
    """What the decisions of one batch about one instance want done."""

    __slots__ = ("answers", "cancelled", "errors", "handlers", "orders", "timers")

    def __init__(self) -> None:
        self.orders: list[PendingOrder] = []
        self.cancelled: list[tuple[int, int]] = []
        self.handlers: list[tuple[str, RunHandler]] = []
        self.timers: list[Timer] = []
        self.answers: list[tuple[Call, bool, int | None]] = []
        self.errors: list[tuple[Call, TaskpathError]] = []


class Outcome:
    """What a whole batch wants done, ready for the bus.

    Attributes:
        commands: work for executors: mailbox and message.
        cancellations: for all executors; also questions.
        events: for storage and gateways.
        answers: for callers, once the events are safe.
        timers: to be armed.
    """

    __slots__ = ("answers", "cancellations", "commands", "events", "timers")

    def __init__(self) -> None:
        self.commands: list[tuple[str, RunTasks | ExpandPlan | RunHandler]] = []
        self.cancellations: list[CancelAttempts | WhatIsHeld] = []
        self.events: list[InstanceChanged | InstanceDeleted] = []
        self.answers: list[tuple[Call, Response | TaskpathError]] = []
        self.timers: list[Timer] = []
