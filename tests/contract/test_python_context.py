"""What a task knows and says, when it is tried again, when it is stopped. Each test shows a claim."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from taskpath import Client, Retry, Task, TaskContext, UpdaterError
from taskpath.client import SetTasksStatuses
from taskpath.runtime.clock import ManualClock
from taskpath_services.embedded import Embedded
from tests.support.authors import Signal, app_of, outcome, result_of, serving
from tests.support.system import settings_for


@pytest.mark.contract("python.context-fields")
async def test_what_a_task_knows(tmp_path: Path) -> None:
    def look(arg: Any, ctx: TaskContext) -> list[Any]:
        assert ctx.attempt_id.startswith(ctx.instance_id)
        return [dict(ctx.context), ctx.data, ctx.attempt, ctx.path, ctx.realm, ctx.cancelled]

    def identify(arg: Any, ctx: TaskContext) -> list[str]:
        return [ctx.instance_id, ctx.attempt_id]

    app = app_of(
        Task("first", lambda: 1, context_var="first"), Task("look", look), Task("identify", identify)
    )
    async with serving(app, tmp_path) as client:
        instance = await client.create("w", {"d": 1}, realm="r", base_context={"b": 2}, execute=True)
        await client.wait(instance.id)
        known = [{"b": 2, "first": 1}, {"d": 1}, 1, "#.look", "r", False]
        assert await client.result(instance.id, "#.look") == known
        first = await client.result(instance.id, "#.identify")
        await client.execute(instance.id, "#.identify")
        await client.wait(instance.id)
        second = await client.result(instance.id, "#.identify")
    # Every attempt has an id that no other has.
    assert first[0] == second[0] == instance.id
    assert first[1] != second[1]


@pytest.mark.contract("python.context-fields")
async def test_the_context_is_read_only() -> None:
    def change(arg: Any, ctx: TaskContext) -> None:
        refused = 0
        for attempt in (
            lambda: ctx.context.update(a=1),
            lambda: ctx.context["list"].append(1),
            lambda: ctx.context["deep"].pop("a"),
        ):
            with pytest.raises(TypeError, match=r"read-only; use ctx\.update_context"):
                attempt()
            refused += 1
        assert refused == 3

    base = {"list": [], "deep": {"a": 1}}
    ended = await outcome(Task("t", change), base_context=base)
    assert ended.status == "done", ended.errors
    assert ended.context == base


@pytest.mark.contract("python.previous-context")
async def test_what_the_last_execution_left(tmp_path: Path) -> None:
    def count(arg: Any, ctx: TaskContext) -> Any:
        ctx.update_context({"count": {"$set": len(ctx.previous_context) + 1}})
        return ctx.previous_context

    async with serving(app_of(Task("t", count)), tmp_path) as client:
        instance = await client.create("w", execute=True)
        await client.wait(instance.id)
        assert await client.result(instance.id, "#.t") == []
        await client.execute(instance.id, "#.t")
        await client.wait(instance.id)
        assert await client.result(instance.id, "#.t") == [{"count": {"$set": 1}}]


@pytest.mark.contract("python.update-context")
async def test_an_update_is_checked_and_visible_at_once() -> None:
    def update(arg: Any, ctx: TaskContext) -> list[Any]:
        ctx.update_context({"list": {"$push": [1]}})
        seen = list(ctx.context["list"])
        with pytest.raises(UpdaterError, match=r"\$push at #.name needs an array"):
            ctx.update_context({"name": {"$push": [1]}})
        with pytest.raises(UpdaterError, match="not JSON"):
            ctx.update_context({"name": {"$set": object()}})
        ctx.update_context({"list": {"$push": [2]}})
        return seen

    ended = await outcome(
        Task("t", update),
        Task("after", lambda arg, ctx: list(ctx.context["list"])),
        base_context={"list": [], "name": "x"},
    )
    assert ended.results["#.t"] == [1]
    assert ended.results["#.after"] == [1, 2]


@pytest.mark.contract("python.update-context")
async def test_a_task_that_fails_leaves_nothing() -> None:
    def update(arg: Any, ctx: TaskContext) -> None:
        ctx.update_context({"seen": {"$set": True}})
        raise ValueError("out of paper")

    assert (await outcome(Task("t", update))).context == {}


@pytest.mark.contract("python.progress")
async def test_progress_is_seen_by_watchers(tmp_path: Path) -> None:
    signal = Signal()

    async def work(arg: Any, ctx: TaskContext) -> None:
        ctx.progress(0.5, "half way")
        await signal.hold()

    async with serving(app_of(Task("t", work)), tmp_path) as client:
        instance = await client.create("w")
        await client.execute(instance.id)
        async for change in client.watch(instance.id):
            state = change.statuses.get("#.t") if isinstance(change, SetTasksStatuses) else None
            if state is not None and state.progress:
                signal.go.set()
                break
        await client.wait(instance.id)
    assert state is not None
    assert state.progress is not None
    assert state.status == "running"
    assert (state.progress.fraction, state.progress.message) == (0.5, "half way")


@pytest.mark.contract("python.log")
async def test_a_log_line_is_made_of_values() -> None:
    def write(arg: Any, ctx: TaskContext) -> None:
        ctx.log("text as it is", 7, {"else": ["as", "JSON"]}, None)
        ctx.log()

    ended = await outcome(Task("t", write))
    assert ended.logs["#.t"] == ['text as it is 7 {"else":["as","JSON"]} null', ""]


@pytest.mark.contract("python.logging-module")
async def test_records_of_the_logging_module() -> None:
    log = logging.getLogger("author")

    def plain() -> None:
        log.info("from %s", "a thread")

    async def coroutine() -> None:
        log.warning("from a coroutine")
        await asyncio.to_thread(log.info, "from a thread of a coroutine")

    log.warning("from outside of any task")
    ended = await outcome(Task("plain", plain), Task("coroutine", coroutine))
    assert ended.logs["#.plain"] == ["from a thread"]
    assert ended.logs["#.coroutine"] == ["from a coroutine", "from a thread of a coroutine"]


@pytest.mark.contract("python.logging-module")
async def test_two_runs_in_one_process_do_not_mix_their_records() -> None:
    log = logging.getLogger("author")
    both = await asyncio.gather(
        *(outcome(Task("t", lambda arg: log.info(arg)), data=text) for text in ("one", "two"))
    )
    assert [ended.logs["#.t"] for ended in both] == [["one"], ["two"]]


@pytest.mark.contract("python.cancelled")
async def test_a_task_can_see_that_it_was_cancelled(tmp_path: Path) -> None:
    signal, seen = Signal(), threading.Event()

    def work(arg: Any, ctx: TaskContext) -> None:
        signal.reach()
        while not ctx.cancelled:
            threading.Event().wait(0.005)
        seen.set()

    async with serving(app_of(Task("t", work)), tmp_path) as client:
        instance = await client.create("w", execute=True)
        await signal.reached.wait()
        await client.cancel(instance.id)
        assert (await client.wait(instance.id)).status == "cancelled"
        assert await asyncio.to_thread(seen.wait, 10)


@pytest.mark.contract("python.threads")
async def test_all_of_it_may_be_used_in_threads() -> None:
    async def work(arg: Any, ctx: TaskContext) -> int:
        def one(number: int) -> None:
            ctx.log("thread", number)
            ctx.progress(number / 8)
            assert ctx.context["list"] is not None

        await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(8)))
        await asyncio.to_thread(ctx.update_context, {"list": {"$push": [1]}})
        return len(ctx.context["list"])

    ended = await outcome(Task("t", work), base_context={"list": []})
    assert ended.results["#.t"] == 1
    assert sorted(ended.logs["#.t"]) == [f"thread {number}" for number in range(8)]


@pytest.mark.contract("python.retry")
@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(attempts=5, backoff=10, jitter=0), [(10, 10), (20, 20), (40, 40), (60, 60)]),
        (Retry(attempts=4, backoff=10, max_delay=15, jitter=0), [(10, 10), (15, 15), (15, 15)]),
        (Retry(attempts=3, backoff=10, jitter=0.5), [(5, 15), (10, 30)]),
        (Retry(attempts=1), []),
    ],
)
async def test_a_retry_comes_after_its_delay(
    retry: Retry, expected: list[tuple[float, float]], tmp_path: Path
) -> None:
    def fail() -> None:
        raise ConnectionError("not yet")

    clock, delays = ManualClock(), list[float]()
    app = app_of(Task("t", fail, retry=retry))
    async with Embedded(app, settings_for(tmp_path), clock) as system, Client(system.url) as client:
        instance = await client.create("w", execute=True)
        async for change in client.watch(instance.id):
            state = change.statuses.get("#.t") if isinstance(change, SetTasksStatuses) else None
            if state is not None and state.retry and state.retry.next_at:
                assert state.retry.attempts == retry.spec.attempts
                delay = (state.retry.next_at - clock.now()) / 1000
                if delay > 0:
                    delays.append(delay)
                    clock.move(delay)
    assert len(delays) == len(expected)
    for delay, (least, most) in zip(delays, expected, strict=True):
        assert least <= delay <= most


@pytest.mark.contract("python.retry")
async def test_a_retry_has_so_many_attempts() -> None:
    def flaky(arg: Any, ctx: TaskContext) -> int:
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return ctx.attempt

    assert await result_of(flaky, retry=Retry(attempts=3, backoff=0)) == 3
    ended = await outcome(Task("t", flaky, retry=Retry(attempts=2, backoff=0)))
    assert ended.errors["#.t"].info.type == "ConnectionError"


@pytest.mark.contract("python.retry-on")
async def test_only_what_a_retry_is_for_is_tried_again() -> None:
    calls = list[str]()

    def fail(arg: Any, ctx: TaskContext) -> None:
        calls.append(ctx.path)
        raise {"#.other": KeyError, "#.one": ConnectionResetError}[ctx.path]("no")

    retry = Retry(attempts=3, backoff=0, on=(ConnectionError,))
    assert (await outcome(Task("other", fail, retry=retry))).status == "failed"
    assert (await outcome(Task("one", fail, retry=retry))).status == "failed"
    assert calls == ["#.other", *3 * ["#.one"]]


@pytest.mark.contract("python.timeout")
async def test_a_timeout_is_for_one_attempt_and_is_retried_like_others() -> None:
    attempts = list[int]()

    async def slow(arg: Any, ctx: TaskContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            await asyncio.Event().wait()
        return "in time"

    ended = await outcome(Task("t", slow, timeout=0.05, retry=Retry(attempts=3, backoff=0)))
    assert ended.results["#.t"] == "in time"
    assert attempts == [1, 2, 3]
    ended = await outcome(Task("t", lambda: threading.Event().wait(0.3), timeout=0.05))
    error = ended.errors["#.t"].info
    assert (error.code, error.type) == ("EXECUTION_FAILED", "TimeoutError")
    assert "0.05 s" in error.message


@pytest.mark.contract("python.timeout-thread")
async def test_a_coroutine_is_cancelled_and_a_thread_is_left_alone() -> None:
    cancelled, seen = asyncio.Event(), threading.Event()

    async def coroutine() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def thread(arg: Any, ctx: TaskContext) -> str:
        while not ctx.cancelled:
            threading.Event().wait(0.005)
        seen.set()
        return "too late"

    ended = await outcome(
        Task(
            "both",
            subtasks=[Task("coroutine", coroutine, timeout=0.05), Task("thread", thread, timeout=0.05)],
        )
    )
    assert ended.errors.keys() == {"#.both.coroutine", "#.both.thread"}
    assert "#.both.thread" not in ended.results
    assert cancelled.is_set()
    assert await asyncio.to_thread(seen.wait, 10)
