"""Segments: an executor goes on to the next task when the report of the last is confirmed, or returns it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from taskpath import App, Task, TaskContext
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.values import INLINE_BYTES, Blob
from taskpath_proto.work import (
    CancelAttempts,
    Order,
    Step,
    TaskFinished,
    TasksHeld,
    TasksReturned,
    TaskStarted,
    WhatIsHeld,
)
from taskpath_services.executor.service import ExecutorService
from tests.integration.test_executor_holding import Gate, unacknowledged
from tests.support.clocks import moving
from tests.support.executors import DurableBus, executor_of, send_again, turns, until
from tests.support.owner import Owner, executing, inline, result_of


def app_of(*tasks: Task) -> App:
    """An app with the workflow ``w`` of these tasks."""
    app = App()
    app.workflow("w")(lambda: list(tasks))
    return app


def more(arg: int) -> int:
    return arg + 1


def order_of(owner: Owner, *names: str, argument: Any = 0, **fields: Any) -> Order:
    """An order for the first of some tasks, with the others as steps."""
    order = owner.order(f"#.{names[0]}", argument, then=tuple(Step(name, 1) for name in names[1:]), **fields)
    for _ in names[1:]:
        owner.order("#")  # their numbers are kept
    return order


def said(owner: Owner) -> list[str]:
    """What was reported: ``a ok``, ``b returned`` …"""
    texts: list[str] = []
    for one in owner.reports:
        if isinstance(one, TaskFinished):
            texts.append(f"{one.path[2:]} {one.status}")
        elif isinstance(one, TaskStarted):
            texts.append(f"{one.path[2:]} started")
        elif isinstance(one, (TasksHeld, TasksReturned)):
            word = "held" if isinstance(one, TasksHeld) else "returned"
            texts.extend(f"{path[2:]} {word}" for path, _ in one.orders)
    return texts


class SlowBus(DurableBus):
    """A bus that confirms reports when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.unconfirmed: list[asyncio.Future[None]] = []

    def send(self, mailbox: str, message: Message) -> asyncio.Future[None]:
        sent = super().send(mailbox, message)
        if not isinstance(message, (TaskFinished, TaskStarted, TasksReturned)):
            return sent
        later: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unconfirmed.append(later)
        return later

    def confirm(self) -> None:
        for sent in self.unconfirmed:
            if not sent.done():
                sent.set_result(None)


@asynccontextmanager
async def slow_executor_of(app: App) -> AsyncIterator[tuple[Owner, SlowBus, ExecutorService]]:
    bus = SlowBus()
    owner = Owner(bus)
    await owner.start()
    async with executing(app, bus=bus) as (_, executor):
        try:
            yield owner, bus, executor
        finally:
            bus.confirm()
            bus.unconfirmed.clear()
            stopping = asyncio.ensure_future(executor.stop())
            while not stopping.done():
                bus.confirm()
                await turns(5)
            await stopping
    await bus.stop()
    await owner.stop()


