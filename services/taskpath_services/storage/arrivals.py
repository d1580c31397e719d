"""Signals that storage has a revision of an instance."""

from __future__ import annotations

import asyncio


class Arrivals:
    """Wakes those who wait for a revision. Whoever commits it, or hears of it, says so."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}

    def expect(self, id: str, revision: int) -> asyncio.Future[None]:
        """Is done when the instance is at that revision, or deleted; cancel it when it is not needed."""
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(id, []).append((revision, arrived))
        arrived.add_done_callback(lambda _: self._leave(id, arrived))
        return arrived

    def reached(self, id: str, revision: int) -> None:
        """Storage has this revision of the instance."""
        if self._waiting:
            self._wake(id, revision)

    def deleted(self, id: str) -> None:
        """The instance is gone, and will come to no revision."""
        if self._waiting:
            self._wake(id, None)

    def _wake(self, id: str, revision: int | None) -> None:
        for wanted, arrived in list(self._waiting.get(id, ())):
            if (revision is None or wanted <= revision) and not arrived.done():
                arrived.set_result(None)

    def _leave(self, id: str, arrived: asyncio.Future[None]) -> None:
        left = [entry for entry in self._waiting.get(id, ()) if entry[1] is not arrived]
        if left:
            self._waiting[id] = left
        else:
            self._waiting.pop(id, None)
