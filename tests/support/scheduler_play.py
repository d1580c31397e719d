"""A scheduler to play with: one instance, functions in plain Python, everything at once unless held back."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

from taskpath import layers
from taskpath.staleness import stale_of
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.commands import Accepted, Cancel, CreateInstance, Delete, Execute, UpdateInstance
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.events import ExecutorBeat, InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import AskWanted
from taskpath_proto.records import AttemptStatus, Mode, TaskRecord, TaskStatus, Upstream
from taskpath_proto.work import (
    CancelAttempts,
    ExpandPlan,
    Order,
    OrderKind,
    PlanExpanded,
    RunTasks,
    TaskFinished,
    TaskProgressed,
    TasksHeld,
    TasksReturned,
    TaskStarted,
)
from taskpath_services.scheduler.effects import Outcome, Timer
from taskpath_services.scheduler.partition import Partition
from tests.support.scheduler_behaviour import plain
from tests.support.scheduler_functions import inline
from tests.support.scheduler_segments import following
from tests.support.scheduler_storage import Shelf, Storage

Function = Callable[[Any, dict[str, Any], int], Any]
"""Of argument, context and number of the attempt."""

FAR = 1 << 60


class Failing(Exception):
    """What a function raises to fail; ``retryable`` as its ``Retry.on`` would have it."""

    def __init__(self, *, retryable: bool = True) -> None:
        super().__init__()
        self.retryable = retryable


def always_fails(argument: Any, context: dict[str, Any], attempt: int) -> Any:
    """A function that fails."""
    raise Failing


def fails_until(attempt: int) -> Function:
    """A function that fails until it is tried for this time."""

    def function(argument: Any, context: dict[str, Any], number: int) -> Any:
        if number < attempt:
            raise Failing
        return f"at attempt {number}"

    return function


class Play:
    """An instance under a scheduler.

    Args:
        tasks: its root list.
        does: by the path of the plan what a function does or returns; else its name and the number of
            its attempt, as in ``a1``.
        when: by path, a task's condition.
        updates: by path, the updaters that a task leaves.
        data: the instance's.
        base: its base context.
        lease: of executors that outlive owners, in ms; None if they live and die with them.

    Attributes:
        ran: the paths whose functions were called, in order, since the last execute or crash.
        held: the paths that executors do not end until :meth:`finish`.
        events: everything that was committed.
        sent: the orders that went out, each with its mailbox.
        messages: those in which they went.
        calls: the number of the last call.
    """

    def __init__(
        self,
        *tasks: TaskSpec,
        does: dict[str, Any] | None = None,
        when: dict[str, Callable[[dict[str, Any]], bool]] | None = None,
        updates: dict[str, Callable[[Any], list[Any]]] | None = None,
        data: Any = "data",
        base: dict[str, Any] | None = None,
        lease: int | None = None,
    ) -> None:
        self.lease = lease
        self.does, self.when, self.updates = does or {}, when or {}, updates or {}
        self.now = 1_000_000
        self.storage = Storage()
        self.ran: list[str] = []
        self.held: set[str] = set()
        self.events: list[InstanceChanged] = []
        self.sent: list[tuple[str, Order]] = []
        self.messages: list[RunTasks] = []
        self.cancelled: list[int] = []
        self.calls = 0
        self._next_plan = Plan(())
        self._waiting: dict[str, tuple[RunTasks, Order]] = {}
        self._seen: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._answers: list[tuple[Call, Any]] = []
        self._take_over()
        create = CreateInstance("i", "w", "default", "default", inline(data), inline(base or {}))
        expand = self._let_out(self._partition.decide([Call(create, "r", 0, FAR)], (), self.now))
        assert isinstance(expand[0], ExpandPlan)
        self._decide([PlanExpanded("i", expand[0].epoch, expand[0].command, Plan(tasks))])

    # What a caller does.

    def execute(
        self,
        path: str = "#",
        mode: str = "all",
        upstream: str = "require",
        argument: Any = None,
    ) -> None:
        """Executes a path, and goes on until nothing moves.

        Raises:
            TaskpathError: the call is refused.
        """
        self.ran = []
        given = inline(argument) if argument is not None else None
        self._call(Execute("i", path, Mode(mode), Upstream(upstream), given))

    def refused(self, path: str, mode: str = "all", upstream: str = "require") -> tuple[str, str | None]:
        """The code and path of the error that an execute is refused with."""
        try:
            self.execute(path, mode, upstream)
        except TaskpathError as error:
            return str(error.code), error.info.path
        raise AssertionError(f"{path} is accepted")

    def cancel(self, path: str = "#") -> None:
        """Cancels a path."""
        self._call(Cancel("i", path))

    def delete(self) -> None:
        """Deletes the instance."""
        self._call(Delete("i"))

    def _call(self, body: Execute | Cancel | Delete) -> None:
        answer = self.ask(body)
        if isinstance(answer, TaskpathError):
            raise answer
        assert isinstance(answer, Accepted)

    # What happens at executors, and to the owner.

    def replant(self, *tasks: TaskSpec, data: Any = "new") -> None:
        """Gives the instance new data, of which its generator makes these tasks."""
        self._next_plan = Plan(tasks)
        answer = self.ask(UpdateInstance("i", inline({"$set": data})))
        assert isinstance(answer, Accepted), answer

    def finish(self, path: str) -> None:
        """Ends a function that was held back."""
        self.held.discard(path)
        self._decide(self._go_through(*self._waiting.pop(path)))

    def start(self, path: str, executor: str = "e", *, alone: bool = False) -> None:
        """Reports that a function that is held back has started."""
        message, order = self._waiting[path]
        self._decide([TaskStarted("i", message.epoch, order.command, path, self.now, executor, alone=alone)])

    def hold(self, *paths: str, executor: str = "e") -> None:
        """Reports that functions that are held back wait at an executor."""
        self._decide(
            [TasksHeld("i", message.epoch, executor, named) for message, named in self._named(paths)]
        )

    def give_back(self, *paths: str, executor: str = "e") -> None:
        """An executor returns functions that are held back, and they are held back elsewhere."""
        self._decide(
            [TasksReturned("i", message.epoch, executor, named) for message, named in self._named(paths)]
        )

    def _named(self, paths: Sequence[str]) -> list[tuple[RunTasks, tuple[tuple[str, int]]]]:
        waiting = [(path, *self._waiting[path]) for path in paths]
        return [(message, ((path, order.command),)) for path, message, order in waiting]

    def wanted(self, path: str, executor: str = "e") -> bool:
        """Whether an executor is told that it may run a function that is held back."""
        message, order = self._waiting[path]
        asked = AskWanted("i", message.epoch, executor, ((path, order.command),))
        return bool(self.ask(asked).commands)

    def ask(self, body: Any, number: int | None = None, *, redelivered: bool = False) -> Any:
        """The answer to a call; with the number of an earlier one it is that, delivered again."""
        self._answers.clear()
        self.calls += number is None
        call = Call(body, "r", self.calls if number is None else number, FAR)
        self._decide([call], redelivered=redelivered)
        return self._answers[-1][1]

    def order(self, path: str) -> Order:
        """The order of a function that is held back."""
        return self._waiting[path][1]

    def progress(self, path: str, fraction: float, text: str) -> None:
        """Reports what a function that is held back says of itself."""
        message, order = self._waiting[path]
        self._decide([TaskProgressed("i", message.epoch, order.command, path, fraction, text)])

    def report(self, path: str) -> TaskFinished:
        """The report that a function that is held back would make now, not sent."""
        return self._finished(*self._waiting[path])

    def tell(self, *messages: Message) -> None:
        """Lets the owner hear messages."""
        self._decide(messages)

    def wait(self, seconds: float, *beating: str) -> None:
        """Lets time pass, in which these executors say that they live."""
        end = self.now + round(seconds * 1000)
        while True:
            self.now = min(end, self.now + 1_000) if self.lease is not None else end
            self._decide([ExecutorBeat(executor, self.now) for executor in beating])
            if self.now == end:
                return

    def crash(self) -> None:
        """The owner dies with executors and bus; another takes over."""
        self.ran = []
        self._waiting.clear()
        self._timers.clear()
        self._take_over()
        self._decide([])

    def take_over(self) -> None:
        """Another owner takes over; executors live on."""
        self._timers.clear()
        self._take_over()
        self._decide([])

    @property
    def partition(self) -> Partition:
        """The owner's state."""
        return self._partition

    def _take_over(self) -> None:
        epoch, active = self.storage.claim()
        self._partition = Partition(0, epoch, self.lease)
        for id in active:
            self._partition.load(id, self.storage.load(id), self.now)

    def _decide(self, messages: Sequence[Message], *, redelivered: bool = False) -> None:
        batch = list(messages)
        while True:
            due: list[Timer] = []
            while self._timers and self._timers[0][0] <= self.now:
                due.append(heapq.heappop(self._timers)[2])
            for id in self._partition.unknown(batch, redelivered=redelivered):
                self._partition.load(id, self.storage.load(id), self.now)
            batch = []
            outcome = self._partition.decide(list(messages), due, self.now, redelivered=redelivered)
            for message in self._let_out(outcome):
                if isinstance(message, ExpandPlan):
                    batch.append(PlanExpanded("i", message.epoch, message.command, self._next_plan))
                else:
                    assert isinstance(message, RunTasks)
                    batch.extend(self._work(message))
            if not batch:
                return
            messages = batch

    def _let_out(self, outcome: Outcome) -> list[Any]:
        for event in outcome.events:
            self.storage.apply(event)
            if isinstance(event, InstanceChanged):
                self.events.append(event)
        self._answers.extend(outcome.answers)
        for cancellation in outcome.cancellations:
            if isinstance(cancellation, CancelAttempts):
                self.cancelled.extend(cancellation.commands)
        for timer in outcome.timers:
            heapq.heappush(self._timers, (timer.due, len(self.events) * 1000 + len(self._timers), timer))
        for mailbox, command in outcome.commands:
            if isinstance(command, RunTasks):
                self.messages.append(command)
                self.sent.extend((mailbox, order) for order in command.orders)
        return [command for _, command in outcome.commands]

    def _work(self, message: RunTasks) -> list[Message]:
        reports: list[Message] = []
        for order in message.orders:
            reports.extend(self._go_through(message, order))
        return reports

    def _go_through(self, message: RunTasks, order: Order) -> list[Message]:
        """Ends an order and what follows it, up to what is held back."""
        reports: list[Message] = []
        while order.path not in self.held:
            report = self._finished(message, order)
            reports.append(report)
            if report.status is not TaskStatus.OK or not order.then:
                return reports
            spec = self.shelf.spec(order.path)
            assert spec is not None
            message, order = following(message, order, report, spec)
        self._waiting[order.path] = (message, order)
        return reports

    def _finished(self, message: RunTasks, order: Order) -> TaskFinished:
        path, shelf = order.path, self.shelf
        spec = shelf.spec(path)
        assert spec is not None
        try:
            context = layers.build(message.base_context, message.layers, shelf.read)
        except TaskpathError as error:
            return TaskFinished(
                "i",
                message.epoch,
                order.command,
                path,
                TaskStatus.FAILED,
                self.now,
                1,
                "e",
                error=error.info,
            )
        argument = shelf.read(message.argument_of(order))

        def report(status: TaskStatus, **fields: Any) -> TaskFinished:
            return TaskFinished("i", message.epoch, order.command, path, status, self.now, 1, "e", **fields)

        def failed(type: str, *, retryable: bool) -> TaskFinished:
            error = ErrorInfo(ErrorCode.EXECUTION_FAILED, "It fails.", path=path, type=type)
            return report(TaskStatus.FAILED, error=error, retryable=retryable)

        if order.condition:
            self.ran.append(f"{path}?")
            if not self.when[plain(path)](context):
                return report(TaskStatus.SKIPPED)
        if order.kind in (OrderKind.CONDITION, OrderKind.JOIN):
            return report(TaskStatus.OK)
        self._seen[path] = (argument, context)
        if order.kind is OrderKind.FOREACH:
            items = argument if spec.foreach is True else context.get(str(spec.foreach))
            self.ran.append(path)
            if not isinstance(items, list):
                return failed("NotAList", retryable=False)
            return report(TaskStatus.OK, result=inline(items), count=len(items))
        self.ran.append(path)
        does = self.does.get(plain(path), f"{path[path.rindex('.') + 1 :]}{order.attempt}")
        try:
            result = does(argument, context, order.attempt) if callable(does) else does
        except Failing as error:
            return failed("Failing", retryable=error.retryable)
        left = self.updates.get(plain(path))
        return report(
            TaskStatus.OK, result=inline(result), updaters=inline(left(result)) if left is not None else None
        )

    # What is there.

    @property
    def shelf(self) -> Shelf:
        """What is stored."""
        return self.storage.shelves["i"]

    @property
    def status(self) -> str:
        """The instance's."""
        return str(self.shelf.record.status)

    def task(self, path: str) -> TaskRecord:
        """A task's record."""
        return self.shelf.tasks.get(path, TaskRecord(path=path))

    def statuses(self, *paths: str) -> str:
        """The statuses of these tasks."""
        return " ".join(str(self.task(path).status) for path in paths)

    def argument(self, path: str) -> Any:
        """What a function was given last."""
        return self._seen[path][0]

    def context(self, path: str) -> dict[str, Any]:
        """What a function saw last."""
        return self._seen[path][1]

    def result(self, path: str) -> Any:
        """What a function returned."""
        return self.shelf.read(self.task(path).body)

    def attempts(self, path: str) -> list[tuple[int, str]]:
        """The earlier attempts of a task: number and ending."""
        return [(one.attempt, str(AttemptStatus(one.status))) for one in self.task(path).attempts]

    def stale(self) -> set[str]:
        """The tasks that are shown as stale, and the groups that have something stale at or under them."""
        counts = stale_of(self.shelf.record.plan, self.shelf.tasks)
        return {path for path, count in counts.items() if count}


def group(name: str, *subtasks: TaskSpec, run: bool = False, **fields: Any) -> TaskSpec:
    """A task with subtasks, without a function of its own unless ``run`` says so."""
    return TaskSpec(name, run=run, subtasks=subtasks, **fields)


def sequence(name: str, *subtasks: TaskSpec, run: bool = False, **fields: Any) -> TaskSpec:
    """The same, one after the other."""
    return group(name, *subtasks, run=run, sequential=True, **fields)
