"""Segments at simulated executors: what follows an order, and that its reports come behind the order's."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec.structs import replace

from taskpath import layers
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.plan import TaskSpec
from taskpath_proto.queries import AskWanted
from taskpath_proto.values import NULL
from taskpath_proto.work import (
    Order,
    RunTasks,
    TaskFinished,
    TasksHeld,
    TasksReturned,
    TaskStarted,
)

Key = tuple[str, int, int]
"""Of an order: instance, epoch and command."""


def following(
    message: RunTasks, order: Order, report: TaskFinished, spec: TaskSpec
) -> tuple[RunTasks, Order]:
    """The order that a report stands for, with the message that it would have come in."""
    step = order.then[0]
    result = report.result or NULL
    left = layers.left_by(order.path, spec, result, report.updaters, runs=spec.run)
    path = order.path[: order.path.rindex(".") + 1] + step.name
    following = Order(
        path,
        order.command + 1,
        step.attempt,
        result,
        condition=step.condition,
        previous=step.previous,
        then=order.then[1:],
    )
    return replace(message, layers=message.layers + left, orders=(following,), items=None), following


class Lines:
    """Which reports come behind each other: those of one segment from one executor."""

    def __init__(self) -> None:
        self._heads: dict[Key, int] = {}

    def add(self, message: RunTasks) -> None:
        """Orders go out."""
        for order in message.orders:
            for number in range(len(order.then) + 1) if order.then else ():
                self._heads[message.id, message.epoch, order.command + number] = order.command

    def shuffle(self, wire: list[Message], random: Random) -> None:
        """Lets messages overtake each other, if they may."""
        before = list(wire)
        random.shuffle(wire)
        lines: dict[object, list[int]] = {}
        for place, message in enumerate(wire):
            line = self._line_of(message)
            if line is not None:
                lines.setdefault(line, []).append(place)
        order = {id(message): place for place, message in reversed(list(enumerate(before)))}
        for places in lines.values():
            messages = sorted((wire[place] for place in places), key=lambda message: order[id(message)])
            for place, message in zip(places, messages, strict=True):
                wire[place] = message

    def _line_of(self, message: Message) -> tuple[str, int, int, str] | None:
        """Of what names several orders they are all of one line, or it is said by nobody who has steps."""
        executor, orders = _said(message)
        lines = ((id, epoch, self._heads.get((id, epoch, command))) for id, epoch, command in orders)
        return next(((id, epoch, head, executor) for id, epoch, head in lines if head is not None), None)


def _said(message: Message) -> tuple[str, Sequence[Key]]:
    said = message.body if isinstance(message, Call) else message
    if isinstance(said, (TaskFinished, TaskStarted)):
        return said.executor, [(said.id, said.epoch, said.command)]
    if isinstance(said, (TasksHeld, TasksReturned, AskWanted)):
        return said.executor, [(said.id, said.epoch, command) for _, command in said.orders]
    return "", ()
