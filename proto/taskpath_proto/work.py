"""Work: what a scheduler asks of executors, and what they report.

A report names the command that caused it (epoch and number), so that the attempts of two owners are told
apart. The first report of an attempt counts; later ones are dropped by the owner.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from taskpath_proto.errors import ErrorInfo
from taskpath_proto.plan import Handler, Plan
from taskpath_proto.records import InstanceStatus, TaskStatus
from taskpath_proto.values import NULL, Item, Value


class Layer(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What one task left in the context: a part of the context of those after it.

    Attributes:
        path: the task that left it.
        variables: name -> value (``context_var``, ``dest``).
        keys: names to be taken from ``result`` (``context_vars``).
        result: the result that ``keys`` are taken from.
        updaters: a JSON list of updaters, applied after the variables.
    """

    path: str
    variables: tuple[tuple[str, Value], ...] = ()
    keys: tuple[str, ...] = ()
    result: Value | None = None
    updaters: Value | None = None


class OrderKind(StrEnum):
    """What an order asks for.

    Run a task's function; read a foreach's list; evaluate a condition only; or, when all tasks of a group
    are done, see whether the updaters that they left can be applied one after the other.
    """

    TASK = "task"
    FOREACH = "foreach"
    CONDITION = "condition"
    JOIN = "join"


