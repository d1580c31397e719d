"""One order being carried out: the condition, the author's function, what becomes of its result."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskpath.context import TaskContext, left_by
from taskpath.encoding import encode
from taskpath.task import Task
from taskpath.updaters import UpdaterError
from taskpath_proto.errors import TaskpathError
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline, Value
from taskpath_proto.work import Order, OrderKind
from taskpath_services.executor.group import Group
from taskpath_services.executor.holding import Hold
from taskpath_services.executor.lists import read_list
from taskpath_services.executor.logs import LogBook, current
from taskpath_services.executor.outcome import (
    OK,
    SKIPPED,
    Outcome,
    ValueTooLarge,
    failed,
    message_of,
)
from taskpath_services.executor.values import JSONText, decode

if TYPE_CHECKING:
    from taskpath_services.executor.attempts import Attempts

_NOBODYS: Final[list[None]] = []
"""What does not run in a thread is begun and taken back by the event loop alone."""


class Lane(Enum):
    """Where an attempt runs."""

    COROUTINE = "coroutine"
    THREAD = "thread"
    PROCESS = "process"


class Stop(Enum):
    """Why an attempt is being ended before its time."""

    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DRAIN = "drain"


class Unfinished:
    """What a plain function returned, to be awaited."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


class Attempt:
    """One order and how far it is. It is what a :class:`~taskpath.TaskContext` is linked to.

    Args:
        host: whom the attempt belongs to.
        group: what it shares with the other orders of its message.
        order: what is to be done.
        task: the task as its author wrote it.
        key: its instance, epoch and command: what tells the order apart from all others.
    """

    __slots__ = (
        "_unbegun",
        "argument",
        "book",
        "cancelled",
        "ctx",
        "execution_time",
        "fetching",
        "group",
        "holds",
        "host",
        "key",
        "lane",
        "left",
        "lost",
        "order",
        "over",
        "path",
        "previous",
        "progress",
        "progress_sent",
        "reported",
        "started",
        "stop",
        "stop_time",
        "task",
        "unconfirmed",
        "work",
    )

    def __init__(
        self, host: Attempts, group: Group, order: Order, task: Task, key: tuple[str, int, int]
    ) -> None:
        self.host = host
        self.key = key
        self.group = group
        self.order = order
        self.task = task
        self.path = order.path
        if order.kind is not OrderKind.TASK or task.run is None:
            self.lane = Lane.THREAD
        elif task.process:
            self.lane = Lane.PROCESS
        else:
            self.lane = Lane.COROUTINE if task.is_async else Lane.THREAD
        self.holds: tuple[Hold, ...] = (group.hold,)
        self._unbegun: list[None] = [None] if self.lane is Lane.THREAD else _NOBODYS
        self.argument: JSONText = "null"
        self.previous: str | None = None
        self.ctx: TaskContext | None = None
        self.book: LogBook | None = None
        self.execution_time: int | None = None
        self.progress: tuple[float, str | None] | None = None
        self.progress_sent = 0
        self.started = False
        self.fetching = False
        self.reported = False
        self.unconfirmed = False
        self.left: tuple[Value, Value | None] | None = None
        """Its result and updaters, if it was ok and there is something to go on to."""
        self.cancelled = False
        self.over = False
        self.lost = False
        self.stop: Stop | None = None
        self.stop_time = 0
        self.work: asyncio.Task[None] | None = None

    # Whose it is.

    @property
    def kept(self) -> bool:
        """Whether it is still ours if it has not begun."""
        command = self.order.command
        return any(hold.keeps(command) for hold in self.holds)

    def settle(self) -> None:
        """A report of it is confirmed."""
        command = self.order.command
        for hold in self.holds:
            hold.settle(command)

    def confirmed(self) -> None:
        """The report of its end is confirmed."""
        command = self.order.command
        for hold in self.holds:
            hold.settle(command)
        if self.unconfirmed:
            self.host.forget(self)
        if self.left is not None:
            self.host.go_on(self)

    def claim(self) -> bool:
        """Whether whoever asks is the first: the thread that begins it, or who takes it back."""
        try:
            self._unbegun.pop()
        except IndexError:
            return False
        return True

    # What a TaskContext is linked to.

    @property
    def instance_id(self) -> str:
        return self.group.id

    @property
    def realm(self) -> str:
        return self.group.message.realm

    @property
    def attempt(self) -> int:
        return self.order.attempt

    def read_context(self) -> Any:
        return self.group.context()

    def context_json(self) -> str:
        """The context as JSON text, for a worker process."""
        return msgspec.json.encode(self.group.context()).decode()

    def read_data(self) -> Any:
        return decode(self.group.data.json)

    def read_previous(self) -> list[Any]:
        return [] if self.previous is None else list(decode(self.previous))

    def write_log(self, level: str, text: str) -> None:
        book = self.book
        if book is None:
            message = self.group.message
            book = LogBook(self.host.clock, message.id, message.partition, self.path, self.order.attempt)
            self.book = book
        book.add(level, text)

    def note_progress(self, fraction: float, message: str | None) -> None:
        self.progress = (fraction, message)

    # What it needs before it can start.

    @property
    def needs_context(self) -> bool:
        """Whether author code may look at the context."""
        task, order = self.task, self.order
        return (
            (task.arity == 2 and order.kind is OrderKind.TASK)
            or (order.condition and task.condition is not None)
            or (order.kind is OrderKind.FOREACH and task.foreach is not True)
            or order.kind in (OrderKind.CONDITION, OrderKind.JOIN)
            or (task.debug is not None and self.host.debug)
        )

    def is_ready(self) -> bool:
        """Whether everything that the attempt needs is at hand; takes what is."""
        order = self.order
        argument = order.argument
        if type(argument) is Inline:
            self.argument = argument.json
        elif not self._take_argument(argument):
            return False
        if order.previous is not None:
            if type(order.previous) is not Inline:
                return False
            self.previous = order.previous.json
        return not self.needs_context or self.group.has_context()

    def _take_argument(self, value: Value | int) -> bool:
        values, message = self.host.values, self.group.message
        if isinstance(value, int):
            text = self.group.item_at_hand(value)
            if text is None:
                return False
            self.argument = text
            return True
        reading = values.at_hand(message.id, value, message.revision)
        if reading is None:
            return False
        self.argument = reading.json
        return True

    async def fetch(self) -> None:
        """Reads what the attempt needs.

        Raises:
            TaskpathError: storage has no such value.
        """
        values, message, order = self.host.values, self.group.message, self.order
        argument = message.argument_of(order)
        self.argument = (await values.read(message.id, argument, message.revision)).json
        if order.previous is not None:
            self.previous = (await values.read(message.id, order.previous, message.revision)).json
        if self.needs_context:
            await self.group.fetch_context()

    # Carrying it out. None of these raises; each ends with the outcome.

    def run_plain(self) -> Outcome | Unfinished:
        """Carries the order out in a thread."""
        try:
            self._unbegun.pop()
        except IndexError:
            return OK
        self.execution_time = self.host.clock.now()
        current.set(self)
        order, task = self.order, self.task
        if order.condition and (skipped := self.condition_outcome()) is not None:
            return skipped
        try:
            if order.kind is OrderKind.TASK:
                if task.run is None:
                    return Outcome(TaskStatus.OK, json=encode(decode(self.argument)))
                result = task.run(*self.arguments())
                if inspect.isawaitable(result):
                    return Unfinished(result)
                return self.succeeded(result)
            if order.kind is OrderKind.FOREACH:
                return read_list(self.group, task, self.group.message.argument_of(order), self.argument)
            return self._joined() if order.kind is OrderKind.JOIN else OK
        except BaseException as error:
            return failed(error, task, self.path)

    async def run_coroutine(self, unfinished: Awaitable[Any] | None = None) -> None:
        """Carries the order out on the event loop; or only awaits what a plain function returned."""
        current.set(self)
        host, task = self.host, self.task
        outcome: Outcome
        try:
            if unfinished is None:
                self.execution_time = host.clock.now()
                skipped = None
                if self.order.condition:
                    skipped = await host.quick_threads.call(self.condition_outcome)
                if skipped is not None:
                    outcome = skipped
                else:
                    run = task.run
                    assert run is not None
                    outcome = self.encoded(await run(*self.arguments()))
            else:
                outcome = self.encoded(await unfinished)
            if self.has_sequel and outcome.status is TaskStatus.OK:
                await host.quick_threads.call(self.sequel, outcome)
        except BaseException as error:
            outcome = failed(error, task, self.path)
        host.finish(self, outcome)

    async def run_process(self) -> None:
        """Carries the order out in a worker process."""
        current.set(self)
        host = self.host
        try:
            skipped = await host.quick_threads.call(self.condition_outcome) if self.order.condition else None
            outcome = skipped or await host.processes.run(self)
            if self.has_sequel and outcome.status is TaskStatus.OK:
                await host.quick_threads.call(self.sequel, outcome)
        except BaseException as error:
            outcome = failed(error, self.task, self.path)
        host.finish(self, outcome)

    def arguments(self) -> tuple[Any, ...]:
        """What the author's function is called with: its own copy of the argument, and its ctx."""
        arity = self.task.arity
        if arity == 1:
            return (decode(self.argument),)
        if arity == 2:
            self.ctx = TaskContext(self)
            return (decode(self.argument), self.ctx)
        return ()

    def condition_outcome(self) -> Outcome | None:
        """The outcome if the condition is false or raises; None if the task is to run."""
        condition = self.task.condition
        if condition is None:
            return None
        try:
            answer = condition(self.group.context())
            if inspect.isawaitable(answer):
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
                raise TypeError("the condition returned an awaitable; expected is a plain function")
            return None if answer else SKIPPED
        except BaseException as error:
            # It is evaluated once, not on a retry: a retry would run the function without it.
            return failed(error, self.task, self.path, retry=False)

    def succeeded(self, result: Any) -> Outcome:
        """The outcome of a plain function that returned."""
        outcome = self.encoded(result)
        if self.has_sequel:
            self.sequel(outcome)
        return outcome

    def encoded(self, result: Any) -> Outcome:
        """The outcome for what a function returned, as JSON."""
        text = encode(result)
        most = self.host.max_value
        if len(text) * 4 > most and (size := len(text.encode())) > most:
            raise ValueTooLarge(f"the result has {size} bytes as JSON; at most {most} are allowed")
        ctx = self.ctx
        return Outcome(TaskStatus.OK, json=text, updaters=left_by(ctx) if ctx is not None else None)

    @property
    def has_sequel(self) -> bool:
        """Whether author code wants to see the result."""
        return self.task.on_complete is not None or (self.task.debug is not None and self.host.debug)

    def sequel(self, outcome: Outcome) -> None:
        """Calls ``on_complete`` and ``debug``; what they raise is logged and fails nothing."""
        task, text = self.task, outcome.json or "null"
        if task.on_complete is not None:
            try:
                said = task.on_complete(decode(text))
                if said is not None:
                    self.write_log("info", said if isinstance(said, str) else encode(said))
            except BaseException as error:
                self.write_log("error", f"on_complete raised {type(error).__name__}: {message_of(error)}")
        if task.debug is not None and self.host.debug:
            try:
                context = self.ctx.context if self.ctx is not None else self.group.context()
                task.debug(decode(text), context)
            except BaseException as error:
                self.write_log("error", f"debug raised {type(error).__name__}: {message_of(error)}")

    def _joined(self) -> Outcome:
        """Whether what the tasks of a group left can be applied, one after the other."""
        try:
            self.group.context()
        except TaskpathError as error:
            info = msgspec.structs.replace(error.info, type=UpdaterError.__name__)
            return Outcome(TaskStatus.FAILED, error=info)
        return OK
