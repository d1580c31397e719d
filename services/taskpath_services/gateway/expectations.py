"""How long tasks usually take, as far as storage has learnt it: asked for by workflow, and kept for a moment.

It is worth little waiting: whoever shows an instance waits for it a tenth of a second at the most, and shows
the instance without it otherwise, or with what was known before.
"""

from __future__ import annotations

import asyncio
from typing import Final

from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.errors import TaskpathError
from taskpath_proto.queries import ExpectedTimes, ReadExpected
from taskpath_services.gateway.expected import NOTHING, Expected

FRESH_MS: Final = 2_000
"""So old an answer is as good as a new one."""

AGAIN_MS: Final = 10_000
"""After no answer, or an error, it is not asked for again for so long."""

PATIENCE: Final = 0.1
"""So many seconds an answer is waited for before something is shown without it."""

ASK_SECONDS: Final = 5.0

MOST_WORKFLOWS: Final = 1_000
MOST_PATHS: Final = 50_000
"""So many paths of all workflows are kept, beside those of the workflow that was asked for last."""


class _Known:
    """What is known of a workflow in a realm."""

    __slots__ = ("asking", "expected", "good_until", "slow")

    def __init__(self) -> None:
        self.expected = NOTHING
        self.good_until = 0
        self.asking: asyncio.Task[None] | None = None
        self.slow = False


class Expectations(Service):
    """Asks storage, for each workflow in a realm one question at a time.

    Args:
        caller: for storage.
        clock: tells how old an answer is.
    """

    def __init__(self, caller: Caller, clock: Clock) -> None:
        super().__init__("gateway expectations")
        self._caller = caller
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._paths = 0

    async def of(self, realm: str, workflow: str) -> Expected:
        """How long the tasks of a workflow usually take; whatever goes wrong, something comes at once."""
        key = (realm, workflow)
        known = self._known.pop(key, None) or _Known()
        self._known[key] = known  # the last to be dropped
        if known.good_until <= self._clock.now() and self.ready:
            if known.asking is None:
                known.asking = self.spawn(self._ask(key, known), f"asking for {workflow}")
            if not known.slow:
                await asyncio.wait({known.asking}, timeout=PATIENCE)
                known.slow = known.asking is not None
        return known.expected

    async def _ask(self, key: tuple[str, str], known: _Known) -> None:
        keep_ms = AGAIN_MS
        try:
            query = ReadExpected(*key)
            told = await self._caller.ask(topology.QUERIES, query, ExpectedTimes, ASK_SECONDS)
        except TaskpathError:
            pass  # what was known is better than nothing
        else:
            keep_ms = FRESH_MS
            self._take(known, Expected(told.paths))
        finally:
            known.asking = None
            known.slow = False
            known.good_until = self._clock.now() + keep_ms

    def _take(self, known: _Known, expected: Expected) -> None:
        self._paths += len(expected) - len(known.expected)
        known.expected = expected
        while len(self._known) > MOST_WORKFLOWS or (self._paths > MOST_PATHS and len(self._known) > 1):
            gone = self._known.pop(next(iter(self._known)))
            self._paths -= len(gone.expected)
            gone.expected = NOTHING
