"""Holding and leasing: what was reported is acknowledged, and leased to the executor as long as it lives."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from taskpath import App, Task
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.events import AnnounceYourself, ExecutorAnnounced, ExecutorBeat
from taskpath_proto.work import OrderKind, TaskFinished, TasksHeld, TasksReturned, TaskStarted, WhatIsHeld
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.executors import executor_of, hear, items_of, turns, until
from tests.support.owner import result_of


def unacknowledged(executor: ExecutorService) -> int:
    """How many deliveries of orders are not acknowledged."""
    inboxes: list[Any] = [line.inbox for source, line in executor._intake._lines.items()]
    return sum(len(inbox._unacknowledged) for inbox in inboxes)


class Gate:
    """A task's function that waits until it is let go, and notes what began."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.go = asyncio.Event()

    async def __call__(self, arg: Any) -> Any:
        self.begun.append(arg)
        await self.go.wait()
        return arg


class TestHolding:
    async def test_short_orders_cost_one_message_each(self) -> None:
        async with executor_of(items_of(lambda arg: arg)) as (owner, executor):
            await owner.run("w", *(owner.order(f"#.t[{number}]", number) for number in range(50)))
            assert {type(report) for report in owner.reports} == {TaskFinished}
            assert len(owner.reports) == 50
            assert unacknowledged(executor) == 0

    async def test_after_a_moment_what_runs_is_started_and_what_waits_is_held_in_one_message(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, concurrency=1) as (owner, executor):
            running, *waiting = (owner.order(f"#.t[{number}]", number) for number in range(3))
            await owner.send("w", running, *waiting)
            await until(lambda: gate.begun)
            clock.move(0.09)
            await turns()
            assert owner.reports == []
            assert unacknowledged(executor) == 1
            (started,) = await moving(clock, owner.heard(TaskStarted))
            (held,) = await moving(clock, owner.heard(TasksHeld))
            assert (started.command, started.executor, started.alone) == (running.command, executor.id, False)
            assert held.orders == tuple((order.path, order.command) for order in waiting)
            assert held.executor == executor.id
            await until(lambda: unacknowledged(executor) == 0)
            gate.go.set()
            assert [result_of(await owner.finished(order)) for order in (running, *waiting)] == [0, 1, 2]
            assert len(owner.reports) == 5

    async def test_what_was_held_and_takes_long_is_reported_as_started_when_it_runs(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, concurrency=1) as (owner, executor):
            first, second = owner.order("#.t[0]", 0), owner.order("#.t[1]", 1)
            await owner.send("w", first, second)
            await until(lambda: unacknowledged(executor) == 0 and owner.reports, clock)
            gate.go.set()
            await owner.finished(first)
            gate.go.clear()
            await until(lambda: len(gate.begun) == 2)
            started = await moving(clock, owner.heard(TaskStarted, 2))
            assert [one.command for one in started] == [first.command, second.command]
            gate.go.set()
            await owner.finished(second)

    async def test_orders_whose_tree_is_not_there_yet_are_held(self) -> None:
        clock, go, app = ManualClock(), threading.Event(), App()

        @app.workflow("w")
        def w() -> list[Task]:
            go.wait()
            return [Task("t", lambda: 1)]

        async with executor_of(app, clock=clock) as (owner, executor):
            order = owner.order("#.t")
            await owner.send("w", order)
            (held,) = await moving(clock, owner.heard(TasksHeld))
            assert held.orders == (("#.t", order.command),)
            await until(lambda: unacknowledged(executor) == 0)
            go.set()
            assert result_of(await owner.finished(order)) == 1

    async def test_a_condition_that_takes_its_time_is_held_not_started(self) -> None:
        clock, go = ManualClock(), threading.Event()
        app = items_of(lambda: 1, condition=lambda context: go.wait())
        async with executor_of(app, clock=clock) as (owner, _):
            order = owner.order("#.t", kind=OrderKind.CONDITION, condition=True)
            await owner.send("w", order)
            (held,) = await moving(clock, owner.heard(TasksHeld))
            assert held.orders == (("#.t", order.command),)
            go.set()
            await owner.finished(order)
            assert not [one for one in owner.reports if isinstance(one, TaskStarted)]

    async def test_a_delivery_stays_ours_while_one_of_its_messages_is_not_reported(self) -> None:
        gate = Gate()
        async with executor_of(items_of(gate), clock=ManualClock(), concurrency=1) as (owner, executor):
            await owner.send("w", owner.order("#.t[0]", 0))
            await until(lambda: gate.begun)
            gate.go.set()
            await until(lambda: unacknowledged(executor) == 0)
            gate.go.clear()
            for number in (1, 2):
                await owner.send("w", owner.order(f"#.t[{number}]", number))
            await until(lambda: len(gate.begun) == 2)
            assert unacknowledged(executor) >= 1
            gate.go.set()
            await until(lambda: unacknowledged(executor) == 0)


