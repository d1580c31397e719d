"""Executors that answer orders by a table of behaviours, whenever they are asked to."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import msgspec

from taskpath import layers
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.plan import TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import (
    CancelAttempts,
    Order,
    OrderKind,
    RunTasks,
    TaskFinished,
    TaskProgressed,
    TaskStarted,
)
from tests.support.scheduler_behaviour import Behaviours, condition, fails, result, updaters
from tests.support.scheduler_storage import Shelf, Storage

Report = TaskStarted | TaskProgressed | TaskFinished


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
class Job:
    """One order at an executor."""

    message: RunTasks
    order: Order
    started: bool = False
    hangs: bool = False


class Executors:
    """All executors.

    Attributes:
        jobs: what is out, by (instance, epoch, command).
        seen: what each task was given at its last execution, by (instance, path).
        alike: whether the same attempt must always be given the same.
    """

    def __init__(self, storage: Storage, random: random.Random) -> None:
        self._storage, self._random = storage, random
        self.behaviours: dict[str, Behaviours] = {}
        self.jobs: dict[tuple[str, int, int], Job] = {}
        self.seen: dict[tuple[str, str], Seen] = {}
        self.alike = True
        self._given: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def take(self, message: RunTasks) -> None:
        """Takes orders."""
        assert message.revision <= self._storage.shelves[message.id].record.revision
        assert message.orders
        for order in message.orders:
            key = (message.id, message.epoch, order.command)
            assert key not in self.jobs, "a command's number was used twice"
            assert (order.path, order.attempt) not in self._storage.shelves[message.id].finished, (
                order,
                "what was committed as done runs again",
            )
            self.jobs[key] = Job(message, order)

    def cancel(self, message: CancelAttempts) -> list[Report]:
        """Stops attempts; some had just ended, and are reported nevertheless."""
        late: list[Report] = []
        for command in message.commands:
            job = self.jobs.pop((message.id, message.epoch, command), None)
            if job is not None and self._random.random() < 0.3:
                late.append(
                    self._finish(job, self._storage.shelves[message.id].spec(job.order.path), hangs=False)
                )
        return late

    def forget(self) -> None:
        """They die with the process."""
        self.jobs.clear()

    def forget_items(self, id: str, path: str, shelf: Shelf) -> None:
        """An item is gone with what is below it; if it comes again, it is another one."""
        for key in [key for key in self._given if key[0] == id and paths.is_under(key[1], path)]:
            del self._given[key]
        shelf.finished = {done for done in shelf.finished if not paths.is_under(done[0], path)}

    def forget_instance(self, id: str) -> None:
        """An instance is gone."""
        for key in [key for key in self.jobs if key[0] == id]:
            del self.jobs[key]

    def work(self, key: tuple[str, int, int], now: int) -> list[Report]:
        """Goes on with a job; gives what is reported."""
        job = self.jobs[key]
        message, order = job.message, job.order
        spec = self._storage.shelves[message.id].spec(order.path)
        does = self.behaviours[message.id].of(order.path)
        hangs = order.kind is OrderKind.TASK and does.hangs and fails(does, order.attempt)
        hangs = hangs and self._context(job) is not None
        reports: list[Report] = []
        runs = self._judge(job, spec) is True
        chance = self._random.random()
        if not job.started and runs and (hangs or chance < 0.2):
            job.started, job.hangs = True, hangs
            started = TaskStarted(message.id, message.epoch, order.command, order.path, now, "e1")
            reports.append(started)
            if chance < 0.1:
                fraction = round(self._random.random(), 2)
                reports.append(
                    TaskProgressed(message.id, message.epoch, order.command, order.path, fraction, "going on")
                )
            return reports
        if hangs and runs:
            return reports
        reports.append(self._finish(job, spec, hangs=hangs))
        del self.jobs[key]
        return reports

    def _judge(self, job: Job, spec: TaskSpec) -> bool | None:
        if not job.order.condition:
            return True
        context = self._context(job)
        if context is None:
            return None
        return condition(self.behaviours[job.message.id].of(job.order.path), job.order.path, context)

    def _context(self, job: Job) -> dict[str, Any] | None:
        """What the function sees; None if what some task left cannot be applied."""
        message = job.message
        try:
            return layers.build(message.base_context, message.layers, self._storage.shelves[message.id].read)
        except TaskpathError:
            return None

    def _argument(self, job: Job, context: dict[str, Any]) -> Any:
        message, order = job.message, job.order
        argument = self._storage.shelves[message.id].read(order.argument)
        self.seen[message.id, order.path] = Seen(argument, context, (message.epoch, order.command))
        if order.kind is OrderKind.TASK and self.alike:
            known = self._given.setdefault((message.id, order.path, order.attempt), (argument, context))
            assert known == (argument, context), (order, "the same attempt was given something else")
        return argument

    def _finish(self, job: Job, spec: TaskSpec, *, hangs: bool) -> TaskFinished:
        message, order = job.message, job.order
        does = self.behaviours[message.id].of(order.path)
        finished = TaskFinished(
            message.id, message.epoch, order.command, order.path, TaskStatus.OK, 1_000, 1, "e1"
        )
        context = self._context(job)
        if context is None:
            return _failed(finished, "UpdaterError", retryable=False)
        if order.kind is OrderKind.JOIN:
            return finished
        argument = self._argument(job, context)
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


def _replace(finished: TaskFinished, **changes: Any) -> TaskFinished:
    return msgspec.structs.replace(finished, **changes)


def _failed(finished: TaskFinished, type: str, *, retryable: bool) -> TaskFinished:
    error = ErrorInfo(ErrorCode.EXECUTION_FAILED, "It fails.", path=finished.path, type=type)
    return _replace(finished, status=TaskStatus.FAILED, error=error, retryable=retryable)
