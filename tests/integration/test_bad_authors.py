"""What authors do wrong: each mistake gives one clear sentence and code, and nobody else suffers."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from taskpath import App, Retry, Task, TaskContext, TaskpathError
from taskpath.testing import run
from taskpath_proto.errors import ErrorCode, ErrorInfo
from tests.support import process_app
from tests.support.authors import is_clear, nested, outcome
from tests.support.owner import executing, result_of


async def fails_alone(run: Callable[..., Any], *words: str, **fields: Any) -> ErrorInfo:
    """Runs a bad task beside good ones; returns its error, which says these things."""
    good = [Task(f"good{number}", lambda arg: "good") for number in range(3)]
    ended = await outcome(
        Task("group", subtasks=[good[0], Task("bad", run, **fields), *good[1:]]),
        Task("after", lambda: "never"),
        base_context={"list": [1], "deep": {"a": 1}},
        data={"list": [1]},
    )
    assert ended.status == "failed"
    assert {path: ended.results[path] for path in ended.results} == {
        f"#.group.good{number}": "good" for number in range(3)
    }
    assert ended.errors.keys() == {"#.group.bad"}
    error = ended.errors["#.group.bad"].info
    assert error.code is ErrorCode.EXECUTION_FAILED
    assert error.path == "#.group.bad"
    is_clear(error, *words)
    return error


class Strange:
    """A type of the author's."""


def cyclic_list() -> Any:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def cyclic_dict() -> Any:
    value: dict[Any, Any] = {7: "a key that is no text"}
    value[8] = [value]
    return value


class TestResults:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (float("nan"), "NaN"),
            ({"deep": [float("-inf")]}, "Infinity"),
            ([1, b"raw"], "bytes"),
            (bytearray(b"raw"), "bytearray"),
            (Strange(), "Strange"),
            (len, "builtin_function_or_method"),
            ({1, 2}, "set has no order"),
            ({"a": iter([1])}, "iterator"),
            ({(1, 2): 3}, "keys must be str"),
            ("\ud800", "half a surrogate pair"),
            (cyclic_list(), "or contains itself"),
            (cyclic_dict(), "or contains itself"),
            (nested(301), "deeper than 300 levels"),
            (nested(100_000), "deeper than 300 levels"),
        ],
    )
    async def test_what_is_not_json(self, value: Any, words: str) -> None:
        async def coroutine() -> Any:
            return value

        error = await fails_alone(lambda: value, words)
        assert error.type == "NotJSON"
        await fails_alone(coroutine, words)

    async def test_what_is_just_deep_enough_can_be_used(self) -> None:
        deep = nested(300)
        ended = await outcome(
            Task("t", lambda: deep, context_var="deep"),
            Task("next", lambda arg, ctx: arg == ctx.context["deep"]),
            Task("items", len, foreach="deep"),
        )
        assert ended.status == "done", ended.errors
        assert ended.results["#.next"] is True

    async def test_keys_that_are_no_text_become_text(self) -> None:
        ended = await outcome(Task("t", lambda: {2: "a", None: "b", True: "c"}))
        assert ended.results["#.t"] == {"2": "a", "null": "b", "true": "c"}

    async def test_a_result_that_is_too_large(self) -> None:
        app = App()
        app.workflow("w")(lambda: [Task("t", lambda arg: "x" * arg)])
        async with executing(app, max_value=10_000) as (owner, _):
            bad, good = await owner.run("w", owner.order("#.t", 10_000), owner.order("#.t", 9_000))
        assert len(result_of(good)) == 9_000
        assert bad.error is not None
        assert bad.error.code is ErrorCode.EXECUTION_FAILED
        is_clear(bad.error, "10002 bytes", "at most 10000")

    async def test_a_coroutine_that_nobody_awaited(self) -> None:
        async def inner() -> int:
            return 7

        async def outer() -> Any:
            return inner()

        with warnings.catch_warnings():
            # Python's own complaint about it helps the author as well.
            warnings.simplefilter("ignore")
            await fails_alone(outer, "coroutine", "not awaited")
            await fails_alone(lambda: [inner()], "coroutine", "not awaited")
        # A plain function may return one: it is awaited.
        assert (await outcome(Task("t", lambda: inner()))).results["#.t"] == 7

    async def test_text_of_any_kind(self) -> None:
        text = 'quotes " and \\ and \x00 and é 漢 🎉 and \u2028'
        ended = await outcome(Task("t", lambda: {text: text}), Task("next", lambda arg: arg))
        assert ended.results["#.next"] == {text: text}


