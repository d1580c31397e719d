"""How attempts end: errors, retries, timeouts, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from taskpath import Retry, Task, TaskContext
from taskpath_proto.errors import ErrorCode
from taskpath_proto.work import TaskFinished, TaskStarted
from tests.support.executors import one_task, outcome, until
from tests.support.owner import executing, result_of


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
