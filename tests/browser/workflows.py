"""Workflows to look at: each does one thing that the page shows, and waits where the test wants to look."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Annotated, Any, Literal

import msgspec

from taskpath import App, Retry, Task, TaskContext


class Hand:
    """The test's hand on the tasks: each step that a task is told to take waits until the test gives it."""

    def __init__(self) -> None:
        self._steps: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(0))
        self.broken = True
        self.ran: list[str] = []

    async def step(self, name: str) -> None:
        """Waits until the test gives the step."""
        await self._steps[name].acquire()

    def give(self, name: str, times: int = 1) -> None:
        """Lets what waits for the step go on."""
        for _ in range(times):
            self._steps[name].release()


class Album(msgspec.Struct):
    """The typed data of a workflow."""

    title: str
    count: int = 3


class Named(msgspec.Struct):
    """Data whose fields have limits, and one a title of its own."""

    label: Annotated[str, msgspec.Meta(title="Label on the box", max_length=5)]
    code: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] = "abc"
    weight: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5
    extra: dict[str, int] = {}


class Size(msgspec.Struct):
    """A part of the data below."""

    width: Annotated[int, msgspec.Meta(ge=1)]
    height: int = 600


class Nested(msgspec.Struct):
    """Typed data of most of the kinds that there are."""

    sizes: list[Size] = []
    shape: Literal["square", "round"] = "square"
    loud: bool = False
    note: str | None = None
    extra: dict[str, int] = {}


def build(hand: Hand) -> App:
    """The app.

    Args:
        hand: lets its tasks go on.
    """
    app = App()

    async def work(arg: Any, ctx: TaskContext) -> Any:
        hand.ran.append(ctx.path)
        ctx.log("starting")
        for part in range(1, 4):
            await hand.step("work")
            ctx.progress(part / 4, f"part {part} of 4")
            ctx.log(f"part {part} is done")
        await hand.step("work")
        return {"answer": 42, "text": "<b>not markup</b>", "list": [1, None, True]}

    async def echo(arg: Any, ctx: TaskContext) -> Any:
        hand.ran.append(ctx.path)
        return arg

    async def fail(arg: Any, ctx: TaskContext) -> Any:
        hand.ran.append(ctx.path)
        ctx.log("it goes wrong")
        if hand.broken:
            raise ValueError("out of paper")
        return "printed"

    async def flaky(arg: Any, ctx: TaskContext) -> str:
        raise ConnectionError("nobody answers")

    async def numbers(arg: Any) -> list[int]:
        return list(range(arg["count"]))

    async def item(arg: int, ctx: TaskContext) -> dict[str, int]:
        if hand.broken and arg % 100 == 7:
            raise ValueError(f"{arg} is unlucky")
        return {"n": arg}

    @app.workflow("progress", description="One task that moves")
    def progress(data: Any) -> list[Task]:
        return [Task("work", work, description="Moves by hand"), Task("after", echo)]

    @app.workflow("failing", description="A task that fails")
    def failing(data: Any) -> list[Task]:
        return [
            Task("first", echo),
            Task("both", subtasks=[Task("bad", fail), Task("good", echo)]),
            Task("last", echo),
        ]

    @app.workflow("retrying")
    def retrying(data: Any) -> list[Task]:
        return [Task("flaky", flaky, retry=Retry(attempts=3, backoff=600.0, max_delay=600.0, jitter=0.0))]

    @app.workflow("chain")
    def chain(data: Any) -> list[Task]:
        return [Task("one", echo), Task("two", echo), Task("three", echo)]

    @app.workflow("fan")
    def fan(data: Any) -> list[Task]:
        return [Task("list", numbers), Task("each", item, foreach=True), Task("sum", echo)]

    @app.workflow("fanout", description="Ends with a foreach")
    def fanout(data: Any) -> list[Task]:
        return [Task("list", numbers), Task("each", item, foreach=True)]

    @app.workflow("named", description="Says plainly what it wants")
    def named(data: Named) -> list[Task]:
        return [Task("show", echo)]

    @app.workflow("typed", description="Wants an album")
    def typed(data: Album) -> list[Task]:
        return [Task("show", echo)]

    @app.workflow("nested")
    def nested(data: Nested) -> list[Task]:
        return [Task("show", echo)]

    @app.workflow("large")
    def large(data: Any) -> list[Task]:
        return [Task("big", lambda: "x" * (2 * 1024 * 1024)), Task("long", lambda: list(range(20_000)))]

    return app
