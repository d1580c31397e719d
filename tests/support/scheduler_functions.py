"""What executors make of an order: the context that it sees, and how it ends, by a table of behaviours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from taskpath import layers
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.plan import TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import Order, OrderKind, RunTasks, TaskFinished
from tests.support.scheduler_behaviour import Behaviour, Behaviours, condition, fails, result, updaters
from tests.support.scheduler_storage import Shelf, Storage


def inline(value: Any) -> Inline:
    """A value as its JSON text."""
    return Inline(msgspec.json.encode(value).decode())


@dataclass
class Seen:
    """What a function was given."""

    argument: Any
    context: dict[str, Any]
    command: tuple[int, int]


@dataclass
class Asked:
    """An order, and what its function does."""

    message: RunTasks
    order: Order
    spec: TaskSpec
    does: Behaviour
    shelf: Shelf

    @property
    def context(self) -> dict[str, Any] | None:
        """What the function sees; None if what some task left cannot be applied."""
        try:
            return layers.build(self.message.base_context, self.message.layers, self.shelf.read)
        except TaskpathError:
            return None

    @property
    def runs(self) -> bool:
        """Whether it comes to the function: no condition stands in the way."""
        if not self.order.condition:
            return True
        context = self.context
        return context is not None and condition(self.does, self.order.path, context) is True

    @property
    def kills(self) -> bool:
        """Whether the function ends whoever runs it."""
        return self.order.kind is OrderKind.TASK and self.does.kills and self.context is not None

    @property
    def hangs(self) -> bool:
        """Whether the function would never end by itself."""
        return (
            self.order.kind is OrderKind.TASK
            and self.does.hangs
            and fails(self.does, self.order.attempt)
            and self.context is not None
        )


class Functions:
    """The functions of all instances.

    Attributes:
        behaviours: what they do, by instance.
        seen: what each task was given, by (instance, path, epoch, command).
        alike: whether the same attempt must always be given the same.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.behaviours: dict[str, Behaviours] = {}
        self.seen: dict[tuple[str, str, int, int], Seen] = {}
        self.alike = True
        self._given: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def asked(self, message: RunTasks, order: Order) -> Asked | None:
        """What an order is about; None if the tree has no such task any more."""
        shelf = self._storage.shelves[message.id]
        spec = shelf.spec(order.path)
        if spec is None:
            return None
        return Asked(message, order, spec, self.behaviours[message.id].of(order.path), shelf)

    def forget(self, id: str, path: str, shelf: Shelf) -> None:
        """A task is gone with what is below it; if it comes again, it is another one."""
        for key in [key for key in self._given if key[0] == id and paths.is_under(key[1], path)]:
            del self._given[key]
        shelf.finished = {done for done in shelf.finished if not paths.is_under(done[0], path)}

    def end(self, asked: Asked, executor: str, *, hangs: bool) -> TaskFinished:
        """Carries an order out to its end."""
        message, order, spec, does = asked.message, asked.order, asked.spec, asked.does
        finished = TaskFinished(
            message.id, message.epoch, order.command, order.path, TaskStatus.OK, 1_000, 1, executor
        )
        context = asked.context
        if context is None:
            return _failed(finished, "UpdaterError", retryable=False)
        if order.kind is OrderKind.JOIN:
            return finished
        argument = self._argument(asked, context)
        judged = condition(does, order.path, context) if order.condition else True
        if judged is False:
            self._given.pop((message.id, order.path, order.attempt), None)  # it gives its number back
            return _replace(finished, status=TaskStatus.SKIPPED)
        if judged is None:
            return _failed(finished, "ConditionRaised", retryable=False)
        if order.kind is OrderKind.FOREACH:
            items = argument if spec.foreach is True else context.get(str(spec.foreach))
            if not isinstance(items, list):
                return _failed(finished, "NotAList", retryable=False)
            return _replace(finished, result=inline(items), count=len(items))
        if order.kind is OrderKind.CONDITION:
            return finished
        if fails(does, order.attempt) and not hangs:
            return _failed(finished, "ValueError", retryable=does.retryable)
        returned = result(spec, does, order.path, order.attempt, argument, context)
        left = updaters(does, order.path, returned, context)
        return _replace(
            finished, result=inline(returned), updaters=inline(left) if left is not None else None
        )

    def _argument(self, asked: Asked, context: dict[str, Any]) -> Any:
        message, order = asked.message, asked.order
        argument = asked.shelf.read(message.argument_of(order))
        seen = Seen(argument, context, (message.epoch, order.command))
        self.seen[message.id, order.path, message.epoch, order.command] = seen
        if order.kind is OrderKind.TASK and self.alike:
            known = self._given.setdefault((message.id, order.path, order.attempt), (argument, context))
            assert known == (argument, context), (order, "the same attempt was given something else")
        return argument


def _replace(finished: TaskFinished, **changes: Any) -> TaskFinished:
    return msgspec.structs.replace(finished, **changes)


def _failed(finished: TaskFinished, type: str, *, retryable: bool) -> TaskFinished:
    error = ErrorInfo(ErrorCode.EXECUTION_FAILED, "It fails.", path=finished.path, type=type)
    return _replace(finished, status=TaskStatus.FAILED, error=error, retryable=retryable)
