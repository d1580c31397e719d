"""Generators are called, and what they give becomes a plan."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from typing import Any

import pytest

from taskpath import App, Retry, Task
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock, SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode
from taskpath_proto.events import ExecutorAnnounced
from taskpath_services.executor.service import ExecutorService
from tests.support.clocks import moving
from tests.support.executors import one_task
from tests.support.owner import executing, result_of


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
