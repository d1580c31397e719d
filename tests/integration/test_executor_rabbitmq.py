"""Several executors over a real broker: how work is spread, and what a lost connection leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from taskpath import App
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath.runtime.clock import Clock, ManualClock, SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.work import Order, TaskFinished, TasksReturned, TaskStarted
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.executors import items_of
from tests.support.owner import Owner, result_of
from tests.support.proxy import proxy_to
from tests.support.rabbit import rabbit_bus
from tests.support.servers import RabbitMQ

ORDERS = topology.executor_mailbox("default")


@pytest.fixture
async def url(rabbitmq: RabbitMQ) -> str:
    return await asyncio.to_thread(rabbitmq.new_vhost)


@asynccontextmanager
async def owner_at(url: str) -> AsyncIterator[Owner]:
    """An owner with a connection of its own."""
    async with rabbit_bus(url) as bus:
        owner = Owner(bus)
        await owner.start()
        try:
            yield owner
        finally:
            await owner.stop()


@asynccontextmanager
async def executor_at(
    url: str, app: App, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[ExecutorService]:
    """An executor with a connection of its own."""
    async with rabbit_bus(url) as bus:
        executor = ExecutorService(bus, clock or SystemClock(), Settings(grace=0.0, **settings), app)
        await executor.start()
        try:
            yield executor
        finally:
            stopping = executor.stop()
            await (moving(clock, stopping) if isinstance(clock, ManualClock) else stopping)


class Crew:
    """What is begun by whom; bodies wait until they are let go."""

    def __init__(self) -> None:
        self.begun: dict[str, list[Any]] = {}
        self.go = asyncio.Event()
        self._news = asyncio.Condition()

    def app(self, name: str) -> App:
        """The app of one executor."""
        mine = self.begun.setdefault(name, [])

        async def run(arg: Any) -> Any:
            async with self._news:
                mine.append(arg)
                self._news.notify_all()
            await self.go.wait()
            return arg

        return items_of(run)

    async def running(self, *counts: int) -> None:
        """Returns when so many have begun, by executor."""
        async with self._news:
            await self._news.wait_for(lambda: [len(mine) for mine in self.begun.values()] == list(counts))


@asynccontextmanager
async def sending_again(owner: Owner, *orders: Order) -> AsyncIterator[None]:
    """Meanwhile the owner sends again what executors return."""
    by_command = {order.command: order for order in orders}

    async def send() -> None:
        seen = 0
        while True:
            returned = await owner.heard(TasksReturned, seen + 1)
            for report in returned[seen:]:
                for _, command in report.orders:
                    await owner.send("w", by_command[command])
            seen = len(returned)

    sending = asyncio.ensure_future(send())
    try:
        yield
    finally:
        sending.cancel()


async def test_no_executor_keeps_what_another_could_run(url: str) -> None:
    crew, clock = Crew(), ManualClock()
    async with owner_at(url) as owner, AsyncExitStack() as stack:
        for name in ("a", "b"):
            await stack.enter_async_context(executor_at(url, crew.app(name), clock=clock, concurrency=4))
        orders = [owner.order(f"#.t[{number}]", number) for number in range(12)]
        async with sending_again(owner, *orders):
            for order in orders:
                await owner.send("w", order)
            await crew.running(4, 4)
            # The others are spread over all who have no worker for them; one who has gets them in the end.
            await stack.enter_async_context(executor_at(url, crew.app("c"), clock=clock, concurrency=4))
            await moving(clock, crew.running(4, 4, 4), step=0.01)
        crew.go.set()
        for order in orders:
            assert result_of(await owner.finished(order)) == int(order.path[4:-1])
        assert sorted(arg for mine in crew.begun.values() for arg in mine) == list(range(12))
        assert owner.questions == []


async def test_a_connection_that_is_cut_costs_no_report_and_no_second_body_here(url: str) -> None:
    crew = Crew()
    async with owner_at(url) as owner, proxy_to(url) as proxy:
        async with executor_at(proxy.url, crew.app("a")) as executor:
            orders = [owner.order(f"#.t[{number}]", number) for number in range(5)]
            for order in orders:
                await owner.send("w", order)
            await crew.running(5)
            proxy.cut()
            crew.go.set()
            for order in orders:
                await owner.finished(order)
            assert sorted(crew.begun["a"]) == list(range(5))
            assert result_of(await owner.task("w", "#.t[9]", 9)) == 9
            assert executor.ready
        assert await owner.bus.depth(ORDERS) == 0


async def test_what_was_not_reported_moves_to_another_executor_which_asks_first(url: str) -> None:
    crew = Crew()
    async with owner_at(url) as owner, proxy_to(url) as proxy, AsyncExitStack() as stack:
        bus = await stack.enter_async_context(rabbit_bus(proxy.url))
        taker = await bus.consume(ORDERS)
        order, unwanted = owner.order("#.t[0]", 0), owner.order("#.t[1]", 1)
        owner.unwanted.add(unwanted.command)
        await owner.send("w", order, unwanted)
        await taker.take()
        proxy.refusing = True
        proxy.cut()
        crew.go.set()
        executor = await stack.enter_async_context(executor_at(url, crew.app("b")))
        assert result_of(await owner.finished(order)) == 0
        (started,) = await owner.heard(TaskStarted)
        assert (started.command, started.executor, started.alone) == (order.command, executor.id, True)
        assert crew.begun["b"] == [0]
        assert [one.command for one in owner.reports if isinstance(one, TaskFinished)] == [order.command]


async def test_an_executor_that_leaves_makes_nothing_suspect(url: str) -> None:
    crew = Crew()
    async with owner_at(url) as owner:
        async with executor_at(url, crew.app("a"), concurrency=1) as executor:
            orders = [owner.order(f"#.t[{number}]", number) for number in range(30)]
            for order in orders:
                await owner.send("w", order)
            await crew.running(1)
            leaving = asyncio.ensure_future(executor.stop())
            await leaving
        # What it had fetched went back by message, so that the rest is as fresh as it was.
        inbox = await owner.bus.consume(ORDERS)
        back = {
            command for one in owner.reports if isinstance(one, TasksReturned) for _, command in one.orders
        }
        left: set[int] = set()
        while len(left) + len(back) < 29:
            delivery = await inbox.take()
            assert not delivery.redelivered
            left |= {order.command for one in delivery.messages for order in getattr(one, "orders", ())}
        (begun,) = crew.begun["a"]
        assert left | back == {order.command for order in orders if order.path != f"#.t[{begun}]"}
        assert not left & back


async def test_the_bus_of_an_executor_may_start_before_the_broker_knows_its_queues(url: str) -> None:
    crew = Crew()
    crew.go.set()
    async with executor_at(url, crew.app("a"), queues=("images",)), owner_at(url) as owner:
        order = owner.order("#.t[0]", 7)
        await owner.send("w", order, queue="images")
        assert result_of(await owner.finished(order)) == 7
        assert isinstance(owner.bus, RabbitBus)
