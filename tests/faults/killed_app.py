"""The app of the server that is killed: every execution of a body is a line on standard output."""

from __future__ import annotations

import os
from typing import Any

from taskpath import App, Task, TaskContext

app = App()


def note(ctx: TaskContext) -> None:
    """One line, in one write, so that a kill never cuts it."""
    os.write(1, f"ran {ctx.instance_id} {ctx.path} {ctx.attempt}\n".encode())


async def numbers(arg: Any, ctx: TaskContext) -> list[int]:
    note(ctx)
    return list(range(arg["items"]))


async def square(arg: int, ctx: TaskContext) -> int:
    note(ctx)
    return arg * arg


async def total(arg: list[int], ctx: TaskContext) -> int:
    note(ctx)
    return sum(arg)


async def step(arg: int, ctx: TaskContext) -> int:
    note(ctx)
    return arg + 1


@app.workflow("squares")
def squares(data: Any) -> list[Task]:
    return [
        Task("list", numbers),
        Task("square", square, foreach=True),
        Task("total", total, context_var="total"),
        *[Task(f"step{number}", step) for number in range(5)],
    ]
