"""What authors do wrong in generators: one clear sentence and code, and nobody else suffers."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from taskpath import App, Task, TaskpathError
from taskpath.runtime.clock import ManualClock
from taskpath.testing import run
from taskpath_proto.errors import ErrorCode
from tests.support.authors import is_clear
from tests.support.clocks import moving
from tests.support.owner import executing


class TestGenerators:
    async def refused(self, generator: Callable[..., Any], *words: str, data: Any = None) -> TaskpathError:
        """The error of a generator, beside which another works."""
        app = App()
        app.workflow("bad")(generator)
        app.workflow("good")(lambda: [Task("t", lambda: 1)])
        async with executing(app) as (owner, executor):
            bad, good = await asyncio.gather(owner.expand("bad", data, id="b"), owner.expand("good", id="g"))
            assert executor.ready
        assert good.plan is not None
        assert bad.plan is None
        assert bad.error is not None
        with pytest.raises(TaskpathError) as caught:
            await run(app, "bad", data)
        assert caught.value.info == bad.error
        assert caught.value.code is ErrorCode.SCHEDULER_ERROR
        is_clear(caught.value, "The generator of workflow 'bad' failed: ", *words)
        return caught.value

    @pytest.mark.parametrize(
        "error", [ValueError("no album"), SystemExit(3), KeyboardInterrupt(), StopIteration()]
    )
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_one_that_raises(self, error: BaseException, is_async: bool) -> None:
        def plain() -> Any:
            raise error

        async def coroutine() -> Any:
            raise error

        await self.refused(coroutine if is_async else plain, str(error))

    async def test_one_that_raises_on_the_way(self) -> None:
        def halfway() -> Any:
            yield Task("t", len)
            raise ValueError("no more")

        async def halfway_async() -> Any:
            yield Task("t", len)
            raise ValueError("no more")

        await self.refused(halfway, "no more")
        await self.refused(halfway_async, "no more")

    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            (None, "NoneType; expected is a list of tasks"),
            (7, "int; expected is a list of tasks"),
            ("tasks", "str; expected is a list of tasks"),
            ({"t": 7}, "'t' is of type int"),
            ([len], "entry 0 is of type builtin_function_or_method; expected is a Task or a dict"),
            ([{"task": len}], "entry 0 has no name"),
            ([{"name": "t", "task": len, "retries": 3}], "unknown key 'retries'"),
            ([Task], "entry 0 is of type type"),
            ([[Task("t", len)]], "entry 0 is of type list"),
        ],
    )
    async def test_one_that_returns_nonsense(self, returned: Any, words: str) -> None:
        await self.refused(lambda: returned, words)

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("", "it is empty"),
            ("a.b", "contains one of . [ ] * #"),
            ("a[1]", "contains one of . [ ] * #"),
            ("*", "contains one of . [ ] * #"),
            ("line\nbreak", "control character"),
            (" a", "begins or ends with a blank"),
            ("x" * 201, "201 characters; a name has at most 200"),
            (7, "expected is text"),
        ],
    )
    async def test_illegal_names(self, name: Any, words: str) -> None:
        await self.refused(lambda: [Task(name, len)], words)
        await self.refused(lambda: [{"name": name, "task": len}], words)

    async def test_names_that_are_there_twice(self) -> None:
        twice = [Task("a", len), Task("a", len)]
        assert (await self.refused(lambda: twice, "#.a", "differ")).info.path == "#.a"
        await self.refused(lambda: [Task("g", subtasks=twice)], "#.g.a")

    async def test_trees_that_are_too_deep(self) -> None:
        def nested(levels: int) -> list[Task]:
            tasks = [Task("t", len)]
            for _ in range(levels - 1):
                tasks = [Task("g", subtasks=tasks)]
            return tasks

        app = App()
        app.workflow("w")(lambda: nested(64))
        assert (await run(app, "w", "data")).status == "done"
        await self.refused(lambda: nested(65), "too deep", "64 levels")
        itself: dict[str, Any] = {"name": "t"}
        itself["subtasks"] = [itself]
        await self.refused(lambda: [itself], "too deep", "64 levels")

    async def test_paths_that_are_too_long(self) -> None:
        def nested(names: int) -> list[Task]:
            tasks = [Task("t", len)]
            for _ in range(names):
                tasks = [Task("n" * 198, subtasks=tasks)]
            return tasks

        app = App()
        app.workflow("w")(lambda: nested(5))
        assert (await run(app, "w", "data")).status == "done"
        await self.refused(lambda: nested(6), "A path has at most 1000 bytes")

    async def test_a_million_tasks_and_one(self) -> None:
        same = Task("t", len)
        await self.refused(lambda: (same for _ in range(1_000_001)), "more than 1000000 tasks")

    async def test_one_that_goes_on_for_ever(self) -> None:
        same = Task("t", len)
        await self.refused(lambda: (same for _ in itertools.count()), "more than 1000000 tasks")

    async def test_one_that_never_returns(self) -> None:
        stop, started = threading.Event(), threading.Semaphore(0)

        async def never() -> Any:
            started.release()
            await asyncio.Event().wait()

        async def never_ends() -> Any:
            started.release()
            await asyncio.Event().wait()
            yield Task("t", len)

        def blocks() -> Any:
            started.release()
            stop.wait()
            return []

        app, clock = App(), ManualClock()
        generators = {"never": never, "awaited": lambda: never(), "yields": never_ends, "blocks": blocks}
        for name, generator in generators.items():
            app.workflow(name)(generator)
        app.workflow("good")(lambda data: [])
        async with executing(app, clock=clock) as (owner, executor):
            asked = [asyncio.ensure_future(owner.expand(name, id=name)) for name in generators]
            for _ in generators:
                await asyncio.to_thread(started.acquire)
            assert (await owner.expand("good")).plan is not None
            replies = await moving(clock, gathered(asked), step=31)
            assert executor.ready
            stop.set()
        for reply in replies:
            assert reply.error is not None
            assert reply.error.code is ErrorCode.SCHEDULER_ERROR
            is_clear(reply.error, "did not return within 30 s")


async def gathered(futures: Sequence[asyncio.Future[Any]]) -> list[Any]:
    return list(await asyncio.gather(*futures))