class Step(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A plain task that stands right behind the one of an order, or behind another step.

    Attributes:
        name: its last name; otherwise its path is the order's.
        attempt: its number.
        condition: whether the task's condition is to be evaluated first.
        previous: what the last execution of the task left: its updaters.
    """

    name: str
    attempt: int
    condition: bool = False
    previous: Value | None = None


class Order(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One thing to do for one task.

    Attributes:
        path: the task.
        command: its number; unique for the instance within an epoch.
        attempt: 0 unless the kind is TASK.
        argument: what the task receives; a number is that item of the message's ``items``.
        kind: what is to be done.
        condition: whether the task's condition is to be evaluated first (not on a retry).
        previous: what the last execution of the task left: its updaters.
        suspect: an executor died while it may have run this: it is to run alone, reported as started first.
        then: the rest of a segment: when the task is ok and the report of that is confirmed, the first of
            these is carried out like an order of its own, with the next command's number, the task's result
            as its argument, and what the task left in its context; and so on.
    """

    path: str
    command: int
    attempt: int
    argument: Value | int
    kind: OrderKind = OrderKind.TASK
    condition: bool = False
    previous: Value | None = None
    suspect: bool = False
    then: tuple[Step, ...] = ()


class RunTasks(msgspec.Struct, tag="RunTasks", frozen=True, rename="camel", omit_defaults=True):
    """Orders of one instance that share a context.

    Attributes:
        id: the instance.
        partition: where reports go.
        epoch: of the owner.
        revision: a read of what these orders refer to has to be at least this new.
        plan_version: tells the trees of an instance apart that was updated.
        data: what the generator is called with.
        base_context: the lowest layer of the context.
        layers: what the tasks before left, in tree order.
        orders: what is to be done.
        items: the list that arguments are items of: it may be large, and is said once.
    """

    id: str
    partition: int
    epoch: int
    revision: int
    realm: str
    workflow: str
    plan_version: int
    data: Value
    base_context: Value
    layers: tuple[Layer, ...]
    orders: tuple[Order, ...]
    items: Value | None = None

    def argument_of(self, order: Order) -> Value:
        """What the task of an order receives."""
        argument = order.argument
        return Item(self.items or NULL, argument) if isinstance(argument, int) else argument


class ExpandPlan(msgspec.Struct, tag="ExpandPlan", frozen=True, rename="camel", omit_defaults=True):
    """Asks an executor to call a workflow's generator, with the data that ``updater`` makes of ``data``."""

    id: str
    partition: int
    epoch: int
    command: int
    realm: str
    workflow: str
    data: Value
    updater: Value | None = None


class PlanExpanded(msgspec.Struct, tag="PlanExpanded", frozen=True, rename="camel", omit_defaults=True):
    """The generator's tree, or why there is none; ``data`` is what an updater made of the data."""

    id: str
    epoch: int
    command: int
    plan: Plan | None = None
    error: ErrorInfo | None = None
    data: Value | None = None


class RunHandler(msgspec.Struct, tag="RunHandler", frozen=True, rename="camel", omit_defaults=True):
    """Asks an executor to call the author's handlers of a kind, through the mailbox for plans.

    Attributes:
        id: the instance.
        partition: where the report goes.
        epoch: of the owner.
        command: its number.
        handler: which one.
        status: of the instance, for ``complete``.
        error: the first failure, for ``error``.
    """

    id: str
    partition: int
    epoch: int
    command: int
    realm: str
    workflow: str
    handler: Handler
    status: InstanceStatus | None = None
    error: ErrorInfo | None = None


class HandlerFinished(msgspec.Struct, tag="HandlerFinished", frozen=True, rename="camel", omit_defaults=True):
    """The handlers of a kind have been called, or one of them failed."""

    id: str
    epoch: int
    command: int
    error: ErrorInfo | None = None


class CancelAttempts(msgspec.Struct, tag="CancelAttempts", frozen=True, rename="camel", omit_defaults=True):
    """Tells whichever executor has them to stop these attempts. Sent to all executors."""

    id: str
    epoch: int
    commands: tuple[int, ...]


class WhatIsHeld(msgspec.Struct, tag="WhatIsHeld", frozen=True, rename="camel"):
    """A new owner asks all executors what they hold of its partition: each says so by :class:`TasksHeld`.

    The records tell who had begun what, but not whether it has ended since, nor whether the report of that
    was lost.

    Attributes:
        partition: whose attempts are meant.
    """

    partition: int


class TaskStarted(
    msgspec.Struct, tag="TaskStarted", frozen=True, rename="camel", omit_defaults=True, gc=False
):
    """An attempt runs. Sent only for attempts that take longer than a moment, and for suspects.

    Attributes:
        execution_time: its start, ms since epoch.
        executor: whose heartbeat keeps it from being dispatched again.
        alone: nothing else ran on the executor when it started: if the executor dies, it is to blame.
    """

    id: str
    epoch: int
    command: int
    path: str
    execution_time: int
    executor: str
    alone: bool = False


class TasksHeld(msgspec.Struct, tag="TasksHeld", frozen=True, rename="camel", omit_defaults=True):
    """Orders that an executor has taken and not begun; or, when it was asked, all that it has and has not
    reported as finished. Its heartbeat keeps them from being dispatched again.

    Attributes:
        orders: of each its path and its command's number.
    """

    id: str
    epoch: int
    executor: str
    orders: tuple[tuple[str, int], ...]


class TasksReturned(msgspec.Struct, tag="TasksReturned", frozen=True, rename="camel", omit_defaults=True):
    """Orders that an executor took, did not begin, and will not run: they are to be dispatched again.

    Or it is a step of a segment that is not done there: its executor does not go on, or has stopped it.

    Attributes:
        orders: of each its path and its command's number.
    """

    id: str
    epoch: int
    executor: str
    orders: tuple[tuple[str, int], ...]


class TaskProgressed(
    msgspec.Struct, tag="TaskProgressed", frozen=True, rename="camel", omit_defaults=True, gc=False
):
    """What a running task says of itself; at most twice a second for a task."""

    id: str
    epoch: int
    command: int
    path: str
    fraction: float
    message: str | None = None


class TaskFinished(
    msgspec.Struct, tag="TaskFinished", frozen=True, rename="camel", omit_defaults=True, gc=False
):
    """An order is done.

    Attributes:
        status: ok, failed or skipped (its condition was false).
        execution_time: its start, ms since epoch.
        duration: in ms.
        result: of a TASK its result; of a FOREACH its list.
        count: of a FOREACH the length of its list.
        updaters: what ``update_context`` left, a JSON list.
        error: why it failed.
        retryable: whether the author's ``Retry.on`` lets it be tried again.
    """

    id: str
    epoch: int
    command: int
    path: str
    status: TaskStatus
    execution_time: int
    duration: int
    executor: str
    result: Value | None = None
    count: int | None = None
    updaters: Value | None = None
    error: ErrorInfo | None = None
    retryable: bool = False
