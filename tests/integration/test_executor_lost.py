"""A connection that is lost: what runs goes on, what waits is another's, and every report arrives."""

from __future__ import annotations

import asyncio
from typing import Any

from taskpath import TaskContext
from taskpath.runtime.bus import BusLost
from taskpath.runtime.clock import ManualClock
from taskpath_proto.codec import Message
from taskpath_proto.events import LogsWritten
from taskpath_proto.work import TaskFinished, TasksHeld, TaskStarted
from tests.integration.test_executor_holding import Gate, unacknowledged
from tests.support.clocks import moving
from tests.support.executors import DurableBus, executor_of, items_of, turns, until
from tests.support.owner import Owner, executing, result_of


def bus_of(owner: Owner) -> DurableBus:
    assert isinstance(owner.bus, DurableBus)
    return owner.bus


def ended(owner: Owner) -> list[int]:
    return [one.command for one in owner.reports if isinstance(one, TaskFinished)]


async def test_what_runs_goes_on_and_is_reported_once_when_it_comes_back_to_the_same_executor() -> None:
    clock, gate = ManualClock(), Gate()
    async with executor_of(items_of(gate), clock=clock) as (owner, executor):
        order = owner.order("#.t[0]", 0)
        await owner.send("w", order)
        await until(lambda: gate.begun)
        await bus_of(owner).lose()
        await turns()
        bus_of(owner).restore()
        # It is taken again, and known: there is no second body.
        await until(lambda: unacknowledged(executor) == 1)
        await turns()
        assert gate.begun == [0]
        gate.go.set()
        assert result_of(await moving(clock, owner.finished(order))) == 0
        await until(lambda: unacknowledged(executor) == 0)
        assert await bus_of(owner).depth("executor.default") == 0
        assert ended(owner) == [order.command]


async def test_what_ended_while_the_bus_was_away_is_reported_and_not_run_again() -> None:
    clock, gate = ManualClock(), Gate()
    async with executor_of(items_of(gate), clock=clock) as (owner, executor):
        orders = [owner.order(f"#.t[{n}]", n) for n in range(5)]
        await owner.send("w", *orders)
        await until(lambda: len(gate.begun) == 5)
        await bus_of(owner).lose()
        gate.go.set()
        await until(lambda: len(executor.attempts) == 0)
        await turns()
        assert owner.reports == []
        bus_of(owner).restore()
        for order in orders:
            await moving(clock, owner.finished(order))
        await until(lambda: unacknowledged(executor) == 0, clock)
        assert gate.begun == list(range(5))
        assert ended(owner) == [order.command for order in orders]


async def test_what_waits_is_somebody_elses_unless_it_was_reported() -> None:
    clock, gate, other = ManualClock(), Gate(), Gate()
    async with executor_of(items_of(gate), clock=clock, concurrency=1) as (owner, executor):
        running, held = owner.order("#.t[0]", "running"), owner.order("#.t[1]", "held")
        await owner.send("w", running, held)
        await moving(clock, owner.heard(TasksHeld))
        executor.attempts.lanes._coroutine_flow.ahead = 10
        waiting = owner.order("#.t[2]", "waiting")
        executor.attempts.signal()
        await owner.send("w", waiting)
        await until(lambda: len(executor.attempts) == 3)
        other.go.set()
        async with executing(items_of(other), bus=owner.bus, clock=clock):
            await executor._intake.pause()
            await bus_of(owner).lose()
            await turns()
            bus_of(owner).restore()
            await moving(clock, owner.finished(waiting))
            assert other.begun == ["waiting"]
            # They came redelivered, so their owner was asked.
            asked = [one for one in owner.questions if one.executor != executor.id]
            assert {path for one in asked for path, _ in one.orders} == {"#.t[2]"}
            gate.go.set()
            await moving(clock, owner.finished(held))
            assert gate.begun == ["running", "held"]


async def test_cancellations_that_were_missed_are_made_up_for() -> None:
    clock, gate, cancelled = ManualClock(), Gate(), list[Any]()

    async def run(arg: Any) -> None:
        try:
            await gate(arg)
        except asyncio.CancelledError:
            cancelled.append(arg)
            raise

    async with executor_of(items_of(run), clock=clock) as (owner, _):
        for id in ("i1", "i2"):
            await owner.send("w", *(owner.order(f"#.t[{n}]", f"{id} {n}") for n in range(2)), id=id)
        await moving(clock, owner.heard(TaskStarted, 4))
        await bus_of(owner).lose()
        await turns()
        by_argument = {
            f"{one.id} {one.path[4]}": one.command for one in owner.reports if isinstance(one, TaskStarted)
        }
        owner.unwanted = {by_argument["i1 0"], by_argument["i2 1"]}
        bus_of(owner).restore()
        await until(lambda: len(cancelled) == 2, clock)
        assert sorted(cancelled) == ["i1 0", "i2 1"]
        assert len(owner.questions) == 2
        gate.go.set()
        await until(lambda: len(ended(owner)) == 2)


