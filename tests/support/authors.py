"""Apps as authors write them, in a line: for tests of what they may and may not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskpath import App, Client, Task
from taskpath.testing import Result, run
from taskpath_proto.errors import ErrorInfo, TaskpathError
from tests.support.system import embedded


def app_of(*tasks: Task | dict[str, Any]) -> App:
    """An app with the workflow ``w``, whose tree is these tasks."""
    app = App()
    app.workflow("w")(lambda: list(tasks))
    return app


async def outcome(*tasks: Task | dict[str, Any], data: Any = None, **more: Any) -> Result:
    """How a workflow of these tasks ends."""
    return await run(app_of(*tasks), "w", data, **more)


async def result_of(function: Callable[..., Any], data: Any = None, **fields: Any) -> Any:
    """What a task of this function returns, and ``run`` hands out."""
    ended = await outcome(Task("t", function, **fields), data=data)
    return ended.results["#.t"]


async def error_of(function: Callable[..., Any], data: Any = None, **fields: Any) -> Any:
    """Why a task of this function fails."""
    ended = await outcome(Task("t", function, **fields), data=data)
    assert ended.status == "failed"
    return ended.errors["#.t"].info


@asynccontextmanager
async def serving(app: App, folder: Path, **settings: Any) -> AsyncIterator[Client]:
    """The whole system with an app of this very process, and a client of it."""
    async with embedded(app, folder, **settings) as system, Client(system.url) as client:
        yield client


class Signal:
    """Tells from a task in any thread that it is there, and keeps it until it is let go."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    def reach(self) -> None:
        """Says, in any thread, that it is there."""
        self._loop.call_soon_threadsafe(self.reached.set)

    async def hold(self) -> None:
        """Says that it is there, and waits for the word to go on."""
        self.reached.set()
        await self.go.wait()

    def hold_thread(self) -> None:
        """The same in a thread."""
        asyncio.run_coroutine_threadsafe(self.hold(), self._loop).result()


def is_clear(error: ErrorInfo | TaskpathError, *words: str) -> None:
    """Asserts that an error is one sentence that says these things."""
    message = error.message if isinstance(error, ErrorInfo) else str(error)
    assert "\n" not in message
    assert 3 <= len(message) <= 600
    for word in words:
        assert word in message, message


def nested(levels: int) -> Any:
    """A list in a list, and so on."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value
