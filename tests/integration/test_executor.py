"""The executor: author code is found, called, watched, stopped and reported."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import datetime
import json
import logging
import math
import threading
from typing import Any

import msgspec
import pytest

from taskpath import App, Retry, Task, TaskContext, UpdaterError
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock, SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode
from taskpath_proto.events import ExecutorAnnounced
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Blob, Inline, Item, Joined, Stored
from taskpath_proto.work import Layer, OrderKind, TaskFinished, TaskProgressed, TaskStarted
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.owner import executing, inline, result_of


def one_task(run: Any, **fields: Any) -> App:
    """An app with the workflow ``w`` of one task ``t``."""
    app = App()
    app.workflow("w")(lambda: [Task("t", run, **fields)])
    return app


async def outcome(run: Any, argument: Any = None, **fields: Any) -> TaskFinished:
    """How one task ends."""
    async with executing(one_task(run, **fields)) as (owner, _):
        return await owner.task("w", "#.t", argument)


class TestFunctions:
    async def test_plain_and_async_functions_of_every_shape(self) -> None:
        class Callable:
            async def __call__(self, arg: Any) -> Any:
                return ["object", arg]

        async def with_ctx(arg: Any, ctx: TaskContext) -> Any:
            return [arg, ctx.path, ctx.attempt, ctx.attempt_id, ctx.instance_id, ctx.realm]

        def plain_with_ctx(arg: Any, ctx: TaskContext) -> Any:
            return [arg, ctx.path, threading.current_thread() is threading.main_thread()]

        app = App()

        @app.workflow("w")
        def w(data: Any) -> list[Task]:
            return [
                Task("none", lambda: "none"),
                Task("one", lambda arg: [arg]),
                Task("two", with_ctx),
                Task("plain", plain_with_ctx),
                Task("object", Callable()),
                Task("later", lambda arg: asyncio.sleep(0, ["awaited", arg])),  # noqa: TID251
                Task("optional", lambda arg, verbose=False: [arg, verbose]),
            ]

        async with executing(app) as (owner, _):
            reports = await owner.run(
                "w",
                *(
                    owner.order(f"#.{name}", 7)
                    for name in ("none", "one", "two", "plain", "object", "later", "optional")
                ),
            )
        assert [result_of(report) for report in reports] == [
            "none",
            [7],
            [7, "#.two", 1, "i1/#.two/1", "i1", "default"],
            [7, "#.plain", False],
            ["object", 7],
            ["awaited", 7],
            [7, False],
        ]
        assert {report.status for report in reports} == {TaskStatus.OK}
        assert all(report.duration >= 0 and report.execution_time > 0 for report in reports)

    async def test_items_and_their_subtasks_find_their_functions(self) -> None:
        app = App()

        @app.workflow("w")
        def w() -> list[Task]:
            inner = Task("inner", lambda arg: ["inner", arg], foreach=True)
            return [
                Task(
                    "outer",
                    lambda arg: ["outer", arg],
                    foreach=True,
                    subtasks=[inner, Task("s", lambda: "s")],
                )
            ]

        async with executing(app) as (owner, _):
            paths = ["#.outer[0]", "#.outer[11].inner[3]", "#.outer[2].s"]
            reports = await owner.run("w", *(owner.order(path, 1) for path in paths))
        assert [result_of(report) for report in reports] == [["outer", 1], ["inner", 1], "s"]

    async def test_context_variables_reach_the_thread(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
        variable.set("set before the executor started")
        report = await outcome(lambda: variable.get())
        assert result_of(report) == "set before the executor started"

    async def test_an_argument_is_the_functions_own(self) -> None:
        def change(arg: list[int]) -> list[int]:
            arg.append(1)
            return arg

        items = Inline("[[0],[0]]")
        async with executing(one_task(change, foreach=True)) as (owner, _):
            for _ in range(2):
                report = await owner.task("w", "#.t[1]", Item(items, 1))
                assert result_of(report) == [0, 1]

    async def test_a_path_that_the_code_no_longer_has(self) -> None:
        async with executing(one_task(lambda: 1)) as (owner, _):
            report = await owner.task("w", "#.old[3].sub")
        assert report.status is TaskStatus.FAILED
        assert report.error is not None
        assert report.error.code is ErrorCode.CANNOT_FIND_TASK
        assert report.error.path == "#.old[3].sub"
        assert report.error.details == {"workflow": "w", "path": "#.old[3].sub", "exists": "#"}
        assert not report.retryable


class TestValues:
    async def test_results_are_what_json_makes_of_them(self) -> None:
        @dataclasses.dataclass
        class Point:
            x: int

        class Named(msgspec.Struct, rename="camel"):
            my_name: str

        when = datetime.datetime(2030, 1, 2, 3, 4, tzinfo=datetime.UTC)
        report = await outcome(lambda: ((1, 2), Point(1), Named("n"), when, {1: None}))
        assert result_of(report) == [[1, 2], {"x": 1}, {"myName": "n"}, "2030-01-02T03:04:00Z", {"1": None}]

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            (math.nan, "NaN"),
            ({"deep": [math.inf]}, "Infinity"),
            (b"x", "bytes"),
            ({"deep": bytearray(b"x")}, "bytearray"),
            ({1, 2}, "set"),
            (object(), "object"),
            ("\ud800", "surrogate"),
        ],
    )
    async def test_what_json_has_no_form_for_fails_the_task_and_is_named(
        self, value: Any, named: str
    ) -> None:
        report = await outcome(lambda: value)
        assert report.status is TaskStatus.FAILED
        assert report.error is not None
        assert report.error.code is ErrorCode.EXECUTION_FAILED
        assert named in report.error.message
        assert report.result is None

    async def test_a_result_that_is_too_large_fails_the_task(self) -> None:
        async with executing(one_task(lambda: "ä" * 1500), max_value=2048) as (owner, _):
            report = await owner.task("w", "#.t")
        assert report.error is not None
        assert report.error.type == "ValueTooLarge"
        assert "2048" in report.error.message

    async def test_large_results_and_arguments_go_through_storage(self) -> None:
        async with executing(one_task(lambda arg: arg + arg)) as (owner, _):
            text = "x" * 50_000
            report = await owner.task("w", "#.t", text)
            assert isinstance(report.result, Blob)
            assert report.result.path == "#.t"
            assert report.result.name == "body"
            assert report.result.version == report.command
            assert json.loads(owner.blobs[report.result]) == text + text
            # What was put there is at hand, and need not be read.
            again = await owner.task("w", "#.t", report.result)
            assert isinstance(again.result, Blob)
            assert owner.reads == []

    async def test_a_list_by_reference_is_read_once_for_all_its_items(self) -> None:
        async with executing(one_task(lambda arg: arg, foreach=True)) as (owner, _):
            items = Blob("#.t", "items", 5, 100)
            owner.blobs[items] = json.dumps([{"n": number} for number in range(50)])
            orders = [owner.order(f"#.t[{index}]", Item(items, index)) for index in range(50)]
            reports = await owner.run("w", *orders)
        assert [result_of(report)["n"] for report in reports] == list(range(50))
        assert owner.reads == [items]

    async def test_a_reference_without_a_version_is_not_taken_from_the_cache_of_an_older_revision(
        self,
    ) -> None:
        async with executing(one_task(lambda arg: arg)) as (owner, executor):
            for version, expected in ((0, 2), (3, 1)):
                value = Stored("#.before", 3, version)
                owner.blobs[value] = '"a"'
                owner.reads.clear()
                for revision in (7, 8):
                    await executor._values.read("i1", value, revision)
                assert len(owner.reads) == expected

    async def test_a_value_that_storage_does_not_have_fails_the_task(self) -> None:
        async with executing(one_task(lambda arg: arg)) as (owner, _):
            report = await owner.task("w", "#.t", Joined("#.gone", "list", 3, version=1))
        assert report.error is not None
        assert report.error.code is ErrorCode.UNKNOWN_INSTANCE


class TestContext:
    async def test_layers_are_applied_in_order(self) -> None:
        layers = (
            Layer("#.a", variables=(("a", inline(1)), ("list", inline([1])))),
            Layer("#.b", keys=("x", "absent"), result=inline({"x": 2, "y": 3})),
            Layer("#.c", variables=(("a", inline(5)),), updaters=inline([{"list": {"$push": [2]}}])),
        )
        async with executing(one_task(lambda arg, ctx: ctx.context)) as (owner, _):
            report = await owner.task("w", "#.t", base={"base": True, "a": 0}, layers=layers)
        assert result_of(report) == {"base": True, "a": 5, "list": [1, 2], "x": 2}

    async def test_the_context_is_shared_and_cannot_be_changed(self) -> None:
        seen: list[Any] = []

        def change(arg: Any, ctx: TaskContext) -> None:
            seen.append(ctx.context["photos"])
            ctx.context["photos"].append(1)

        async with executing(one_task(change, foreach=True)) as (owner, _):
            reports = await owner.run(
                "w", owner.order("#.t[0]"), owner.order("#.t[1]"), base={"photos": [{"id": 1}]}
            )
        assert [report.error.type for report in reports if report.error] == ["TypeError", "TypeError"]
        assert seen[0] is seen[1]
        assert seen == [[{"id": 1}]] * 2

    async def test_layers_by_reference_are_read_for_those_who_look(self) -> None:
        app = App()

        @app.workflow("w")
        def w() -> list[Task]:
            async def look(arg: Any, ctx: TaskContext) -> Any:
                return len(ctx.context["photos"])

            return [Task("look", look), Task("blind", lambda arg: arg)]

        photos = Stored("#.list", 9, 4)
        layers = (Layer("#.list", variables=(("photos", photos),)),)
        async with executing(app) as (owner, _):
            owner.blobs[photos] = "[1,2,3]"
            await owner.task("w", "#.blind", layers=layers)
            assert owner.reads == []
            assert result_of(await owner.task("w", "#.look", layers=layers)) == 3
            assert owner.reads == [photos]

    async def test_update_context_is_visible_at_once_and_reported(self) -> None:
        def update(arg: Any, ctx: TaskContext) -> Any:
            before = ctx.context
            with pytest.raises(UpdaterError):
                ctx.update_context({"n": {"$push": [1]}})
            with pytest.raises(UpdaterError):
                ctx.update_context({"$frob": 1})
            ctx.update_context({"n": {"$set": 2}})
            ctx.update_context({"list": {"$push": [ctx.context["n"]]}})
            return [before["n"], ctx.context["n"], ctx.context["list"], ctx.previous_context, ctx.data]

        async with executing(one_task(update)) as (owner, _):
            order = owner.order("#.t", previous=inline([{"old": {"$set": 1}}]))
            (report,) = await owner.run("w", order, data={"d": 1}, base={"n": 1, "list": []})
        assert result_of(report) == [1, 2, [2], [{"old": {"$set": 1}}], {"d": 1}]
        assert report.updaters == Inline('[{"n":{"$set":2}},{"list":{"$push":[2]}}]')

    async def test_updaters_that_do_not_fit_fail_who_reads_them(self) -> None:
        layers = (Layer("#.before", updaters=inline([{"n": {"$push": [1]}}])),)
        async with executing(one_task(lambda arg, ctx: ctx.context)) as (owner, _):
            report = await owner.task("w", "#.t", base={"n": 1}, layers=layers)
        assert report.error is not None
        assert "#.before" in report.error.message


class TestConditionsAndLists:
    async def test_a_false_condition_skips(self) -> None:
        ran: list[int] = []
        app = one_task(lambda arg: ran.append(arg), condition=lambda context: context["go"])
        async with executing(app) as (owner, _):
            skipped, ran_one = [
                (await owner.run("w", owner.order("#.t", n, condition=True), base={"go": bool(n)}))[0]
                for n in (0, 1)
            ]
            # On a retry the condition is not asked again.
            (retried,) = await owner.run("w", owner.order("#.t", 2, attempt=2), base={"go": False})
        assert (skipped.status, ran_one.status, retried.status) == (
            TaskStatus.SKIPPED,
            TaskStatus.OK,
            TaskStatus.OK,
        )
        assert ran == [1, 2]

    async def test_a_condition_of_an_async_task_and_one_that_raises(self) -> None:
        async def run(arg: Any) -> None:
            raise AssertionError("it must not run")

        app = one_task(run, condition=lambda context: context["missing"], retry=Retry())
        async with executing(app) as (owner, _):
            (report,) = await owner.run("w", owner.order("#.t", condition=True))
            kind = OrderKind.CONDITION
            (alone,) = await owner.run(
                "w", owner.order("#.t", kind=kind, condition=True), base={"missing": 0}
            )
            (true,) = await owner.run("w", owner.order("#.t", kind=kind, condition=True), base={"missing": 1})
        assert report.error is not None
        assert report.error.type == "KeyError"
        assert not report.retryable
        assert (alone.status, true.status) == (TaskStatus.SKIPPED, TaskStatus.OK)

    async def test_foreach_reads_its_list(self) -> None:
        kind = OrderKind.FOREACH
        async with executing(one_task(lambda arg: arg, foreach="photos")) as (owner, _):
            (report,) = await owner.run("w", owner.order("#.t", kind=kind), base={"photos": [1, 2]})
            assert (result_of(report), report.count) == ([1, 2], 2)
            (none,) = await owner.run("w", owner.order("#.t", kind=kind), base={"other": 1})
            (text,) = await owner.run("w", owner.order("#.t", kind=kind), base={"photos": "ab"})
            # A reference that is for ever is passed on; one that may be replaced is copied.
            blob = Blob("#.list", "body", 1, 9)
            owner.blobs[blob] = "[1,2,3]"
            layers = (Layer("#.list", variables=(("photos", blob),)),)
            (by_reference,) = await owner.run("w", owner.order("#.t", kind=kind), layers=layers)
            (updated,) = await owner.run(
                "w",
                owner.order("#.t", kind=kind),
                layers=(*layers, Layer("#.u", updaters=inline([{"photos": {"$push": [4]}}]))),
            )
        assert none.error is not None
        assert "'photos'" in none.error.message
        assert "other" in none.error.message
        assert text.error is not None
        assert "text" in text.error.message
        assert (by_reference.result, by_reference.count) == (blob, 3)
        assert (result_of(updated), updated.count) == ([1, 2, 3, 4], 4)

    async def test_foreach_of_the_result_before(self) -> None:
        kind = OrderKind.FOREACH
        async with executing(one_task(lambda arg: arg, foreach=True)) as (owner, _):
            (report,) = await owner.run("w", owner.order("#.t", ["a"], kind=kind))
            (wrong,) = await owner.run("w", owner.order("#.t", {"a": 1}, kind=kind))
            long = list(range(30_000))
            (large,) = await owner.run("w", owner.order("#.t", long, kind=kind))
            assert isinstance(large.result, Blob)
            assert large.result.name == "items"
            assert json.loads(owner.blobs[large.result]) == long
        assert (result_of(report), report.count) == (["a"], 1)
        assert wrong.error is not None
        assert "an object" in wrong.error.message


class TestFailures:
    async def test_what_the_author_raised_is_reported_with_the_authors_frames(self) -> None:
        def helper() -> None:
            raise ValueError("out of paper")

        report = await outcome(lambda: helper())
        error = report.error
        assert error is not None
        assert (error.code, error.type, error.message, error.path) == (
            ErrorCode.EXECUTION_FAILED,
            "ValueError",
            "out of paper",
            "#.t",
        )
        assert error.traceback is not None
        assert "in helper" in error.traceback
        assert "attempt.py" not in error.traceback

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration()])
    @pytest.mark.parametrize("is_async", [True, False])
    async def test_no_exception_hurts_anyone_else(self, error: BaseException, is_async: bool) -> None:
        def plain() -> None:
            raise error

        async def coroutine() -> None:
            raise error

        app = one_task(coroutine if is_async else plain, retry=Retry())
        app.workflow("well")(lambda: [Task("t", lambda: "well")])
        async with executing(app) as (owner, executor):
            report = await owner.task("w", "#.t")
            assert result_of(await owner.task("well", "#.t", id="i2")) == "well"
            assert executor.ready
        assert report.error is not None
        assert report.error.code is ErrorCode.EXECUTION_FAILED
        assert report.retryable == isinstance(error, Exception)

    async def test_a_cancellation_that_nobody_asked_for_fails_the_task(self) -> None:
        async def cancel_itself() -> None:
            raise asyncio.CancelledError

        async def cancel_its_task() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.Event().wait()

        for run in (cancel_itself, cancel_its_task):
            report = await outcome(run)
            assert report.error is not None
            assert report.error.type == "CancelledError"

    async def test_an_exception_whose_text_cannot_be_made(self) -> None:
        class Odd(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        def run() -> None:
            raise Odd

        report = await outcome(run)
        assert report.error is not None
        assert report.error.type == "Odd"

    async def test_a_huge_traceback_and_message_are_bounded(self) -> None:
        def deep(n: int) -> None:
            if n == 0:
                raise ValueError("x" * 100_000)
            [deep, shallow][n % 2](n - 1)

        def shallow(n: int) -> None:
            deep(n)

        report = await outcome(lambda: deep(200))
        assert report.error is not None
        assert len(report.error.message) < 3_000
        assert report.error.traceback is not None
        assert len(report.error.traceback) <= 16 * 1024

    async def test_retry_on_decides_what_may_be_retried(self) -> None:
        async with executing(one_task(lambda arg: int(arg), retry=Retry(on=ValueError))) as (owner, _):
            assert (await owner.task("w", "#.t", "x")).retryable
            assert not (await owner.task("w", "#.t", None)).retryable
        assert not (await outcome(lambda arg: int(arg), "x")).retryable


class TestTimeoutsAndCancellation:
    async def test_a_coroutine_is_cancelled_at_its_timeout(self) -> None:
        cleaned = asyncio.Event()

        async def run(arg: Any, ctx: TaskContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ctx.log("cleaning up")
                assert ctx.cancelled
                cleaned.set()

        app = one_task(run, timeout=0.03, retry=Retry())
        async with executing(app) as (owner, _):
            report = await owner.task("w", "#.t")
            assert report.error is not None
            assert (report.error.type, report.retryable) == ("TimeoutError", True)
            assert "0.03" in report.error.message
            assert cleaned.is_set()
            assert owner.lines["#.t"] == ["cleaning up"]

    async def test_a_coroutine_that_swallows_its_cancellation_has_timed_out_all_the_same(self) -> None:
        async def run() -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return "too late"

        report = await outcome(run, timeout=0.01)
        assert report.error is not None
        assert report.error.type == "TimeoutError"

    async def test_a_thread_is_left_alone_at_its_timeout_and_replaced(self) -> None:
        go, cancelled = threading.Event(), []

        def run(arg: Any, ctx: TaskContext) -> str:
            if arg == "quick":
                return "quick"
            go.wait()
            cancelled.append(ctx.cancelled)
            return "too late"

        async with executing(one_task(run, timeout=0.03, foreach=True), threads=1) as (owner, _):
            report = await owner.task("w", "#.t[0]", "slow")
            assert report.error is not None
            assert report.error.type == "TimeoutError"
            assert result_of(await owner.task("w", "#.t[1]", "quick")) == "quick"
            go.set()
            assert result_of(await owner.task("w", "#.t[2]", "quick")) == "quick"
            assert len([one for one in owner.reports if isinstance(one, TaskFinished)]) == 3

    async def test_cancelled_attempts_stop_and_are_not_reported(self) -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def run(arg: Any) -> Any:
            if arg:
                return arg
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with executing(one_task(run, foreach=True), concurrency=1) as (owner, executor):
            running, waiting, other = owner.order("#.t[0]"), owner.order("#.t[1]"), owner.order("#.t[2]", 5)
            await owner.send("w", running, waiting, other)
            await begun.wait()
            await owner.cancel(running, waiting)
            await ended.wait()
            assert result_of(await owner.finished(other)) == 5
            assert [type(one) for one in owner.reports if not isinstance(one, TaskStarted)] == [TaskFinished]
            assert len(executor.attempts) == 0

    async def test_a_cancellation_that_overtakes_its_order(self) -> None:
        calls: list[Any] = []
        async with executing(one_task(calls.append, foreach=True)) as (owner, executor):
            early, other = owner.order("#.t[0]", "early"), owner.order("#.t[1]", "other")
            await owner.cancel(early)
            cancels: Any = executor._cancellations._subscription
            await until(lambda: not cancels._events)
            await owner.run("w", other)
            await owner.send("w", early)
            await owner.run("w", owner.order("#.t[2]", "last"))
        assert calls == ["other", "last"]


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


class TestPlans:
    async def test_a_plan_and_its_new_queue(self) -> None:
        app = App()

        @app.workflow("w")
        async def w(data: Any) -> list[Task]:
            return [
                Task("a", lambda: 1, queue="images", retry=Retry(5), condition=lambda context: True),
                Task("g", subtasks=[Task("s", lambda: "served")], sequential=True),
            ]

        async with executing(app) as (owner, _):
            heard = await owner.bus.subscribe(topology.ANNOUNCEMENTS)
            plan = (await owner.expand("w")).plan
            assert plan is not None
            assert [task.name for task in plan.tasks] == ["a", "g"]
            assert plan.tasks[0].retry is not None
            assert plan.tasks[0].retry.attempts == 5
            assert plan.tasks[0].condition
            (announced,) = await heard.take()
            assert isinstance(announced, ExecutorAnnounced)
            assert announced.queues == ("default", "images")
            assert result_of(await owner.task("w", "#.a", queue="images")) == 1

    async def test_orders_too_make_known_which_queues_there_are(self) -> None:
        app = App()
        app.workflow("w")(lambda: [Task("a", lambda: 1), Task("b", lambda: 2, queue="images")])
        async with executing(app) as (owner, _):
            await owner.task("w", "#.a")
            assert result_of(await owner.task("w", "#.b", queue="images")) == 2

    async def test_settings_say_which_queues_are_served(self) -> None:
        app = one_task(lambda: 1)
        app.workflow("other", queue="other")(list)
        bus = MemoryBus()
        heard = await bus.subscribe(topology.ANNOUNCEMENTS)
        executor = ExecutorService(bus, SystemClock(), Settings(queues=("other",)), app)
        await executor.start()
        (announced,) = await heard.take()
        assert isinstance(announced, ExecutorAnnounced)
        assert announced.queues == ("other",)
        assert [workflow.name for workflow in announced.workflows] == ["other"]
        await executor.stop()
        await bus.stop()

    @pytest.mark.parametrize(
        ("workflow", "code", "words"),
        [
            ("raises", ErrorCode.SCHEDULER_ERROR, ["'raises'", "out of order"]),
            ("nonsense", ErrorCode.SCHEDULER_ERROR, ["'nonsense'", "int", "list of tasks"]),
            ("entry", ErrorCode.SCHEDULER_ERROR, ["'entry'", "str"]),
            ("twice", ErrorCode.SCHEDULER_ERROR, ["#.a", "differ"]),
            ("exits", ErrorCode.SCHEDULER_ERROR, ["'exits'"]),
            ("cancels", ErrorCode.SCHEDULER_ERROR, ["'cancels'", "CancelledError"]),
            ("unknown", ErrorCode.UNKNOWN_WORKFLOW, ["'unknown'"]),
        ],
    )
    async def test_a_generator_that_fails(self, workflow: str, code: ErrorCode, words: list[str]) -> None:
        app = App()

        @app.workflow("raises")
        def raises() -> list[Task]:
            raise RuntimeError("out of order")

        @app.workflow("exits")
        async def exits() -> list[Task]:
            raise SystemExit(1)

        @app.workflow("cancels")
        async def cancels() -> list[Task]:
            raise asyncio.CancelledError

        app.workflow("nonsense")(lambda: 7)
        app.workflow("entry")(lambda: ["a"])
        app.workflow("twice")(lambda: [Task("a", len), Task("a", len)])
        async with executing(app) as (owner, executor):
            reply = await owner.expand(workflow)
            (report,) = await owner.run(workflow, owner.order("#.a"))
            assert executor.ready
        assert reply.plan is None
        assert reply.error is not None
        assert reply.error.code is code
        assert all(word in reply.error.message for word in words), reply.error.message
        assert report.error is not None
        assert report.error.code is code

    async def test_a_generator_that_never_returns(self) -> None:
        clock, go = ManualClock(), threading.Event()
        app = App()

        @app.workflow("w")
        def w() -> list[Task]:
            go.wait()
            return []

        async with executing(app, clock=clock) as (owner, _):
            reply = await moving(clock, owner.expand("w"), step=10)
            assert reply.error is not None
            assert "30 s" in reply.error.message
            go.set()

    async def test_typed_data_is_checked_and_tasks_get_it_as_json(self) -> None:
        @dataclasses.dataclass
        class Album:
            name: str
            count: int

        app = App()

        @app.workflow("w")
        def w(data: Album) -> list[Task]:
            return [Task(f"t{number}", lambda arg: arg) for number in range(data.count)]

        async with executing(app) as (owner, _):
            good = await owner.expand("w", {"name": "Sea", "count": 2})
            assert good.plan is not None
            assert len(good.plan.tasks) == 2
            bad = await owner.expand("w", {"name": "Sea", "count": "2"}, id="i2")
        assert bad.error is not None
        assert bad.error.code is ErrorCode.INVALID_DATA
        assert bad.error.details is not None
        assert bad.error.details["field"] == "count"

    async def test_a_tree_is_generated_once_for_plan_and_orders(self) -> None:
        calls: list[Any] = []
        app = App()

        @app.workflow("w")
        def w(data: Any) -> list[Task]:
            calls.append(data)
            return [Task("t", lambda: 1)]

        async with executing(app) as (owner, _):
            await owner.expand("w", {"n": 1})
            await owner.task("w", "#.t", data={"n": 1})
            assert len(calls) == 1
            # Data that was changed has another tree.
            await owner.task("w", "#.t", data={"n": 2})
            assert len(calls) == 2


async def until(condition: Any) -> None:
    """Lets the loop turn until something holds."""
    while not condition():  # noqa: ASYNC110  (nobody sets an event for this)
        await asyncio.sleep(0)  # noqa: TID251


def orders_inbox(executor: ExecutorService) -> Any:
    """The inbox from which orders of the default queue come."""
    return next(
        line.inbox for source, line in executor._intake._lines.items() if source.mailbox == "executor.default"
    )
