"""The load: instances of all kinds that are made, executed and watched until the test has seen enough.

As one ends the next begins, so that something is under way whenever a fault strikes. Callers go to all
gateways in turn, and are patient. What they were told is accepted is judged (judge.py).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec

from taskpath.client import Client, Instance
from tests.faults.journal import Journal
from tests.faults.watcher import Watcher

T = TypeVar("T")

CALLERS: Final = 5
"""So many instances are under way at once, besides the large one."""

LARGE: Final = 300
SMALL: Final = 20
PATIENCE: Final = 60.0
"""Seconds that a caller goes on while a gateway cannot be reached or says 503."""

END: Final = 75.0
"""Seconds after which an instance that has not ended never will."""


class Accepted(msgspec.Struct):
    """An instance of which a caller was told that it is accepted.

    Attributes:
        id: its id.
        workflow: which one.
        items: how many items it has.
        ephemeral: whether it is deleted when it has ended.
        cancelled: whether its cancellation was accepted.
        watcher: who watched it to its end.
        seen: what a client read that had waited for the end; None for an ephemeral one.
        results: of some tasks, by path.
    """

    id: str
    workflow: str
    items: int
    ephemeral: bool
    watcher: Watcher
    cancelled: bool = False
    seen: Instance | None = None
    results: dict[str, Any] = {}


TOLD: Final = {"mixed": ("#.total", "#.both.left", "#.step4"), "chain": ("#.step19",)}
"""The tasks whose results are read, by workflow."""


class Load:
    """Makes instances until it is told to stop.

    Args:
        clients: one for each gateway.
        journal: what their bodies tell.

    Attributes:
        accepted: what was accepted.
        client: the last of them.
    """

    def __init__(self, clients: Sequence[Client], journal: Journal) -> None:
        self.accepted: list[Accepted] = []
        self.client = clients[-1]
        self.journal = journal
        self._clients = itertools.cycle(clients)
        self._urls = [client.url for client in clients]
        self._kinds = itertools.cycle(("mixed", "chain", "fails", "mixed", "ephemeral", "cancelled"))
        self._enough = False
        self._news = asyncio.Condition()
        self._callers: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Begins; the large one first."""
        self._callers.append(asyncio.create_task(self._carry_out("mixed", LARGE), name="large"))
        self._callers.extend(
            asyncio.create_task(self._call(), name=f"caller {number}") for number in range(CALLERS)
        )

    async def more(self, bodies: int) -> None:
        """Returns when so many more bodies have begun."""
        await self._while_calling(asyncio.to_thread(self.journal.until_more, bodies))

    async def ended(self, workflow: str) -> Accepted:
        """An instance of a workflow that has ended, once there is one."""
        return await self._while_calling(self._wait_ended(workflow))

    async def _wait_ended(self, workflow: str) -> Accepted:
        def found() -> Accepted | None:
            return next((one for one in self.accepted if one.workflow == workflow and one.seen), None)

        async with self._news:
            one = await self._news.wait_for(found)
        assert one is not None
        return one

    async def end(self) -> None:
        """Makes no more; returns when all that was accepted has ended and been read."""
        self._enough = True
        await asyncio.gather(*self._callers)

    async def stop(self) -> None:
        """Gives up what is still under way."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.wait(self._callers)

    async def _while_calling(self, awaited: Coroutine[Any, Any, T]) -> T:
        """Waits, but not longer than all callers are well."""
        waiting = asyncio.ensure_future(awaited)
        calling: asyncio.Future[Any] = asyncio.gather(*self._callers)
        await asyncio.wait([waiting, calling], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            calling.result()
        return await waiting

    async def _call(self) -> None:
        while not self._enough:
            await self._carry_out(next(self._kinds), SMALL)

    async def _carry_out(self, kind: str, items: int) -> None:
        """Has an instance made and executed, and watches it to its end."""
        workflow = {"ephemeral": "mixed", "cancelled": "gated"}.get(kind, kind)
        caller, other = next(self._clients), next(self._clients)
        data: Any = {"items": items} if workflow in ("mixed", "gated") else items
        at_once = kind in ("ephemeral", "chain")
        made = await caller.create(workflow, data, ephemeral=kind == "ephemeral", execute=at_once)
        ephemeral = kind == "ephemeral"
        watcher = Watcher(self._urls, made.id, ephemeral=ephemeral)
        one = Accepted(made.id, workflow, items, ephemeral, watcher)
        if not at_once:
            await other.execute(made.id)
        self.accepted.append(one)
        watching = asyncio.create_task(one.watcher.follow(), name=f"watcher of {made.id}")
        try:
            async with asyncio.timeout(END):
                if kind == "cancelled":
                    await asyncio.to_thread(
                        self.journal.until, lambda calls: any(call.instance == made.id for call in calls)
                    )
                    await caller.cancel(made.id)
                    one.cancelled = True
                await watching
        except TimeoutError:
            seen = await other.get(made.id)
            open_tasks = {path: s.status for path, s in seen.statuses.items() if s.status != "ok"}
            raise AssertionError(
                f"{made.id} ({kind}) was accepted and has not ended: {seen.status}, {open_tasks}; its "
                f"watcher has {one.watcher.status} at {one.watcher.revision} of {seen.revision}"
            ) from None
        finally:
            watching.cancel()
        if one.ephemeral:
            return
        seen = await other.wait(made.id, timeout=END)
        if seen.status == "done":
            one.results = {path: await other.result(made.id, path) for path in TOLD[workflow]}
        async with self._news:
            one.seen = seen
            self._news.notify_all()


@asynccontextmanager
async def load_on(urls: Sequence[str], journal: Journal) -> AsyncIterator[Load]:
    """A load that has begun, on gateways."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(url, patience=PATIENCE)) for url in urls]
        load = Load(clients, journal)
        load.begin()
        try:
            yield load
        finally:
            await load.stop()
