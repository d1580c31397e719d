"""What an executor reports, when it acknowledges, and where logs go."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from taskpath import TaskContext
from taskpath.runtime.clock import ManualClock
from taskpath_proto.records import TaskStatus
from taskpath_proto.work import TaskFinished, TaskProgressed, TaskStarted
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.executors import one_task, until
from tests.support.owner import executing, result_of


class TestReportsAndDeliveries:
    async def test_a_long_attempt_is_reported_started_and_its_delivery_acknowledged(self) -> None:
        clock, go = ManualClock(), asyncio.Event()

        async def run(arg: Any, ctx: TaskContext) -> str:
            ctx.progress(0.25, "quarter")
            ctx.progress(0.5, "half")
            await go.wait()
            return "done"

        async with executing(one_task(run), clock=clock) as (owner, executor):
            order = owner.order("#.t")
            await owner.send("w", order)
            await until(lambda: bool(clock._sleepers) and bool(len(executor.attempts)))
            started = await moving(clock, owner.heard(TaskStarted))
            progressed = await moving(clock, owner.heard(TaskProgressed))
            assert [(one.fraction, one.message) for one in progressed] == [(0.5, "half")]
            assert started[0].command == order.command
            inbox: Any = orders_inbox(executor)
            assert not inbox._unacknowledged
            go.set()
            assert result_of(await owner.finished(order)) == "done"

    async def test_what_is_not_reported_is_not_acknowledged(self) -> None:
        go, begun = asyncio.Event(), asyncio.Event()

        async def run(arg: Any) -> None:
            if arg == "wait":
                begun.set()
                await go.wait()

        async with executing(one_task(run, foreach=True), clock=ManualClock()) as (owner, executor):
            long, short = owner.order("#.t[0]", "wait"), owner.order("#.t[1]")
            await owner.send("w", long, short)
            await owner.finished(short)
            inbox: Any = orders_inbox(executor)
            assert len(inbox._unacknowledged) == 1
            go.set()
            await owner.finished(long)
            assert len(inbox._unacknowledged) == 0

    async def test_no_more_runs_at_once_than_allowed(self) -> None:
        running, most = 0, 0
        lock = threading.Lock()
        barrier = threading.Barrier(3)

        def plain() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            barrier.wait(10)
            with lock:
                running -= 1

        async with executing(one_task(plain, foreach=True), threads=3) as (owner, _):
            await owner.run("w", *(owner.order(f"#.t[{number}]") for number in range(12)))
        assert most == 3

        async def coroutine() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)  # noqa: TID251
            running -= 1

        most = 0
        async with executing(one_task(coroutine, foreach=True), concurrency=5) as (owner, _):
            await owner.run("w", *(owner.order(f"#.t[{number}]") for number in range(40)))
        assert most == 5

    async def test_intake_stops_while_more_waits_than_soon_begins(self) -> None:
        go = asyncio.Event()

        async def run() -> None:
            await go.wait()

        async with executing(one_task(run, foreach=True), concurrency=2) as (owner, executor):
            orders = [owner.order(f"#.t[{number}]") for number in range(400)]
            for start in range(0, 400, 10):
                await owner.send("w", *orders[start : start + 10])
            await until(lambda: not executor.attempts.has_room)
            assert len(executor.attempts) <= 120
            go.set()
            for order in orders:
                assert (await owner.finished(order)).status is TaskStatus.OK

    async def test_a_plan_is_made_while_there_is_no_room_for_orders(self) -> None:
        go = asyncio.Event()

        async def run() -> None:
            await go.wait()

        async with executing(one_task(run, foreach=True), concurrency=1) as (owner, executor):
            orders = [owner.order(f"#.t[{number}]") for number in range(200)]
            for order in orders:
                await owner.send("w", order)
            await until(lambda: not executor.attempts.has_room)
            assert (await owner.expand("w", id="i2")).plan is not None
            go.set()
            for order in orders:
                await owner.finished(order)

    async def test_a_message_that_comes_twice_runs_once_and_both_are_acknowledged(self) -> None:
        go, calls = asyncio.Event(), []

        async def run(arg: Any) -> None:
            calls.append(arg)
            await go.wait()

        async with executing(one_task(run), clock=ManualClock()) as (owner, executor):
            order = owner.order("#.t", 1)
            await owner.send("w", order)
            await owner.send("w", order)
            inbox: Any = orders_inbox(executor)
            await until(lambda: calls and not inbox._queue.waiting)
            go.set()
            await owner.finished(order)
            assert not inbox._unacknowledged
        assert calls == [1]
        assert len([one for one in owner.reports if isinstance(one, TaskFinished)]) == 1


class TestLogs:
    async def test_lines_are_safe_before_the_report(self) -> None:
        def run(arg: Any, ctx: TaskContext) -> None:
            ctx.log("text", {"a": 1}, 2, None)
            logging.getLogger("author").info("from %s", "logging")
            ctx.log("x" * 40_000)

        async with executing(one_task(run)) as (owner, _):
            order = owner.order("#.t")
            await owner.send("w", order)
            await owner.finished(order)
            lines = owner.lines["#.t"]
        assert lines[:2] == ['text {"a":1} 2 null', "from logging"]
        assert len(lines[2].encode()) <= 16 * 1024

    async def test_records_of_a_coroutine_go_to_its_own_task(self) -> None:
        async def run(arg: Any) -> None:
            await asyncio.sleep(0)  # noqa: TID251
            logging.getLogger("author").warning("item %s", arg)

        async with executing(one_task(run, foreach=True)) as (owner, _):
            await owner.run("w", *(owner.order(f"#.t[{number}]", number) for number in range(5)))
        assert owner.lines == {f"#.t[{number}]": [f"item {number}"] for number in range(5)}

    async def test_on_complete_is_logged_and_debug_called_when_it_is_on(self) -> None:
        seen: list[Any] = []

        def on_complete(result: Any) -> str:
            return f"{result['size']} bytes"

        async def run() -> Any:
            return {"size": 3}

        app = one_task(
            run, on_complete=on_complete, debug=lambda result, context: seen.append((result, context))
        )
        for debug in (False, True):
            async with executing(app, debug=debug) as (owner, _):
                await owner.task("w", "#.t", base={"b": 1})
                assert owner.lines["#.t"] == ["3 bytes"]
        assert seen == [({"size": 3}, {"b": 1})]

    async def test_on_complete_that_raises_fails_nothing(self) -> None:
        async with executing(one_task(lambda: 1, on_complete=lambda result: result["no"])) as (owner, _):
            assert result_of(await owner.task("w", "#.t")) == 1
            assert "TypeError" in owner.lines["#.t"][0]


def orders_inbox(executor: ExecutorService) -> Any:
    """The inbox from which orders of the default queue come."""
    return next(
        line.inbox for source, line in executor._intake._lines.items() if source.mailbox == "executor.default"
    )
