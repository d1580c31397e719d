"""An app whose tasks run in worker processes."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from pathlib import Path
from typing import Any

from taskpath import App, Retry, Task, TaskContext

app = App()


def where(arg: Any) -> list[Any]:
    """Which process runs it, and what it was given."""
    return [os.getpid(), arg]


def speak(arg: Any, ctx: TaskContext) -> Any:
    """Uses all of its ctx."""
    ctx.log("said", {"by": "ctx"})
    logging.getLogger("author").info("said by logging")
    ctx.progress(0.5, "half")
    ctx.update_context({"n": {"$set": ctx.context["n"] + 1}})
    return [ctx.context["n"], ctx.data, ctx.previous_context, ctx.attempt_id, ctx.realm, ctx.cancelled]


async def later(arg: Any) -> Any:
    """A coroutine in a process."""
    await asyncio.to_thread(len, "")
    return ["later", arg]


def fail(arg: Any) -> None:
    """Raises."""
    raise ValueError("out of paper")


def leave(arg: Any) -> None:
    """Raises what would end a process."""
    raise SystemExit(3)


def die(arg: Any) -> Any:
    """Ends its process, if it is told to."""
    if arg == "die":
        os._exit(7)
    return [os.getpid(), arg]


def hang(arg: Any) -> None:
    """Says that it has begun, then does not end."""
    if arg:
        Path(arg).touch()
    while True:
        signal.pause()


@app.workflow("w")
def w(data: Any) -> list[Task]:
    """Everything in processes."""
    return [
        Task("where", where, process=True, foreach=True, subtasks=[Task("sub", where, process=True)]),
        Task("speak", speak, process=True),
        Task("later", later, process=True),
        Task("fail", fail, process=True, retry=Retry(on=ValueError)),
        Task("leave", leave, process=True),
        Task("die", die, process=True, foreach=True, retry=Retry()),
        Task("hang", hang, process=True, foreach=True, timeout=0.5),
        Task("wait", hang, process=True, foreach=True),
        Task("nan", lambda: math.nan, process=True),
        Task("skipped", where, process=True, condition=lambda context: False),
        Task("said", where, process=True, on_complete=lambda result: f"pid {result[0]}"),
    ]