class TestGoingOn:
    async def test_each_task_gets_the_result_of_the_last_and_is_reported_by_its_own_command(self) -> None:
        async with executor_of(app_of(*(Task(name, more) for name in "abc"))) as (owner, executor):
            order = order_of(owner, "a", "b", "c")
            await owner.send("w", order)
            reports = await owner.heard(TaskFinished, 3)
            assert [result_of(one) for one in reports] == [1, 2, 3]
            assert [one.command - order.command for one in reports] == [0, 1, 2]
            assert said(owner) == ["a ok", "b ok", "c ok"]
            assert unacknowledged(executor) == 0
            assert executor.attempts.idle

    async def test_each_sees_what_those_before_it_left(self) -> None:
        seen: list[Any] = []

        def look(arg: Any, ctx: TaskContext) -> dict[str, int]:
            seen.append((arg, dict(ctx.context), ctx.attempt, ctx.previous_context))
            ctx.update_context({"count": {"$set": len(seen)}})
            return {"k": len(seen), "l": 0}

        tasks = [
            Task("a", look, context_var="v"),
            Task("b", look, context_vars=["k"]),
            Task("d", look),
        ]
        async with executor_of(app_of(*tasks)) as (owner, _):
            before = inline([{"x": {"$set": 1}}])
            then = (Step("b", 3, previous=before), Step("d", 1))
            await owner.send("w", owner.order("#.a", 0, then=then), base={"count": 0})
            await owner.heard(TaskFinished, 3)
            a, b, d = seen
            left_by_a, left_by_b = {"k": 1, "l": 0}, {"k": 2, "l": 0}
            assert a == (0, {"count": 0}, 1, [])
            assert b == (left_by_a, {"count": 1, "v": left_by_a}, 3, [{"x": {"$set": 1}}])
            assert d == (left_by_b, {"count": 2, "v": left_by_a, "k": 2}, 1, [])

    async def test_it_does_not_go_on_before_the_report_is_confirmed(self) -> None:
        begun: list[Any] = []
        tasks = (Task("a", more), Task("b", lambda arg: begun.append(arg)))
        async with slow_executor_of(app_of(*tasks)) as (owner, bus, _):
            await owner.send("w", order_of(owner, "a", "b"))
            await owner.heard(TaskFinished)
            await turns()
            assert (said(owner), begun) == (["a ok"], [])
            bus.confirm()
            await owner.heard(TaskFinished, 2)
            assert begun == [1]

    async def test_large_results_and_updaters_are_at_hand_for_the_next(self) -> None:
        large = "x" * (INLINE_BYTES + 1)

        def leave(ctx: TaskContext) -> str:
            ctx.update_context({"u": {"$set": large}})
            return large

        tasks = (
            Task("a", lambda arg, ctx: leave(ctx), context_var="v"),
            Task("b", lambda arg, ctx: arg == ctx.context["v"] == ctx.context["u"]),
        )
        async with executor_of(app_of(*tasks)) as (owner, _):
            await owner.send("w", order_of(owner, "a", "b"))
            a, b = await owner.heard(TaskFinished, 2)
            assert isinstance(a.result, Blob)
            assert result_of(b) is True
            assert owner.reads == []

    async def test_every_kind_of_worker_takes_its_part(self) -> None:
        async def later(arg: int) -> int:
            return arg + 1

        async with executor_of(app_of(Task("a", later), Task("b", more), Task("c", later))) as (owner, _):
            await owner.send("w", order_of(owner, "a", "b", "c"))
            assert result_of((await owner.heard(TaskFinished, 3))[2]) == 3

    async def test_other_work_has_its_turn_between_steps(self) -> None:
        ran: list[str] = []

        async def note(arg: str) -> str:
            ran.append(arg)
            return arg

        async with executor_of(app_of(*(Task(name, note) for name in "abcz")), concurrency=1) as (owner, _):
            await owner.send(
                "w", order_of(owner, "a", "b", "c", argument="chain"), owner.order("#.z", "other")
            )
            await owner.heard(TaskFinished, 4)
            assert ran == ["chain", "other", "chain", "chain"]

    async def test_a_step_that_takes_longer_is_started_keeps_its_log_and_has_its_own_timeout(self) -> None:
        clock, gate = ManualClock(), Gate()

        async def run(arg: Any, ctx: TaskContext) -> None:
            ctx.log("line")
            await gate(arg)

        tasks = (Task("a", more), Task("b", run, timeout=5.0), Task("c", more))
        async with executor_of(app_of(*tasks), clock=clock) as (owner, _):
            await owner.send("w", order_of(owner, "a", "b", "c"))
            await moving(clock, owner.heard(TaskStarted))
            assert said(owner) == ["a ok", "b started"]
            _, failed = await moving(clock, owner.heard(TaskFinished, 2))
            assert (failed.status, failed.error.type) == ("failed", "TimeoutError")
            assert owner.lines == {"#.b": ["line"]}

    @pytest.mark.parametrize(
        ("second", "status"),
        [
            (Task("b", lambda arg: 1 / 0), "failed"),
            (Task("b", more, condition=lambda context: False), "skipped"),
        ],
    )
    async def test_what_is_not_ok_ends_it(self, second: Task, status: str) -> None:
        async with executor_of(app_of(Task("a", more), second, Task("c", more))) as (owner, _):
            then = (Step("b", 1, condition=True), Step("c", 1))
            await owner.send("w", owner.order("#.a", 0, then=then))
            await owner.heard(TaskFinished, 2)
            await turns()
            assert said(owner) == ["a ok", f"b {status}"]

    async def test_who_asks_is_told_of_a_step(self) -> None:
        gate = Gate()
        async with executor_of(app_of(Task("a", more), Task("b", gate), Task("c", more))) as (owner, _):
            order = order_of(owner, "a", "b", "c")
            await owner.send("w", order)
            await until(lambda: gate.begun)
            owner.bus.publish(WhatIsHeld(0), topology.EXECUTORS)
            (held,) = await owner.heard(TasksHeld)
            assert held.orders == (("#.b", order.command + 1),)
            gate.go.set()
            await owner.heard(TaskFinished, 3)


