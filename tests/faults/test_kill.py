"""``kill -9`` at random points: what was acknowledged is there afterwards, and ends rightly."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskpath.client import Client
from taskpath_proto.errors import TaskpathError

ROOT = Path(__file__).parents[2]
APP = Path(__file__).with_name("killed_app.py")
KILLS = 25
ITEMS = 40
EXPECTED = sum(n * n for n in range(ITEMS)) + 5


class Server:
    """A server process, and the executions it has told of."""

    def __init__(self, process: Process, url: str, ran: list[tuple[str, str, int]]) -> None:
        self.process = process
        self.url = url
        self.ran = ran
        self.lines = 0
        self._wanted = 0
        self._enough = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            word, *rest = line.decode().split()
            if word == "ran":
                self.ran.append((rest[0], rest[1], int(rest[2])))
                self.lines += 1
                if self.lines >= self._wanted:
                    self._enough.set()
        self._enough.set()

    async def has_run(self, count: int) -> None:
        """Returns when that many bodies have run since the start, or the process has ended."""
        self._wanted = count
        if self.lines < count:
            self._enough.clear()
            await self._enough.wait()

    async def kill(self) -> None:
        """Ends the process at once, and reads what it has still said."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def running(
    folder: Path, ran: list[tuple[str, str, int]], *, slow: bool = False
) -> AsyncIterator[Server]:
    """A server that is killed at the end, however that comes; its commits are slow if that is asked for."""
    server = await start(folder, ran, *(["0.03"] if slow else []))
    try:
        yield server
    finally:
        await server.kill()


async def start(folder: Path, ran: list[tuple[str, str, int]], *more: str) -> Server:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.serve", str(APP), str(folder), *more, stdout=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    while line := await process.stdout.readline():
        word, *rest = line.decode().split()
        if word == "at":
            return Server(process, rest[0], ran)
        if word == "ran":
            ran.append((rest[0], rest[1], int(rest[2])))
    raise AssertionError(f"the server did not start: exit code {await process.wait()}")


@pytest.mark.timeout(180)
async def test_what_was_acknowledged_survives(tmp_path: Path) -> None:
    seed = 20261124
    dice = random.Random(seed)
    ran: list[tuple[str, str, int]] = []
    accepted: set[str] = set()
    seen_done: set[tuple[str, str]] = set()
    for kill in range(KILLS):
        before, done_before = len(ran), set(seen_done)
        # Every other kill comes with an acknowledgement, while a commit that was not waited for would go on.
        at_once = kill % 2 == 1
        async with (
            running(tmp_path, ran, slow=at_once) as server,
            Client(server.url, patience=0.1) as client,
        ):
            acknowledged = asyncio.Event()
            work = asyncio.ensure_future(_create(client, accepted, f"{kill}", acknowledged))
            if at_once:
                await acknowledged.wait()
            else:
                await server.has_run(dice.randrange(1, 120))
                await _observe(client, accepted, seen_done, dice)
            await server.kill()
            await asyncio.gather(work, return_exceptions=True)
        again = [one for one in ran[before:] if one[:2] in done_before]
        assert not again, f"these were done, and ran again: {again} (seed {seed})"
    async with running(tmp_path, ran) as server, Client(server.url) as client:
        for id in accepted:
            try:
                done = await client.wait(id, timeout=30)
            except TimeoutError:
                pytest.fail(f"{id} was acknowledged, and does not end (seed {seed})")
            assert done.status == "done", f"{id} is {done.status} (seed {seed})"
            assert await client.result(id, "#.step4") == EXPECTED
            attempts = {task: one.attempt for task, one in done.statuses.items() if one.attempt}
            assert set(attempts.values()) == {1}
    counts = Counter((instance, path) for instance, path, _ in ran)
    for id in accepted:
        assert counts[id, "#.total"] >= 1
        assert all(counts[id, f"#.square[{n}]"] >= 1 for n in range(ITEMS))
    assert len(accepted) > KILLS


async def _create(client: Client, accepted: set[str], key: str, acknowledged: asyncio.Event) -> None:
    """Creates and executes instances until the server is gone; executes that were acknowledged are noted.

    The two are calls of their own: a create reads back what it made, and so waits for storage in any case.
    """
    for number in range(4):
        try:
            created = await client.create("squares", {"items": ITEMS}, idempotency_key=f"{key}-{number}")
            await client.execute(created.id)
        except TaskpathError:
            return
        accepted.add(created.id)
        acknowledged.set()


async def _observe(
    client: Client, accepted: set[str], seen_done: set[tuple[str, str]], dice: random.Random
) -> None:
    """Notes tasks that the gateway shows as done."""
    for id in dice.sample(sorted(accepted), min(2, len(accepted))):
        try:
            instance = await client.get(id)
        except TaskpathError:
            return
        for path, status in instance.statuses.items():
            if status.status == "ok" and status.attempt:
                seen_done.add((id, path))
