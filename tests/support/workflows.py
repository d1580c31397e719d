"""Workflows for tests: small, and under the test's control.

A task that has to be seen while it runs waits at a :class:`Gate`, which the test opens.
"""

from __future__ import annotations

import asyncio
from typing import Any

from taskpath import App, Retry, Task, TaskContext


class Gate:
    """Where tasks wait until the test lets them through."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.reached: asyncio.Queue[str] = asyncio.Queue()

    async def pass_through(self, path: str) -> None:
        """Called by a task: tells that it is there, and waits."""
        self.reached.put_nowait(path)
        await self.opened.wait()


def build(gate: Gate, calls: list[str]) -> App:
    """An app whose tasks note in ``calls`` that they ran.

    Args:
        gate: where the tasks of ``gated`` wait.
        calls: receives the path of each task that ran, in order.
    """
    app = App()

    async def echo(arg: Any, ctx: TaskContext) -> Any:
        calls.append(ctx.path)
        return arg

    async def numbers(arg: Any, ctx: TaskContext) -> list[int]:
        calls.append(ctx.path)
        return list(range(arg["count"]))

    async def double(arg: int, ctx: TaskContext) -> int:
        calls.append(ctx.path)
        return 2 * arg

    async def total(arg: list[int], ctx: TaskContext) -> int:
        calls.append(ctx.path)
        return sum(arg)

    async def wait(arg: Any, ctx: TaskContext) -> Any:
        calls.append(ctx.path)
        await gate.pass_through(ctx.path)
        return arg

    async def fail(arg: Any, ctx: TaskContext) -> Any:
        calls.append(ctx.path)
        raise ValueError("out of paper")

    async def fail_first(arg: Any, ctx: TaskContext) -> str:
        calls.append(ctx.path)
        if ctx.attempt < 2:
            raise ConnectionError("not yet")
        return f"attempt {ctx.attempt}"

    def in_thread(arg: Any, ctx: TaskContext) -> Any:
        calls.append(ctx.path)
        ctx.log("in a thread", {"arg": arg})
        ctx.progress(0.5, "half way")
        return arg

    @app.workflow("fan", description="A list, doubled item by item, and summed up")
    def fan(data: Any) -> list[Task]:
        return [
            Task("list", numbers),
            Task("double", double, foreach=True),
            Task("total", total),
        ]

    @app.workflow("chain")
    def chain(data: Any) -> list[Task]:
        return [Task(f"step{number}", echo) for number in range(data["length"])]

    @app.workflow("context")
    def context(data: Any) -> list[Task]:
        async def read(arg: Any, ctx: TaskContext) -> Any:
            calls.append(ctx.path)
            return dict(ctx.context)

        return [
            Task("var", echo, context_var="first"),
            Task("keys", lambda arg: {"a": 1, "b": 2, "c": 3}, context_vars=["a", "b"]),
            Task(
                "group",
                lambda: "bound",
                dest="own",
                subtasks=[
                    Task("left", read, context_var="left"),
                    Task("skipped", echo, condition=lambda context: False),
                    Task("right", read),
                ],
            ),
            Task("read", read),
        ]

    @app.workflow("gated")
    def gated(data: Any) -> list[Task]:
        return [Task("before", echo), Task("wait", wait), Task("after", echo)]

    @app.workflow("gated-fan")
    def gated_fan(data: Any) -> list[Task]:
        return [Task("list", numbers), Task("work", wait, foreach=True, max_parallel=data.get("parallel"))]

    @app.workflow("failing")
    def failing(data: Any) -> list[Task]:
        return [
            Task("first", echo),
            Task("both", subtasks=[Task("bad", fail), Task("good", echo)]),
            Task("never", echo),
        ]

    @app.workflow("retrying")
    def retrying(data: Any) -> list[Task]:
        return [Task("flaky", fail_first, retry=Retry(attempts=3, backoff=0.01, jitter=0.0))]

    @app.workflow("slow")
    def slow(data: Any) -> list[Task]:
        return [Task("slow", wait, timeout=0.05)]

    @app.workflow("threads")
    def threads(data: Any) -> list[Task]:
        return [Task("plain", in_thread)]

    @app.workflow("broken")
    def broken(data: Any) -> list[Task]:
        raise RuntimeError("the generator is broken")

    return app