async def test_lines_are_safe_before_the_report_also_after_a_loss() -> None:
    clock, gate = ManualClock(), Gate()

    async def run(arg: Any, ctx: TaskContext) -> None:
        ctx.log("before")
        await gate(arg)
        ctx.log("after")

    async with executor_of(items_of(run), clock=clock) as (owner, executor):
        order = owner.order("#.t[0]", 0)
        await owner.send("w", order)
        await moving(clock, owner.heard(TaskStarted))
        await bus_of(owner).lose()
        gate.go.set()
        await until(lambda: len(executor.attempts) == 0)
        await turns()
        bus_of(owner).restore()
        await moving(clock, owner.finished(order))
        assert list(dict.fromkeys(owner.lines["#.t[0]"])) == ["before", "after"]


async def test_it_serves_on_after_the_connection_is_back() -> None:
    clock = ManualClock()
    async with executor_of(items_of(lambda arg: arg), clock=clock) as (owner, executor):
        for number in range(3):
            await bus_of(owner).lose()
            await turns()
            bus_of(owner).restore()
            await until(lambda: len(executor._intake._lines) == 2)
            assert result_of(await moving(clock, owner.task("w", f"#.t[{number}]", number))) == number
            assert (await moving(clock, owner.expand("w", id=f"e{number}"))).plan is not None
        assert executor.ready


async def test_no_more_work_is_taken_while_many_reports_wait() -> None:
    clock = ManualClock()
    async with executor_of(items_of(lambda arg: arg), clock=clock) as (owner, executor):
        reports = executor._reports
        await bus_of(owner).lose()
        for _ in range(1_100):
            reports.send(0, TaskStarted("i1", 1, 10_000, "#.t[0]", 0, executor.id))
        assert reports.full
        assert not executor.attempts.has_room
        bus_of(owner).restore()
        assert result_of(await moving(clock, owner.task("w", "#.t[0]", 1))) == 1
        assert not reports.full


async def test_what_has_ended_and_is_not_reported_yet_is_not_run_again_when_it_comes_back() -> None:
    clock, calls = ManualClock(), list[Any]()

    async def run(arg: Any, ctx: TaskContext) -> None:
        calls.append(arg)
        ctx.log("a line that has to be safe before the report")

    async with executor_of(items_of(run), clock=clock) as (owner, executor):
        await bus_of(owner).lose()
        storage = await _silenced(owner)
        order = owner.order("#.t[0]", 0)
        await owner.send("w", order)
        # It has ended, and its lines are not safe: nothing is reported.
        await until(lambda: calls and len(executor.attempts) == 0, clock)
        await owner.send("w", order)
        await until(lambda: unacknowledged(executor) >= 1, clock)
        await turns()
        assert calls == [0]
        storage.set()
        await moving(clock, owner.finished(order))
        await until(lambda: unacknowledged(executor) == 0, clock)
        assert calls == [0]
        assert ended(owner) == [order.command]


async def _silenced(owner: Owner) -> asyncio.Event:
    """Storage takes nothing until the event is set; the bus is back."""
    go = asyncio.Event()
    bus = bus_of(owner)
    publish = bus.publish

    def held_back(message: Message, *keys: str) -> asyncio.Future[None]:
        if isinstance(message, LogsWritten) and not go.is_set():
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(BusLost("it is not confirmed"))
            failed.exception()
            return failed
        return publish(message, *keys)

    bus.publish = held_back  # type: ignore[method-assign]  # this one connection alone
    bus.restore()
    await turns()
    return go


async def test_lines_that_were_lost_are_published_again_while_the_task_runs() -> None:
    clock, gate = ManualClock(), Gate()

    async def run(arg: Any, ctx: TaskContext) -> None:
        ctx.log("first")
        await gate(arg)

    async with executor_of(items_of(run), clock=clock) as (owner, _):
        await bus_of(owner).lose()
        go = await _silenced(owner)
        await owner.send("w", owner.order("#.t[0]", 0))
        await until(lambda: gate.begun, clock)
        for _ in range(20):
            clock.move(0.1)
            await turns(5)
        assert owner.lines == {}
        go.set()
        await until(lambda: owner.lines, clock)
        assert owner.lines == {"#.t[0]": ["first"]}
        gate.go.set()