class TestNotGoingOn:
    async def test_a_cancelled_head_takes_what_follows_with_it(self) -> None:
        gate = Gate()
        async with executor_of(app_of(Task("a", gate), Task("b", more))) as (owner, executor):
            order = order_of(owner, "a", "b")
            await owner.send("w", order)
            await until(lambda: gate.begun)
            commands = (order.command, order.command + 1)
            owner.bus.publish(CancelAttempts("i1", 1, commands), topology.EXECUTORS)
            await until(lambda: executor.attempts.idle)
            await turns()
            assert said(owner) == []

    async def test_a_step_that_had_begun_is_stopped_and_given_up(self) -> None:
        gate = Gate()
        async with executor_of(app_of(Task("a", more), Task("b", gate), Task("c", more))) as (owner, _):
            order = order_of(owner, "a", "b", "c")
            await owner.send("w", order)
            await until(lambda: gate.begun)
            owner.bus.publish(CancelAttempts("i1", 1, (order.command + 1,)), topology.EXECUTORS)
            await owner.heard(TasksReturned)
            await turns()
            assert said(owner) == ["a ok", "b returned"]

    async def test_a_step_that_was_cancelled_before_is_given_up_behind_the_report(self) -> None:
        gate, ran = Gate(), list[Any]()
        async with executor_of(app_of(Task("a", gate), Task("b", ran.append))) as (owner, _):
            order = order_of(owner, "a", "b")
            await owner.send("w", order)
            owner.bus.publish(CancelAttempts("i1", 1, (order.command + 1,)), topology.EXECUTORS)
            await until(lambda: gate.begun)
            await turns()
            gate.go.set()
            await owner.heard(TasksReturned)
            assert (said(owner), ran) == (["a ok", "b returned"], [])

    async def test_a_draining_executor_ends_what_runs_and_returns_the_next(self) -> None:
        gate, ran = Gate(), list[Any]()
        async with executor_of(app_of(Task("a", gate), Task("b", ran.append))) as (owner, executor):
            order = order_of(owner, "a", "b")
            await owner.send("w", order)
            await until(lambda: gate.begun)
            stopping = asyncio.ensure_future(executor.stop())
            await turns()
            gate.go.set()
            await stopping
            (returned,) = await owner.heard(TasksReturned)
            assert returned.orders == (("#.b", order.command + 1),)
            assert (said(owner), ran) == (["a ok", "b returned"], [])

    async def test_a_step_that_waits_for_a_worker_is_returned_too(self) -> None:
        first, next, other = Gate(), Gate(), Gate()
        tasks = (Task("a", first), Task("b", next), Task("z", other))
        async with executor_of(app_of(*tasks), concurrency=1) as (owner, executor):
            await owner.send("w", order_of(owner, "a", "b"), owner.order("#.z"))
            await until(lambda: first.begun)
            first.go.set()
            await until(lambda: other.begun)
            await turns()
            stopping = asyncio.ensure_future(executor.stop())
            await owner.heard(TasksReturned)
            other.go.set()
            await stopping
            assert (said(owner), next.begun) == (["a ok", "b returned", "z ok"], [])

    async def test_who_lost_its_connection_returns_the_next(self) -> None:
        clock, gate, ran = ManualClock(), Gate(), list[Any]()
        async with executor_of(app_of(Task("a", gate), Task("b", ran.append)), clock=clock) as (owner, _):
            await owner.send("w", order_of(owner, "a", "b"))
            await until(lambda: gate.begun)
            assert isinstance(owner.bus, DurableBus)
            await owner.bus.lose()
            await turns()
            owner.bus.restore()
            gate.go.set()
            await moving(clock, owner.heard(TasksReturned))
            assert ([one for one in said(owner) if "held" not in one], ran) == (["a ok", "b returned"], [])

    async def test_a_step_that_runs_when_the_connection_is_lost_goes_on(self) -> None:
        clock, gate, ran = ManualClock(), Gate(), list[Any]()
        tasks = (Task("a", more), Task("b", gate), Task("c", ran.append))
        async with executor_of(app_of(*tasks), clock=clock) as (owner, _):
            order = order_of(owner, "a", "b", "c")
            await owner.send("w", order)
            await until(lambda: gate.begun)
            assert isinstance(owner.bus, DurableBus)
            await owner.bus.lose()
            await turns()
            owner.bus.restore()
            await until(lambda: owner.questions, clock)
            assert owner.questions[0].orders == (("#.b", order.command + 1),)
            gate.go.set()
            (returned,) = await moving(clock, owner.heard(TasksReturned))
            assert returned.orders == (("#.c", order.command + 2),)
            assert (len(gate.begun), ran) == (1, [])

    async def test_what_came_back_is_not_gone_on_from(self) -> None:
        bus, ran = DurableBus(), list[Any]()
        owner = Owner(bus)
        await owner.start()
        await send_again(owner, bus, order_of(owner, "a", "b"))
        async with executing(app_of(Task("a", more), Task("b", ran.append)), bus=bus):
            await owner.heard(TasksReturned)
            assert (said(owner), ran) == (["a started", "a ok", "b returned"], [])
        await bus.stop()
        await owner.stop()

    async def test_nor_is_a_suspect(self) -> None:
        ran = list[Any]()
        async with executor_of(app_of(Task("a", more), Task("b", ran.append))) as (owner, _):
            await owner.send("w", order_of(owner, "a", "b", suspect=True))
            await owner.heard(TasksReturned)
            assert (said(owner), ran) == (["a started", "a ok", "b returned"], [])

    @pytest.mark.parametrize("wanted", [True, False])
    async def test_steps_of_an_older_owner_are_asked_about(self, wanted: bool) -> None:
        gate, ran = Gate(), list[Any]()
        async with executor_of(app_of(Task("a", gate), Task("b", ran.append), Task("z", more))) as (owner, _):
            order = order_of(owner, "a", "b", argument=1)
            await owner.send("w", order, epoch=1)
            await until(lambda: gate.begun)
            await owner.run("w", owner.order("#.z", 0), epoch=2)
            if not wanted:
                owner.unwanted.add(order.command + 1)
            gate.go.set()
            await until(lambda: owner.questions)
            assert owner.questions[0].orders == (("#.b", order.command + 1),)
            if wanted:
                await owner.heard(TaskFinished, 3)
            await turns()
            assert ran == ([1] if wanted else [])

    async def test_a_step_that_the_tree_does_not_have_fails(self) -> None:
        async with executor_of(app_of(Task("a", more))) as (owner, _):
            await owner.send("w", order_of(owner, "a", "gone"))
            _, failed = await owner.heard(TaskFinished, 2)
            assert (failed.path, failed.status) == ("#.gone", "failed")
