"""Handlers: called by an executor for the owner of an instance, over the real bus."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from taskpath import App, Task, TaskpathError
from taskpath.runtime.clock import ManualClock
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.plan import Handler
from taskpath_proto.records import InstanceStatus
from tests.support.clocks import moving
from tests.support.owner import executing


async def test_each_kind_gets_its_arguments_in_a_thread_or_on_the_loop() -> None:
    app, calls = App(), list[Any]()

    @app.on_error
    def failed(instance_id: str, error: TaskpathError) -> None:
        calls.append(("error", instance_id, error, threading.current_thread() is threading.main_thread()))

    @app.on_complete
    async def completed(instance_id: str, status: str) -> None:
        calls.append(("complete", instance_id, status, asyncio.current_task() is not None))

    @app.on_delete
    def deleted(instance_id: str) -> None:
        calls.append(("delete", instance_id))

    info = ErrorInfo(ErrorCode.EXECUTION_FAILED, "Out of paper.", "#.print", "ValueError", "…")
    async with executing(app) as (owner, _):
        reports = [
            await owner.handle(Handler.ERROR, error=info),
            await owner.handle(Handler.COMPLETE, status=InstanceStatus.CANCELLED),
            await owner.handle(Handler.DELETE),
        ]
    assert [report.error for report in reports] == [None, None, None]
    (kind, instance, error, in_main_thread), *others = calls
    assert (kind, instance, in_main_thread) == ("error", "i1", False)
    assert isinstance(error, TaskpathError)
    assert (error.code, str(error), error.info) == ("EXECUTION_FAILED", "Out of paper.", info)
    assert others == [("complete", "i1", "cancelled", True), ("delete", "i1")]


async def test_all_of_a_kind_are_called_even_if_one_fails_and_the_first_failure_is_reported() -> None:
    app, calls = App(), list[str]()

    @app.on_complete
    def first(instance_id: str, status: str) -> None:
        calls.append("first")
        raise ValueError("no mail server")

    @app.on_complete
    async def second(instance_id: str) -> None:
        calls.append("second")
        raise SystemExit(3)

    @app.on_complete
    def third(instance_id: str, status: str = "unknown") -> None:
        calls.append(status)

    async with executing(app) as (owner, executor):
        report = await owner.handle(Handler.COMPLETE, status=InstanceStatus.DONE)
        assert executor.ready
    assert sorted(calls) == ["done", "first", "second"]
    assert report.error is not None
    assert report.error.code is ErrorCode.EXECUTION_FAILED
    assert "first of on_complete failed: no mail server." in report.error.message
    assert report.error.type == "ValueError"
    assert report.error.traceback is not None
    assert "no mail server" in report.error.traceback


@pytest.mark.parametrize("is_async", [False, True])
async def test_one_that_does_not_end_is_given_up_after_thirty_seconds(is_async: bool) -> None:
    app, clock, go = App(), ManualClock(), threading.Event()
    ended = asyncio.Event()

    if is_async:

        @app.on_delete
        async def never(instance_id: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    else:
        app.on_delete(lambda instance_id: go.wait())
    calls = list[str]()
    app.on_delete(calls.append)
    async with executing(app, clock=clock) as (owner, _):
        report = await moving(clock, owner.handle(Handler.DELETE), step=10)
        assert report.error is not None
        assert "did not return within 30 s" in report.error.message
        assert report.error.type == "TimeoutError"
        assert calls == ["i1"]
        go.set()
        if is_async:
            await ended.wait()


async def test_an_app_that_has_none_any_more_has_nothing_to_do() -> None:
    async with executing(App()) as (owner, _):
        assert (await owner.handle(Handler.ERROR)).error is None


async def test_a_call_that_is_cut_short_is_made_again_by_another_executor() -> None:
    app, reached = App(), asyncio.Event()

    @app.on_complete
    async def slow(instance_id: str, status: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with executing(app, grace=0) as (owner, executor):
        asking = asyncio.ensure_future(owner.handle(Handler.COMPLETE, status=InstanceStatus.DONE))
        await reached.wait()
        await executor.stop()
        quick = App()
        quick.on_complete(lambda instance_id, status: None)
        async with executing(quick, bus=owner.bus):
            assert (await asking).error is None


async def test_a_call_that_is_under_way_ends_before_the_executor_does() -> None:
    app, reached, go = App(), asyncio.Event(), asyncio.Event()

    @app.on_complete
    async def slow(instance_id: str, status: str) -> None:
        reached.set()
        await go.wait()

    async with executing(app) as (owner, executor):
        asking = asyncio.ensure_future(owner.handle(Handler.COMPLETE, status=InstanceStatus.DONE))
        await reached.wait()
        stopping = asyncio.ensure_future(executor.stop())
        go.set()
        assert (await asking).error is None
        await stopping


async def test_the_plan_says_which_kinds_there_are() -> None:
    app = App()
    app.workflow("w")(lambda: [Task("t", len)])
    app.on_delete(print)
    app.on_error(print)
    async with executing(app) as (owner, _):
        reply = await owner.expand("w")
    assert reply.plan is not None
    assert set(reply.plan.handlers) == {Handler.ERROR, Handler.DELETE}
