"""How the index follows the records: at once with what a list is searched and ordered by, a moment later with
how far instances are.

So a step of a running instance waits for one commit, not for two. While the index is away nothing waits for
it: what it has missed follows when it is back. What was to follow when the process died is found again at the
next start, where revisions are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.records import InstanceChange
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.gathering import Gathering
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, InstanceIndex
from taskpath_services.storage.patience import Patience
from taskpath_services.storage.records.contract import Outcome, Write

Step: TypeAlias = IndexChange | IndexDeletion

LAG: Final = 0.15
"""So many seconds the progress of an instance may wait before it goes into the index."""

MAX_GROUP: Final = 2_000
"""Steps in one commit; the batch that passes it is not cut."""

MOST_BEHIND: Final = 50_000
"""So many steps may wait for an index that is away; then whatever is to follow waits for it, too."""


class Following(Service):
    """Brings changes into the index.

    Args:
        index: the index.
        clock: for the lag.
        patience: with an index that is away.
        changed: called when the index has changed.
    """

    def __init__(
        self, index: InstanceIndex, clock: Clock, patience: Patience, changed: Callable[[], None]
    ) -> None:
        super().__init__("storage index")
        self._index = index
        self._clock = clock
        self._patience = patience
        self._changed = changed
        self._applying: Gathering[Step, None] = Gathering(self._apply, MAX_GROUP)
        self._later: dict[str, IndexChange] = {}
        self._behind = asyncio.Event()
        self._away = asyncio.Event()
        self._under_way: dict[asyncio.Task[list[None]], int] = {}

    async def on_start(self) -> None:
        """Begins to follow."""
        self.spawn(self._trail(), "trail")

    async def on_stop(self) -> None:
        """Brings in what was to follow."""
        with contextlib.suppress(StoreUnavailable):
            await self._catch_up()
        await self._applying.close()

    async def follow(self, steps: Iterable[Step]) -> None:
        """Takes steps, in their order; returns when the index has those that cannot wait, or is away.

        Raises:
            StoreUnavailable: only when the patience has ended.
        """
        now: list[Step] = []
        for step in steps:
            if isinstance(step, IndexChange) and can_wait(step):
                self._later[step.id] = _together(self._later.get(step.id), step)
                continue
            earlier = self._later.pop(step.id, None)
            if earlier is not None and isinstance(step, IndexChange):
                now.append(earlier)
            now.append(step)
        if self._later:
            self._behind.set()
        if now:
            await self._bring(now)

    async def _bring(self, steps: list[Step]) -> None:
        """Returns when the index has these steps, or is away and not too far behind."""
        bringing = asyncio.get_running_loop().create_task(self._applying.do(steps), name="index: bring")
        self._under_way[bringing] = len(steps)
        bringing.add_done_callback(self._brought)
        away = asyncio.ensure_future(self._away.wait())
        try:
            await asyncio.wait((bringing, away), return_when=asyncio.FIRST_COMPLETED)
            if bringing.done() or sum(self._under_way.values()) > MOST_BEHIND:
                await bringing
        except asyncio.CancelledError:
            bringing.cancel()
            raise
        finally:
            away.cancel()

    def _brought(self, bringing: asyncio.Task[list[None]]) -> None:
        del self._under_way[bringing]
        if not bringing.cancelled():
            bringing.exception()  # that the patience has ended is known to whoever has ended it

    async def _trail(self) -> None:
        while True:
            await self._behind.wait()
            await self._clock.sleep(LAG)
            try:
                await self._catch_up()
            except StoreUnavailable:
                return

    async def _catch_up(self) -> None:
        self._behind.clear()
        steps, self._later = self._later, {}
        if steps:
            await self._applying.do(list(steps.values()))

    async def _apply(self, steps: list[Step]) -> list[None]:
        await self._patience.until_done("index", lambda: self._try(steps))
        self._away.clear()
        self._changed()
        return [None] * len(steps)

    async def _try(self, steps: list[Step]) -> None:
        try:
            await self._index.apply(steps)
        except StoreUnavailable:
            self._away.set()
            raise


def can_wait(step: IndexChange) -> bool:
    """Whether a change is of no more than how far an instance is, and when it changed."""
    change = step.change
    return not step.new and all(
        field is UNSET
        for field in (change.realm, change.name, change.status, change.workflow, change.created_at)
    )


def _together(earlier: IndexChange | None, step: IndexChange) -> IndexChange:
    """Two changes that can wait as one."""
    if earlier is None:
        return step
    if step.revision <= earlier.revision:
        return earlier
    old, new = earlier.change, step.change
    return IndexChange(
        step.id,
        step.revision,
        InstanceChange(
            progress=old.progress if new.progress is UNSET else new.progress,
            updated_at=old.updated_at if new.updated_at is UNSET else new.updated_at,
        ),
    )


def index_steps(batch: Sequence[Write], outcomes: Sequence[Outcome]) -> list[Step]:
    """What the index has to follow. A repeat goes along: the records may have had it, and the index not."""
    steps: list[Step] = []
    for write, outcome in zip(batch, outcomes, strict=True):
        if outcome in (Outcome.REFUSED, Outcome.CONFLICT):
            continue
        if isinstance(write, InstanceChanged) and write.instance is not None:
            if write.instance.deleting is True:
                steps.append(IndexDeletion(write.id, write.revision))
            else:
                new = write.base_revision == 0 or write.whole
                steps.append(IndexChange(write.id, write.revision, write.instance, new=new))
        elif isinstance(write, InstanceDeleted):
            steps.append(IndexDeletion(write.id, write.revision))
    return steps
