"""Executors that a test drives, also on a bus that is durable as far as they can tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from taskpath import App, Task
from taskpath.runtime.bus import Inbox, Subscription
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.work import Order, TaskFinished
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.owner import Owner, executing

_PATIENCE_SECONDS = 10.0


class DurableBus(MemoryBus):
    """A bus of which executors believe that it outlives them."""

    durable = True


class Loseable(Protocol):
    """A bus whose connection a test can cut."""

    async def lose(self) -> None: ...

    def restore(self) -> None: ...


def items_of(run: Any, **fields: Any) -> App:
    """An app with the workflow ``w``, whose task ``t`` has items."""
    app = App()
    app.workflow("w")(lambda: [Task("t", run, foreach=True, **fields)])
    return app


def one_task(run: Any, **fields: Any) -> App:
    """An app with the workflow ``w`` of one task ``t``."""
    app = App()
    app.workflow("w")(lambda: [Task("t", run, **fields)])
    return app


async def outcome(run: Any, argument: Any = None, **fields: Any) -> TaskFinished:
    """How one task ends."""
    async with executing(one_task(run, **fields)) as (owner, _):
        return await owner.task("w", "#.t", argument)


@asynccontextmanager
async def executor_of(app: App, **settings: Any) -> AsyncIterator[tuple[Owner, ExecutorService]]:
    """An executor on a durable bus of its own, with an owner."""
    bus = DurableBus()
    owner = Owner(bus)
    await owner.start()
    try:
        async with executing(app, bus=bus, **settings) as (_, executor):
            try:
                yield owner, executor
            finally:
                clock = settings.get("clock")
                if isinstance(clock, ManualClock):
                    await moving(clock, executor.stop())
    finally:
        await bus.stop()
        await owner.stop()


async def turns(count: int = 50) -> None:
    """Lets the loop turn, so that whatever can happen without time passing has happened."""
    for _ in range(count):
        await asyncio.sleep(0)  # noqa: TID251  (it does not wait)


async def until(condition: Callable[[], Any], clock: ManualClock | None = None, step: float = 0.02) -> None:
    """Lets the loop turn, and the clock move, until something holds."""
    latest = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < latest, "it did not come about"
        if clock is not None:
            clock.move(step)
        await turns(5)


async def send_again(owner: Owner, executor_bus: MemoryBus, *orders: Order, **fields: Any) -> None:
    """Sends orders that somebody else has taken and not acknowledged: they come redelivered."""
    mailbox = topology.executor_mailbox("default")
    taker: Inbox = await executor_bus.consume(mailbox)
    await owner.send("w", *orders, **fields)
    await taker.take()
    await taker.close()


async def hear(subscription: Subscription, kind: type[Message]) -> Any:
    """The next event of a kind."""
    while True:
        for message in await subscription.take():
            if isinstance(message, kind):
                return message
