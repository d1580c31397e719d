"""An owner and a storage for tests of the executor, over the real bus: they send orders and hear reports."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from taskpath import App
from taskpath.runtime.bus import Bus, BusClosed, BusLost, Inbox
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import answer
from taskpath.runtime.clock import Clock, SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import LogsWritten
from taskpath_proto.plan import Handler
from taskpath_proto.queries import (
    AskPlace,
    AskWanted,
    BlobPut,
    Place,
    PutBlob,
    ReadValue,
    ValueRead,
    Wanted,
)
from taskpath_proto.values import Blob, Inline, Item, Joined, Stored, Value
from taskpath_proto.work import (
    CancelAttempts,
    ExpandPlan,
    HandlerFinished,
    Layer,
    Order,
    OrderKind,
    PlanExpanded,
    RunHandler,
    RunTasks,
    TaskFinished,
)
from taskpath_services.executor.service import ExecutorService

R = TypeVar("R", PlanExpanded, HandlerFinished)
T = TypeVar("T")


def inline(value: Any) -> Inline:
    """A value as its JSON text."""
    return Inline(msgspec.json.encode(value).decode())


def as_value(value: Any) -> Value:
    """The value itself, or JSON as one."""
    return value if isinstance(value, (Inline, Stored, Blob, Joined, Item)) else inline(value)


class Owner:
    """Owns partition 0: sends orders to an executor and hears what it reports.

    Attributes:
        blobs: what storage has, by reference; tests may add to it.
        reads: the values that storage was asked for.
        lines: the log texts by path, as storage has them.
        reports: everything that was reported, in order.
        questions: the questions which orders are wanted; all are but those in ``unwanted``.
        unwanted: the commands that are not wanted any more.
        away: so many questions are not answered.
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.questions: list[AskWanted] = []
        self.unwanted: set[int] = set()
        self.away = 0
        self.blobs: dict[Value, str] = {}
        self.reads: list[Value] = []
        self.lines: dict[str, list[str]] = {}
        self.reports: list[Message] = []
        self._numbers = itertools.count(1)
        self._news = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Opens the mailboxes of owner and storage."""
        for mailbox in (topology.scheduler_mailbox(0), topology.storage_mailbox(0), topology.QUERIES):
            inbox = await self.bus.consume(mailbox)

            self._tasks.append(asyncio.create_task(self._serve(mailbox, inbox)))

    async def _serve(self, mailbox: str, inbox: Inbox) -> None:
        try:
            while True:
                try:
                    delivery = await inbox.take()
                    for message in delivery.messages:
                        await self._take(message)
                    delivery.ack()
                    async with self._news:
                        self._news.notify_all()
                except BusLost:
                    inbox = await self.bus.consume(mailbox)
        except BusClosed:
            return

    async def stop(self) -> None:
        """Ends it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, message: Message) -> None:
        if isinstance(message, LogsWritten):
            self.lines.setdefault(message.path, []).extend(line.text for line in message.lines)
        elif isinstance(message, Call):
            body = message.body
            if isinstance(body, AskPlace):
                await self.bus.send(message.reply_to, answer(message, Place(topology.QUERIES)))
            elif isinstance(body, PutBlob):
                blob = Blob(body.path, body.name, body.version, len(body.json.encode()))
                self.blobs[blob] = body.json
                await self.bus.send(message.reply_to, answer(message, BlobPut(blob)))
            elif isinstance(body, AskWanted):
                self.questions.append(body)
                result: Wanted | TaskpathError = Wanted(
                    tuple(command for _, command in body.orders if command not in self.unwanted)
                )
                if self.away:
                    self.away -= 1
                    result = TaskpathError(ErrorCode.UNAVAILABLE, "The owner is away.")
                await self.bus.send(message.reply_to, answer(message, result))
            elif isinstance(body, ReadValue):
                self.reads.append(body.value)
                text = self.blobs.get(body.value)
                gone = TaskpathError(ErrorCode.UNKNOWN_INSTANCE, "There is no such instance.")
                await self.bus.send(
                    message.reply_to, answer(message, gone if text is None else ValueRead(text))
                )
        else:
            self.reports.append(message)

    def order(self, path: str, argument: Any = None, **fields: Any) -> Order:
        """An order; ``argument`` is JSON, or a Value."""
        value = as_value(argument)
        fields.setdefault("attempt", 0 if fields.get("kind", OrderKind.TASK) is not OrderKind.TASK else 1)
        return Order(path=path, command=next(self._numbers), argument=value, **fields)

    async def send(
        self,
        workflow: str,
        *orders: Order,
        id: str = "i1",
        data: Any = None,
        base: Any = None,
        layers: tuple[Layer, ...] = (),
        queue: str = "default",
        epoch: int = 1,
    ) -> None:
        """Sends orders of one instance to an executor."""
        await self.bus.send(
            topology.executor_mailbox(queue),
            RunTasks(
                id=id,
                partition=0,
                epoch=epoch,
                revision=1,
                realm="default",
                workflow=workflow,
                plan_version=1,
                data=as_value(data),
                base_context=as_value(base or {}),
                layers=layers,
                orders=orders,
            ),
        )

    async def run(self, workflow: str, *orders: Order, **fields: Any) -> list[TaskFinished]:
        """Sends orders and returns how they ended, in their order."""
        await self.send(workflow, *orders, **fields)
        return [await self.finished(order) for order in orders]

    async def task(self, workflow: str, path: str, argument: Any = None, **fields: Any) -> TaskFinished:
        """Runs one task."""
        return (await self.run(workflow, self.order(path, argument), **fields))[0]

    async def heard(self, kind: type[Message], count: int = 1) -> list[Any]:
        """The reports of a kind, when there are so many."""

        def there() -> list[Any]:
            return [report for report in self.reports if isinstance(report, kind)]

        async with self._news:
            await self._news.wait_for(lambda: len(there()) >= count)
        return there()

    async def told(self, happened: Callable[[], T]) -> T:
        """What comes of looking at the reports, when that is anything."""
        async with self._news:
            await self._news.wait_for(happened)
        return happened()

    async def finished(self, order: Order) -> TaskFinished:
        """How an order ended."""

        def there() -> list[TaskFinished]:
            return [
                report
                for report in self.reports
                if isinstance(report, TaskFinished) and report.command == order.command
            ]

        async with self._news:
            await self._news.wait_for(there)
        return there()[0]

    async def expand(
        self, workflow: str, data: Any = None, *, id: str = "i1", updater: Any = None
    ) -> PlanExpanded:
        """Asks for a plan, with the data that an updater makes of the data if there is one."""
        command = next(self._numbers)
        request = ExpandPlan(
            id=id,
            partition=0,
            epoch=1,
            command=command,
            realm="default",
            workflow=workflow,
            data=as_value(data),
            updater=None if updater is None else as_value(updater),
        )
        await self.bus.send(topology.generator_mailbox("default"), request)
        return await self._reply(PlanExpanded, command)

    async def handle(self, handler: Handler, *, id: str = "i1", **fields: Any) -> HandlerFinished:
        """Asks for the handlers of a kind to be called."""
        command = next(self._numbers)
        request = RunHandler(
            id=id,
            partition=0,
            epoch=1,
            command=command,
            realm="default",
            workflow="w",
            handler=handler,
            **fields,
        )
        await self.bus.send(topology.generator_mailbox("default"), request)
        return await self._reply(HandlerFinished, command)

    async def _reply(self, kind: type[R], command: int) -> R:
        def there() -> list[R]:
            return [one for one in self.reports if isinstance(one, kind) and one.command == command]

        async with self._news:
            await self._news.wait_for(there)
        return there()[0]

    async def cancel(self, *orders: Order, id: str = "i1") -> None:
        """Cancels orders."""
        message = CancelAttempts(id=id, epoch=1, commands=tuple(order.command for order in orders))
        await self.bus.publish(message, topology.EXECUTORS)


@asynccontextmanager
async def executing(
    app: App, *, clock: Clock | None = None, bus: Bus | None = None, **settings: Any
) -> AsyncIterator[tuple[Owner, ExecutorService]]:
    """An executor of the app, and an owner that gives it work; with ``bus`` the owner there is another's."""
    own = bus is None
    bus = bus or MemoryBus()
    owner = Owner(bus)
    if own:
        await owner.start()
    executor = ExecutorService(bus, clock or SystemClock(), Settings(**settings), app)
    await executor.start()
    try:
        yield owner, executor
    finally:
        await executor.stop()
        if own:
            await bus.stop()
            await owner.stop()


def result_of(report: TaskFinished) -> Any:
    """The result that a report carries."""
    assert report.error is None, report.error
    assert isinstance(report.result, Inline)
    return msgspec.json.decode(report.result.json)
