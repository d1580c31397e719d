"""The executor calls what authors wrote, with the values that it should."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime
import json
import math
import threading
from typing import Any

import msgspec
import pytest

from taskpath import App, Task, TaskContext
from taskpath_proto.errors import ErrorCode
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Blob, Inline, Item, Joined, Stored
from tests.support.executors import one_task, outcome
from tests.support.owner import executing, result_of


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
