"""Updates of an instance's data, and the check of what a group's tasks left: orders over the real bus."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pytest

from taskpath import App, Task
from taskpath_proto.errors import ErrorCode
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Blob, Inline
from taskpath_proto.work import Layer, OrderKind
from tests.support.owner import executing, inline, result_of


def counting(calls: list[Any]) -> App:
    """An app whose workflow ``w`` has as many tasks as its data says."""
    app = App()

    @app.workflow("w")
    def w(data: Any) -> list[Task]:
        calls.append(data)
        return [
            Task(f"t{number}", lambda arg, ctx: [ctx.data, len(calls)]) for number in range(data["count"])
        ]

    return app


class TestUpdates:
    async def test_the_tree_is_that_of_the_new_data(self) -> None:
        calls = list[Any]()
        async with executing(counting(calls)) as (owner, _):
            reply = await owner.expand("w", {"count": 1, "a": [1]}, updater={"count": {"$set": 3}})
            assert reply.error is None
            assert reply.plan is not None
            assert [task.name for task in reply.plan.tasks] == ["t0", "t1", "t2"]
            assert isinstance(reply.data, Inline)
            assert json.loads(reply.data.json) == {"count": 3, "a": [1]}
            # Orders that come with it find the tree, and the data.
            report = await owner.task("w", "#.t2", data=reply.data)
            assert result_of(report) == [{"count": 3, "a": [1]}, 1]

    async def test_without_an_updater_there_is_no_new_data(self) -> None:
        async with executing(counting([])) as (owner, _):
            assert (await owner.expand("w", {"count": 1})).data is None

    async def test_large_data_goes_through_storage(self) -> None:
        calls = list[Any]()
        async with executing(counting(calls)) as (owner, _):
            reply = await owner.expand("w", {"count": 1}, updater={"text": {"$set": "x" * 100_000}})
            assert isinstance(reply.data, Blob)
            assert (reply.data.path, reply.data.name) == ("#", "data")
            assert json.loads(owner.blobs[reply.data]) == {"count": 1, "text": "x" * 100_000}
            report = await owner.task("w", "#.t0", data=reply.data)
            assert report.status is TaskStatus.OK
            assert (len(calls), owner.reads) == (1, [])
            # What was stored for one update is never another's.
            other = await owner.expand("w", {"count": 1}, updater={"text": {"$set": "y" * 100_000}})
            assert other.data != reply.data

    async def test_a_refused_update_leaves_the_instance_as_it_was(self) -> None:
        calls = list[Any]()
        async with executing(counting(calls)) as (owner, _):
            await owner.expand("w", {"count": 1})
            refused = await owner.expand("w", {"count": 1}, updater={"count": {"$set": 2}})
            assert refused.plan is not None
            # The owner refuses it: what comes next is with the old data, and then another update.
            report = await owner.task("w", "#.t0", data={"count": 1})
            assert result_of(report)[0] == {"count": 1}
            assert (await owner.task("w", "#.t1", data={"count": 1})).error is not None
            other = await owner.expand("w", {"count": 1}, updater={"count": {"$set": 3}})
            assert other.plan is not None
            assert len(other.plan.tasks) == 3
        assert [data["count"] for data in calls] == [1, 2, 3]

    @pytest.mark.parametrize(
        ("updater", "words"),
        [
            ({"count": {"$push": [1]}}, "$push at #.count needs an array, but finds a number"),
            ({"$sett": 1}, "$sett at # is no command"),
            (7, "must be an object of commands and keys"),
        ],
    )
    async def test_an_updater_that_does_not_fit_is_refused(self, updater: Any, words: str) -> None:
        async with executing(counting([])) as (owner, executor):
            reply = await owner.expand("w", {"count": 1}, updater=updater)
            assert executor.ready
        assert reply.plan is None
        assert reply.data is None
        assert reply.error is not None
        assert reply.error.code is ErrorCode.INVALID_REQUEST
        assert reply.error.message.startswith("The data cannot be updated: ")
        assert words in reply.error.message

    async def test_data_that_no_longer_fits_its_type(self) -> None:
        @dataclasses.dataclass
        class Album:
            count: int

        app = App()

        @app.workflow("w")
        def w(data: Album) -> list[Task]:
            return [Task(f"t{number}", len) for number in range(data.count)]

        async with executing(app) as (owner, _):
            reply = await owner.expand("w", {"count": 1}, updater={"count": {"$set": "many"}})
        assert reply.error is not None
        assert reply.error.code is ErrorCode.INVALID_DATA
        assert reply.error.details is not None
        assert reply.error.details["field"] == "count"

    async def test_a_generator_that_fails_on_the_new_data(self) -> None:
        async with executing(counting([])) as (owner, _):
            reply = await owner.expand("w", {"count": 1}, updater={"$unset": ["count"]})
        assert reply.error is not None
        assert reply.error.code is ErrorCode.SCHEDULER_ERROR
        assert "'w'" in reply.error.message

    async def test_data_that_grows_too_large(self) -> None:
        async with executing(counting([]), max_value=10_000) as (owner, _):
            reply = await owner.expand("w", {"count": 1}, updater={"text": {"$set": "x" * 10_001}})
        assert reply.error is not None
        assert reply.error.code is ErrorCode.TOO_LARGE


def joining() -> App:
    """An app with a group of two tasks."""
    app = App()
    app.workflow("w")(lambda: [Task("g", subtasks=[Task("a", len), Task("b", len)])])
    return app


class TestJoins:
    async def check(self, *layers: Layer, base: Any = None) -> Any:
        async with executing(joining()) as (owner, _):
            (report,) = await owner.run(
                "w", owner.order("#.g", kind=OrderKind.JOIN), base=base, layers=layers
            )
            return report

    async def test_updaters_that_fit_one_after_the_other(self) -> None:
        report = await self.check(
            Layer("#.g.a", updaters=inline([{"seen": {"$push": [1]}}])),
            Layer("#.g.b", updaters=inline([{"seen": {"$push": [2]}}, {"seen": {"1": {"$set": 3}}}])),
            base={"seen": []},
        )
        assert (report.status, report.error, report.path) == (TaskStatus.OK, None, "#.g")

    async def test_the_first_that_does_not_fit_is_named(self) -> None:
        report = await self.check(
            Layer("#.g.a", updaters=inline([{"seen": {"$set": 7}}])),
            Layer("#.g.b", updaters=inline([{"seen": {"$push": [2]}}])),
            base={"seen": []},
        )
        assert report.status is TaskStatus.FAILED
        assert report.error.code is ErrorCode.EXECUTION_FAILED
        assert report.error.path == "#.g.b"
        assert report.error.type == "UpdaterError"
        assert "#.g.b" in report.error.message
        assert "$push" in report.error.message
        assert not report.retryable

    async def test_large_updaters_are_read_from_storage(self) -> None:
        async with executing(joining()) as (owner, _):
            blob = Blob("#.g.a", "updaters", 3, 100)
            owner.blobs[blob] = msgspec.json.encode([{"$merge": 3}]).decode()
            (report,) = await owner.run(
                "w", owner.order("#.g", kind=OrderKind.JOIN), layers=(Layer("#.g.a", updaters=blob),)
            )
        assert report.error is not None
        assert report.error.path == "#.g.a"
