"""The app of the load. Its bodies tell the journal of each of their calls, and take a moment."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskpath import App, Retry, Task, TaskContext

app = App()


class Account:
    """The connection of this process to the journal."""

    def __init__(self) -> None:
        host, _, port = os.environ["TEST_JOURNAL"].partition(":")
        self.address = (host, int(port))
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def tell(self, **what: Any) -> None:
        """One line, in one piece."""
        line = json.dumps(what).encode() + b"\n"
        with self._lock:
            if self._socket is None:
                self._socket = socket.create_connection(self.address)
            self._socket.sendall(line)

    async def gate(self, name: str) -> None:
        """Waits until the test opens a gate."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(json.dumps({"word": "gate", "gate": name}).encode() + b"\n")
            await reader.readline()
        finally:
            writer.close()


account = Account()
numbers_of_calls = itertools.count()


@contextmanager
def told(ctx: TaskContext) -> Iterator[None]:
    """Tells of a call, and of its end unless the process ends first."""
    call = f"{os.getpid()}.{next(numbers_of_calls)}"
    account.tell(
        word="start",
        call=call,
        instance=ctx.instance_id,
        path=ctx.path,
        attempt=ctx.attempt,
        pid=os.getpid(),
    )
    try:
        yield
    finally:
        account.tell(word="end", call=call)


async def moment(milliseconds: float) -> None:
    """What a body does takes time."""
    await asyncio.sleep(milliseconds / 1000)  # noqa: TID251  (it is the work)


async def numbers(arg: Any, ctx: TaskContext) -> list[int]:
    with told(ctx):
        return list(range(arg["items"]))


async def square(arg: int, ctx: TaskContext) -> int:
    with told(ctx):
        await moment(arg % 7)
        if arg % 10 == 3 and ctx.attempt == 1:
            raise ValueError("not at the first attempt")
        return arg * arg


def given(arg: Any, ctx: TaskContext) -> Any:
    with told(ctx):
        items = arg["items"]
        return list(range(items)) if isinstance(items, int) else items


def total(arg: list[int], ctx: TaskContext) -> int:
    with told(ctx):
        return sum(arg)


async def both(arg: int, ctx: TaskContext) -> int:
    with told(ctx):
        ctx.update_context({"seen": {"$set": arg}})
        return arg + 1


async def left(arg: int, ctx: TaskContext) -> int:
    with told(ctx):
        await moment(5)
        return arg * 2 + int(ctx.context["seen"])


def right(arg: int, ctx: TaskContext) -> int:
    with told(ctx):
        return arg * 3 + int(ctx.context["both"])


async def gather(arg: dict[str, int], ctx: TaskContext) -> int:
    with told(ctx):
        return arg["left"] + arg["right"] + int(ctx.context["total"])


async def step(arg: int, ctx: TaskContext) -> int:
    with told(ctx):
        await moment(2)
        return arg + 1


async def fail(arg: Any, ctx: TaskContext) -> None:
    with told(ctx):
        raise ValueError("it never works")


async def at_gate(arg: Any, ctx: TaskContext) -> Any:
    """Waits at the gate that it is given, or that is named after its instance."""
    with told(ctx):
        await account.gate(arg if isinstance(arg, str) else ctx.instance_id)
        return arg


async def poison(arg: Any, ctx: TaskContext) -> Any:
    """Ends its executor, if it is told to."""
    with told(ctx):
        if arg == "poison":
            os._exit(66)
        await moment(20)
        return arg


@app.workflow("mixed")
def mixed(data: Any) -> list[Task]:
    """A list, a fan-out with retries, a group, a skipped task, a chain."""
    return [
        Task("list", numbers),
        Task("square", square, foreach=True, retry=Retry(attempts=3, backoff=0.02)),
        Task("total", total, context_var="total"),
        Task("both", both, subtasks=[Task("left", left), Task("right", right)], dest="both"),
        Task("never", step, condition=lambda context: False),
        Task("gather", gather),
        *[Task(f"step{number}", step) for number in range(5)],
    ]


@app.workflow("chain")
def chain(data: Any) -> list[Task]:
    """Nothing but steps."""
    return [Task("first", step), *[Task(f"step{number}", step) for number in range(20)]]


@app.workflow("fails")
def fails(data: Any) -> list[Task]:
    """Fails in the middle, after a retry."""
    return [
        Task("before", step),
        Task("bad", fail, retry=Retry(attempts=2, backoff=0.02)),
        Task("after", step),
    ]


@app.workflow("gated")
def gated(data: Any) -> list[Task]:
    """Waits for the test."""
    return [Task("gate", at_gate), Task("after", numbers)]


@app.workflow("gates")
def gates(data: Any) -> list[Task]:
    """Many that wait for the test."""
    return [Task("list", given), Task("gate", at_gate, foreach=True)]


@app.workflow("poisoned")
def poisoned(data: Any) -> list[Task]:
    """Items, of which some end their executor."""
    return [Task("list", given), Task("item", poison, foreach=True)]


@app.on_complete
async def completed(instance_id: str, status: str) -> None:
    account.tell(word="handler", kind=f"complete {status}", instance=instance_id)
