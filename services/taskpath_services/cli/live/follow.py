"""Shows an instance until it has ended: moving bars in a terminal, plain lines or JSON anywhere else."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from enum import Enum

import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from taskpath.client import Change, Client, TaskLogs, TaskpathError
from taskpath_proto.records import InstanceStatus
from taskpath_services.cli.live.bars import Picture
from taskpath_services.cli.live.lines import Lines
from taskpath_services.cli.live.tree import Tree

REFRESH = 0.1


class Form(Enum):
    """How what happens is shown."""

    BARS = "bars"
    LINES = "lines"
    JSON = "json"


class Viewer:
    """Shows one instance.

    Args:
        client: an open client.
        id: the instance.
        title: what it is called.
        console: where bars and lines go.
        form: how it is shown.
        hint: the last line below the bars while they move.
    """

    def __init__(
        self, client: Client, id: str, title: str, *, console: Console, form: Form, hint: str = ""
    ) -> None:
        self.tree = Tree(id)
        self._client = client
        self._id = id
        self._title = title
        self._console = console
        self._form = form
        self._hint = hint
        self._began = _now()
        self._trouble = ""
        self._start: Callable[[], Awaitable[object]] | None = None

    async def show(
        self,
        paths: Sequence[str] | None = None,
        logs: bool | Sequence[str] = False,
        *,
        began: int | None = None,
        start: Callable[[], Awaitable[object]] | None = None,
    ) -> InstanceStatus | None:
        """Shows it until it has ended.

        Args:
            paths: patterns of the tasks to show; None for all.
            logs: whether to show log lines, or patterns of the tasks whose lines are shown.
            began: when the clock started, ms since epoch; by default now.
            start: called once the watching has begun, so that nothing is missed.

        Returns:
            How it ended; None if it was deleted before that was known.
        """
        self._began = began or _now()
        self._start = start
        if self._form is Form.BARS:
            await self._show_bars(paths, logs)
        else:
            await self._show_lines(paths, logs)
        return self.tree.status

    async def _show_bars(self, paths: Sequence[str] | None, logs: bool | Sequence[str]) -> None:
        live = Live(
            console=self._console, auto_refresh=False, transient=False, vertical_overflow="crop",
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        with live:
            refresher = asyncio.create_task(self._refresh(live), name="taskpath: bars")
            try:
                await self._take(paths, logs, lambda change: self._log_above(live, change))
            finally:
                refresher.cancel()
                await asyncio.wait([refresher])
                live.update(self.picture(moving=False), refresh=True)

    async def _refresh(self, live: Live) -> None:
        while True:
            if self.tree.tasks or self._trouble:
                live.update(self.picture(moving=True), refresh=True)
            await asyncio.sleep(REFRESH)

    def picture(self, *, moving: bool) -> Picture:
        """How it stands now, to be printed."""
        now = _now()
        hint = (self._trouble or self._hint or " ") if moving else ""
        return Picture(self.tree, self._title, now, now - self._began, hint)

    async def _show_lines(self, paths: Sequence[str] | None, logs: bool | Sequence[str]) -> None:
        lines = Lines(self.tree, items=any("[" in path for path in paths or ()))

        def say(change: Change) -> None:
            if self._form is Form.JSON:
                _out(msgspec.json.encode(change).decode())
                return
            for line in lines.of(change, _now()):
                _out(f"{(_now() - self._began) / 1000:7.1f} s  {line}")
            if isinstance(change, TaskLogs):
                for entry in change.lines:
                    _out(f"{(_now() - self._began) / 1000:7.1f} s  {change.task_path} | {entry.text}")

        await self._take(paths, logs, say)

    async def _take(
        self, paths: Sequence[str] | None, logs: bool | Sequence[str], say: Callable[[Change], None]
    ) -> None:
        watch = self._client.watch(self._id, paths, logs=logs, on_connection=self._connection)
        async with aclosing(watch) as changes:
            async for change in changes:
                self.tree.apply(change, _now())
                say(change)
                if self._start is not None:
                    start, self._start = self._start, None
                    await start()

    def _log_above(self, live: Live, change: Change) -> None:
        if isinstance(change, TaskLogs):
            for line in change.lines:
                live.console.print(
                    Text.assemble((f"{change.task_path} ", "dim"), line.text),
                    no_wrap=True,
                    overflow="ellipsis",
                )

    def _connection(self, error: TaskpathError | None) -> None:
        self._trouble = "" if error is None else f"{error} Trying again; the workflow goes on."
        if self._form is not Form.BARS:
            sys.stderr.write(f"taskpath: {self._trouble or 'The gateway is back.'}\n")
            sys.stderr.flush()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _out(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