class TestLeases:
    async def test_it_is_heard_of_every_two_seconds_and_describes_itself_every_ten(self) -> None:
        clock = ManualClock()
        async with executor_of(items_of(lambda: 1), clock=clock, concurrency=7) as (owner, executor):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            await turns()
            for _ in range(200):
                clock.move(0.1)
                await turns(5)
            told = await heard.take()
        beats = [one for one in told if isinstance(one, ExecutorBeat)]
        announced = [one for one in told if isinstance(one, ExecutorAnnounced)]
        assert len(beats) == 10
        assert len(announced) == 2
        assert {one.executor for one in beats} | {one.executor for one in announced} == {executor.id}
        assert announced[0].started > 0
        assert announced[0].concurrency == 7

    async def test_short_leases_have_more_heartbeats(self) -> None:
        clock = ManualClock()
        async with executor_of(items_of(lambda: 1), clock=clock, lease=1.0) as (owner, _):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            await turns()
            for _ in range(20):
                clock.move(0.1)
                await turns(5)
            assert len(await heard.take()) == 10

    async def test_whoever_has_just_come_may_ask_who_is_there(self) -> None:
        async with executor_of(items_of(lambda: 1), clock=ManualClock()) as (owner, executor):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            await owner.bus.publish(AnnounceYourself(), topology.EXECUTORS)
            assert (await hear(heard, ExecutorAnnounced)).executor == executor.id

    async def test_a_new_owner_may_ask_what_is_here(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, concurrency=2) as (owner, executor):
            orders = [owner.order(f"#.t[{number}]", number) for number in range(3)]
            await owner.send("w", *orders)
            suspect = owner.order("#.t[3]", 3, suspect=True)
            await owner.send("w", suspect, id="i2")
            await until(lambda: len(gate.begun) == 2 and owner.questions)
            await turns()
            for partition in (1, 0):
                await owner.bus.publish(WhatIsHeld(partition), topology.EXECUTORS)
            held = await owner.heard(TasksHeld, 2)
            assert {(one.id, one.epoch, one.executor, one.orders) for one in held} == {
                ("i1", 1, executor.id, tuple((order.path, order.command) for order in orders)),
                ("i2", 1, executor.id, ((suspect.path, suspect.command),)),
            }
            gate.go.set()
            await moving(clock, owner.finished(suspect))

    async def test_a_heartbeat_says_how_much_runs(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock) as (owner, _):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            await owner.send("w", *(owner.order(f"#.t[{number}]", number) for number in range(3)))
            await until(lambda: len(gate.begun) == 3)
            assert (await moving(clock, hear(heard, ExecutorBeat))).running == 3
            gate.go.set()


class TestDrain:
    async def test_what_runs_ends_and_what_waits_is_returned_by_message(self) -> None:
        gate = Gate()
        async with executor_of(items_of(gate), concurrency=1) as (owner, executor):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            running, *waiting = (owner.order(f"#.t[{number}]", number) for number in range(3))
            await owner.send("w", running, *waiting)
            await until(lambda: gate.begun)
            stopping = asyncio.ensure_future(executor.stop())
            (returned,) = await owner.heard(TasksReturned)
            assert returned.orders == tuple((order.path, order.command) for order in waiting)
            assert returned.executor == executor.id
            assert (await hear(heard, ExecutorAnnounced)).leaving
            gate.go.set()
            await stopping
            assert result_of(await owner.finished(running)) == 0
            assert gate.begun == [0]
            await until(lambda: any(isinstance(one, ExecutorBeat) for one in owner.reports))
            # Owners hear that it is gone behind its last report.
            assert isinstance(owner.reports[-1], ExecutorBeat)
            assert owner.reports[-1].gone
            gone = await hear(heard, ExecutorBeat)
            while not gone.gone:
                gone = await hear(heard, ExecutorBeat)
            assert await owner.bus.depth(topology.executor_mailbox("default")) == 0

    async def test_heartbeats_go_on_while_it_drains(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock) as (owner, executor):
            await owner.send("w", owner.order("#.t[0]", 0))
            await until(lambda: gate.begun)
            stopping = asyncio.ensure_future(executor.stop())
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            beat = await moving(clock, hear(heard, ExecutorBeat))
            assert (beat.running, beat.gone) == (1, False)
            gate.go.set()
            await moving(clock, stopping)

    async def test_what_does_not_end_in_time_is_known_to_have_run_and_lost_with_the_executor(self) -> None:
        ended, gate = asyncio.Event(), Gate()

        async def run(arg: Any) -> None:
            try:
                await gate(arg)
            finally:
                ended.set()

        async with executor_of(items_of(run), grace=0.0) as (owner, executor):
            order = owner.order("#.t[0]", 0)
            await owner.send("w", order)
            await until(lambda: gate.begun)
            await executor.stop()
            assert ended.is_set()
            await until(lambda: ExecutorBeat in [type(one) for one in owner.reports])
            kinds = [type(one) for one in owner.reports]
            assert kinds == [TaskStarted, ExecutorBeat]
            assert await owner.bus.depth(topology.executor_mailbox("default")) == 0

    async def test_what_was_held_is_returned_as_well(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, concurrency=1) as (owner, executor):
            running, waiting = owner.order("#.t[0]", 0), owner.order("#.t[1]", 1)
            await owner.send("w", running, waiting)
            await moving(clock, owner.heard(TasksHeld))
            stopping = asyncio.ensure_future(executor.stop())
            (returned,) = await owner.heard(TasksReturned)
            assert returned.orders == (("#.t[1]", waiting.command),)
            gate.go.set()
            await moving(clock, stopping)

    async def test_threads_do_not_begin_what_was_returned(self) -> None:
        begun, go = [], threading.Event()

        def run(arg: Any) -> Any:
            begun.append(arg)
            go.wait()
            return arg

        async with executor_of(items_of(run), threads=1) as (owner, executor):
            await owner.send("w", *(owner.order(f"#.t[{number}]", number) for number in range(5)))
            await until(lambda: begun)
            stopping = asyncio.ensure_future(executor.stop())
            (returned,) = await owner.heard(TasksReturned)
            assert len(returned.orders) == 4
            go.set()
            await stopping
        assert begun == [0]
