"""Apps that share a queue: what an executor does not know goes back, and is done by one that does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from taskpath import App, Task
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode
from taskpath_proto.plan import Handler
from taskpath_proto.records import InstanceStatus
from taskpath_proto.work import HandlerFinished, TaskFinished, TasksReturned
from taskpath_services.executor import foreign
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.executors import DurableBus, executor_of, items_of, turns, until
from tests.support.owner import Owner, executing, result_of


def another_app() -> App:
    """An app that does not have the workflow ``w``."""
    app = App()
    app.workflow("other")(lambda: [Task("t", lambda: "other")])
    return app


@asynccontextmanager
async def two_apps(clock: ManualClock) -> AsyncIterator[tuple[Owner, ExecutorService, App]]:
    """An executor that does not know the workflow, and an app that another one may serve."""
    async with executor_of(another_app(), clock=clock) as (owner, executor):
        yield owner, executor, items_of(lambda arg: arg)


class TestOrders:
    async def test_they_are_returned_after_a_while_and_never_fail(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, executor, _):
            orders = [owner.order(f"#.t[{n}]", n) for n in range(3)]
            began = clock.now()
            await owner.send("w", *orders)
            (returned,) = await moving(clock, owner.heard(TasksReturned), step=0.05)
            assert returned.orders == tuple((order.path, order.command) for order in orders)
            assert returned.executor == executor.id
            assert clock.now() - began >= foreign.FIRST_SECONDS * 1000
            assert not [one for one in owner.reports if isinstance(one, TaskFinished)]

    async def test_what_is_known_goes_on_meanwhile(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, _, _):
            for number in range(20):
                await owner.send("w", owner.order(f"#.t[{number}]", number), id=f"i{number}")
            assert result_of(await owner.task("other", "#.t", id="o")) == "other"

    async def test_they_go_to_and_fro_ever_more_slowly(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, _, _):
            times = [clock.now()]
            for number in range(9):
                await owner.send("w", owner.order("#.t[0]", number))
                await moving(clock, owner.heard(TasksReturned, number + 1), step=0.05)
                times.append(clock.now())
        pauses = [(later - sooner) / 1000 for sooner, later in pairwise(times)]
        assert pauses == sorted(pauses)
        assert pauses[0] < 1
        assert foreign.MOST_SECONDS <= pauses[-1] < foreign.MOST_SECONDS + 1

    async def test_no_more_is_taken_than_can_be_kept(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, executor, _):
            for number in range(60):
                await owner.send("w", *(owner.order(f"#.t[{n}]") for n in range(50)), id=f"i{number}")
            await turns()
            assert foreign.MOST_WAITING <= executor._foreign._count <= foreign.MOST_WAITING + 8 * 50
            assert not executor.has_room

            def returned() -> int:
                return sum(len(one.orders) for one in owner.reports if isinstance(one, TasksReturned))

            await until(lambda: returned() == 3_000, clock, step=0.3)
            assert executor._foreign._count == 0

    async def test_a_drain_does_not_wait_for_them(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, executor, _):
            await owner.send("w", owner.order("#.t[0]"))
            await until(lambda: executor._foreign._count)
            began = clock.now()
            await executor.stop()
            await until(lambda: any(isinstance(one, TasksReturned) for one in owner.reports))
            assert clock.now() == began


class TestRequests:
    async def test_a_plan_is_made_by_the_executor_that_can(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, _, app):
            asking = asyncio.ensure_future(owner.expand("w"))
            await turns()
            async with executing(app, bus=owner.bus, clock=clock):
                assert (await moving(clock, asking)).plan is not None

    async def test_a_workflow_that_nobody_has_is_said_to_be_unknown(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, _, _):
            reply = await moving(clock, owner.expand("w"))
            assert reply.error is not None
            assert reply.error.code is ErrorCode.UNKNOWN_WORKFLOW

    async def test_handlers_of_another_app_are_not_called(self) -> None:
        clock, calls = ManualClock(), list[Any]()
        wrong, right = another_app(), items_of(lambda arg: arg)
        wrong.on_complete(lambda instance_id, status: calls.append("wrong"))
        right.on_complete(lambda instance_id, status: calls.append("right"))
        async with executor_of(wrong, clock=clock) as (owner, _):
            asking = asyncio.ensure_future(owner.handle(Handler.COMPLETE, status=InstanceStatus.DONE))
            await turns()
            async with executing(right, bus=owner.bus, clock=clock):
                report: HandlerFinished = await moving(clock, asking)
                assert report.error is None
        assert calls == ["right"]

    async def test_what_is_passed_on_is_not_lost_with_the_bus(self) -> None:
        clock = ManualClock()
        async with two_apps(clock) as (owner, _, app):
            bus = owner.bus
            assert isinstance(bus, DurableBus)
            asking = asyncio.ensure_future(owner.expand("w"))
            await turns()
            await bus.lose()
            for _ in range(10):
                clock.move(0.1)
                await turns(5)
            bus.restore()
            async with executing(app, bus=bus, clock=clock):
                assert (await moving(clock, asking)).plan is not None
            assert await bus.depth(topology.generator_mailbox("default")) == 0