class TestFunctions:
    @pytest.mark.parametrize(
        "error",
        [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), StopIteration(7)],
    )
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_one_that_raises_anything(self, error: BaseException, is_async: bool) -> None:
        def plain() -> None:
            raise error

        async def coroutine() -> None:
            raise error

        failed = await fails_alone(coroutine if is_async else plain, retry=Retry(backoff=0, on=(OSError,)))
        assert type(error).__name__ in failed.message
        assert failed.type == (
            "RuntimeError" if is_async and type(error) is StopIteration else type(error).__name__
        )

    async def test_one_whose_exception_cannot_be_shown(self) -> None:
        class Odd(Exception):
            def __str__(self) -> str:
                raise ValueError("no text")

        def fail() -> None:
            raise Odd

        assert (await fails_alone(fail, "cannot be made")).type == "Odd"

    async def test_one_that_recurs_without_end(self) -> None:
        def endless() -> Any:
            return endless()

        assert (await fails_alone(endless, "recursion")).type == "RecursionError"

    async def test_one_that_blocks_its_thread(self) -> None:
        stop = threading.Event()
        try:
            error = await fails_alone(lambda: stop.wait(), "0.05 s", timeout=0.05)
            assert error.type == "TimeoutError"
        finally:
            stop.set()

    async def test_one_that_swallows_its_cancellation(self) -> None:
        stop = asyncio.Event()

        async def stubborn() -> None:
            while not stop.is_set():
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    stop.set()

        assert (await fails_alone(stubborn, "0.05 s", timeout=0.05)).type == "TimeoutError"

    async def test_one_that_changes_what_it_was_given(self) -> None:
        def change(arg: Any, ctx: TaskContext) -> Any:
            arg["list"].append("changed")
            ctx.data["list"].append("changed")
            return "changed"

        def look(arg: Any, ctx: TaskContext) -> Any:
            return [arg, ctx.data, ctx.context]

        ended = await outcome(
            Task("group", subtasks=[Task("change", change), Task("look", look)]),
            Task("look", look),
            data={"list": []},
            base_context={"list": []},
        )
        clean: dict[str, Any] = {"list": []}
        assert ended.results["#.group.look"] == [clean, clean, clean]
        assert ended.results["#.look"][1:] == [clean, clean]

    @pytest.mark.parametrize(
        "change",
        [
            lambda context: context.update(a=1),
            lambda context: context["list"].append(1),
            lambda context: context["deep"].__setitem__("a", 2),
            lambda context: context.pop("list"),
        ],
    )
    async def test_one_that_changes_the_context(self, change: Callable[[Any], Any]) -> None:
        def task(arg: Any, ctx: TaskContext) -> None:
            change(ctx.context)

        assert (await fails_alone(task, "read-only", "ctx.update_context")).type == "TypeError"
        await fails_alone(len, "read-only", condition=change)

    async def test_a_condition_that_raises_or_is_never_awaited(self) -> None:
        async def later() -> bool:
            return True

        await fails_alone(len, "division by zero", condition=lambda context: 1 / 0)
        await fails_alone(len, "awaitable", condition=lambda context: later())

    async def test_a_list_that_is_none(self) -> None:
        await fails_alone(len, "no 'photos' in the context", "deep, list", foreach="photos")
        await fails_alone(len, "'deep' in the context is an object", foreach="deep")
        await fails_alone(len, "the result before it is an object", foreach=True)

    async def test_an_updater_that_is_none(self) -> None:
        def wrong(updater: Any) -> Callable[..., None]:
            return lambda arg, ctx: ctx.update_context(updater)

        for updater, words in (
            (7, "an object of commands and keys"),
            ({"$push": [1]}, "needs an array"),
            ({"list": {"$set": 1, "$push": [2]}}, "must stand alone"),
            ({"$set": [1]}, "something else than an object"),
            ({"list": {"$set": object()}}, "not JSON"),
        ):
            assert (await fails_alone(wrong(updater), words)).type == "UpdaterError"

    async def test_progress_and_logs_that_are_none(self) -> None:
        await fails_alone(lambda arg, ctx: ctx.progress("half"), "expected is a number from 0 to 1")
        await fails_alone(lambda arg, ctx: ctx.progress(float("nan")), "NaN")
        ended = await outcome(Task("t", lambda arg, ctx: ctx.log(Strange(), {1, 2}, b"raw", "\ud800")))
        assert ended.status == "done"
        assert "Strange" in ended.logs["#.t"][0]


class TestProcesses:
    async def test_one_that_ends_its_process(self) -> None:
        async with executing(process_app.app, processes=2) as (owner, executor):
            arguments = ["die", "live", "live", "die", "live"]
            orders = [owner.order(f"#.die[{n}]", argument) for n, argument in enumerate(arguments)]
            reports = await owner.run("w", *orders)
            assert executor.ready
        for argument, report in zip(arguments, reports, strict=True):
            if argument == "live":
                pid, given = result_of(report)
                assert (given, pid == os.getpid()) == ("live", False)
            else:
                assert report.error is not None
                assert report.error.code is ErrorCode.EXECUTION_FAILED
                assert report.error.type == "WorkerDied"
                is_clear(report.error, "ended with exit code 7")
                assert report.retryable

    async def test_an_app_that_cannot_be_imported(self) -> None:
        error = await fails_alone(
            lambda: 1, "worker process can import", "a variable of a module", process=True
        )
        assert error.type == "RuntimeError"

    async def test_one_that_raises_anything(self) -> None:
        async with executing(process_app.app, processes=1) as (owner, _):
            leave, nan, where = await owner.run(
                "w", owner.order("#.leave"), owner.order("#.nan"), owner.order("#.where[0]", 7)
            )
        assert leave.error is not None
        assert leave.error.type == "SystemExit"
        assert nan.error is not None
        is_clear(nan.error, "NaN")
        assert result_of(where)[1] == 7


class TestData:
    async def test_data_that_is_not_json(self) -> None:
        app = App()
        app.workflow("w")(lambda data: [])
        for data, words in ((object(), "object"), (float("nan"), "NaN"), (nested(301), "300 levels")):
            with pytest.raises(TaskpathError) as caught:
                await run(app, "w", data)
            assert caught.value.code is ErrorCode.INVALID_DATA
            is_clear(caught.value, "The data is not JSON", words)
        with pytest.raises(TaskpathError, match="The argument is not JSON"):
            await run(app, "w", argument={1, 2})
        wrong: Any = [1]
        with pytest.raises(TaskpathError, match="expected is a dict or None"):
            await run(app, "w", base_context=wrong)
