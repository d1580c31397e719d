"""What a task gets from those before it, its condition, and the list of a foreach."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskpath import App, Retry, Task, TaskContext, UpdaterError
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Blob, Inline, Stored
from taskpath_proto.work import Layer, OrderKind
from tests.support.executors import one_task
from tests.support.owner import executing, inline, result_of


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
