"""The workflows that the contract's tests run.

They serve in whatever process the system under test has for them, so tests and tasks share nothing but files:
a task that is to be seen while it runs *holds*, until the test says go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskpath import App, Retry, Task, TaskContext

app = App()


async def hold(folder: Path, path: str) -> None:
    """Tells that it is there, and waits for the test's word."""
    (folder / f"held {path}").touch()
    while not (folder / "go").exists():  # noqa: ASYNC110  (the word comes from another process)
        await asyncio.sleep(0.005)  # noqa: TID251


def function(spec: dict[str, Any]) -> Callable[..., Any] | None:
    """What a task does, as its description says."""
    does = spec.get("do")

    async def run(arg: Any, ctx: TaskContext) -> Any:
        for line in spec.get("log", ()):
            ctx.log(line)
        for number in range(spec.get("chatter", 0)):
            ctx.log(f"{number} " + "x" * 4_000)
            if number % 50 == 0:
                await asyncio.sleep(0.005)  # noqa: TID251  (what was said is to be taken away)
        for updater in spec.get("update", ()):
            ctx.update_context(updater)
        if "progress" in spec:
            ctx.progress(*spec["progress"])
        match does:
            case "value":
                return spec["value"]
            case "large":
                return "x" * spec["size"]
            case "range":
                return list(range(spec["count"]))
            case "context":
                return dict(ctx.context)
            case "fail":
                raise ValueError(spec.get("says", "out of paper"))
            case "fail-first":
                if ctx.attempt <= spec.get("times", 1):
                    raise ConnectionError("not yet")
                return f"attempt {ctx.attempt}"
            case "hold":
                await hold(Path(spec["folder"]), ctx.path)
        return arg

    return None if does is None else run


def task(spec: dict[str, Any]) -> Task:
    """The task of a description: its function's name is ``do``, everything else is as in `Task`."""
    options: dict[str, Any] = {
        name: spec[name]
        for name in (
            "context_var", "context_vars", "description", "dest", "foreach", "max_parallel", "queue",
            "sequential", "timeout",
        )
        if name in spec
    }  # fmt: skip
    if "retry" in spec:
        options["retry"] = Retry(**spec["retry"])
    if "condition" in spec:
        answer = spec["condition"]
        options["condition"] = lambda context: answer
    if "subtasks" in spec:
        options["subtasks"] = [task(subtask) for subtask in spec["subtasks"]]
    return Task(spec["name"], function(spec), **options)


@app.workflow("tree", description="Whatever the data describes")
def tree(data: Any) -> list[Task]:
    """A list of descriptions."""
    return [task(spec) for spec in data]


@app.workflow("numbers")
def numbers(data: Any) -> list[Task]:
    """Lists numbers, doubles each, and adds them up."""
    return [
        Task("list", lambda data: list(range(data["count"])), context_var="numbers"),
        Task("double", lambda number: 2 * number, foreach="numbers"),
        Task("total", sum),
    ]


@app.workflow("wide")
def wide(data: Any) -> list[Task]:
    """Many tasks that stand in the tree from the beginning."""
    return [
        Task(
            "group",
            subtasks=[
                Task(f"task{number}", lambda: None, description=data.get("description", ""))
                for number in range(data["count"])
            ],
        )
    ]


@app.workflow("endless")
def endless(data: Any) -> list[Task]:
    """More tasks than an instance may have."""
    return [Task("again", lambda: None)] * 1_000_001


@app.workflow("sleepy")
async def sleepy(data: Any) -> list[Task]:
    """A generator that never comes back."""
    await asyncio.Event().wait()
    return []


@dataclass
class Photo:
    """Typed data."""

    title: str
    width: int = 0


@app.workflow("typed", description="Wants a photo")
def typed(data: Photo) -> list[Task]:
    """Its data has a schema."""
    return [Task("show", lambda photo: photo)]


@app.workflow("broken")
def broken(data: Any) -> list[Task]:
    """Its generator fails."""
    raise RuntimeError("the generator is broken")
