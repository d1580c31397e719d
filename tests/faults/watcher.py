"""A watcher that believes nothing: it puts together what it is sent, and notes what was out of order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from taskpath.runtime.clock import SystemClock

RANKS: Final = {"inactive": 0, "queued": 1, "running": 2, "ok": 3, "failed": 3, "skipped": 3, "cancelled": 3}
ENDED: Final = ("done", "failed", "cancelled")
PAUSE: Final = 0.1
"""Seconds before a connection is made again."""

SILENCE: Final = 40.0
"""A gateway says something every 15 s."""


class Watcher:
    """Watches one instance until it has ended, over as many connections as that takes.

    Args:
        urls: of the gateways; after a lost connection the next one is asked.
        id: the instance.
        ephemeral: whether it is deleted when it has ended; then it is watched until that.

    Attributes:
        statuses: how the tasks stand, by path, as far as it was told.
        status: how the instance stands.
        revision: what it has.
        deleted: whether it was told that the instance is gone.
        left: what a read says when it is.
        wrong: what was out of order.
        connections: how many it took.
    """

    def __init__(self, urls: Sequence[str], id: str, *, ephemeral: bool = False) -> None:
        self.id = id
        self.left: Any = None
        self.statuses: dict[str, dict[str, Any]] = {}
        self.status: str | None = None
        self.revision: int | None = None
        self.deleted = False
        self.wrong: list[str] = []
        self.connections = 0
        self.resyncs = 0
        self._urls = urls
        self._ephemeral = ephemeral
        self._over = False
        self._afresh = True
        self._groups: set[str] = set()

    async def follow(self) -> None:
        """Returns when the instance has ended or is deleted."""
        async with aiohttp.ClientSession() as session:
            while not self._over or (self.deleted and not self._is_gone):
                url = self._urls[self.connections % len(self._urls)]
                self.connections += 1
                try:
                    if self._over:
                        await self._read(session, url)
                        if not self._is_gone:
                            await SystemClock().sleep(PAUSE)  # its deletion was told and is being stored
                    else:
                        await self._watch(session, url)
                except (aiohttp.ClientError, ConnectionError, TimeoutError):
                    await SystemClock().sleep(PAUSE)

    async def _watch(self, session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url + "/ws", protocols=("taskpath",), max_msg_size=1 << 22) as socket:
            ask: dict[str, Any] = {"type": "watchWorkflowInstance", "requestId": "w", "id": self.id}
            if self.revision is not None:
                ask["since"] = self.revision
            await socket.send_json(ask)
            while not self._over:
                frame = await socket.receive(timeout=SILENCE)
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError("closed")
                self._take(msgspec.json.decode(frame.data))

    @property
    def _is_gone(self) -> bool:
        return self.left is not None and "workflow" not in self.left

    async def _read(self, session: aiohttp.ClientSession, url: str) -> None:
        address = f"{url}/api/v1/instances/{self.id}"
        async with session.get(address, timeout=aiohttp.ClientTimeout(SILENCE)) as answer:
            if answer.status == 503:
                raise ConnectionError("unavailable")
            self.left = await answer.json()

    def _take(self, packet: dict[str, Any]) -> None:
        kind = packet["type"]
        if kind == "appError":
            if packet["error"]["code"] != "UNAVAILABLE":
                self.wrong.append(f"refused: {packet['error']}")
                self._over = True
            raise ConnectionError("unavailable")
        if kind == "resync":
            self.revision = None
            self.resyncs += 1
            self._afresh = True
        elif kind == "instanceDeleted":
            self.deleted = self._over = True
            self.status = packet.get("status") or self.status
        elif kind in ("workflowDescription", "setTasksStatuses", "setWorkflowStatus"):
            self._in_order(kind, packet)
            if kind == "workflowDescription":
                self._groups |= set(_groups(packet["tasks"]))
            elif kind == "setTasksStatuses":
                self._tasks(packet)
            elif kind == "setWorkflowStatus":
                self.status = packet["status"]
            if not packet.get("more"):
                self.revision = packet["revision"]
                self._over = self.status in ENDED and not self._ephemeral

    def _in_order(self, kind: str, packet: dict[str, Any]) -> None:
        base, revision, mine = packet["baseRevision"], packet["revision"], self.revision
        if mine is not None and base > mine:
            self.wrong.append(f"{kind} begins at {base}, and {mine} is what is here")
        if mine is not None and revision < mine:
            self.wrong.append(f"{kind} of revision {revision} comes after {mine}")

    def _tasks(self, packet: dict[str, Any]) -> None:
        if self._afresh:
            self._afresh = False
            self.statuses.clear()
        for path in packet.get("removed", ()):
            self.statuses.pop(path, None)
        for path, state in packet["statuses"].items():
            before = self.statuses.get(path)
            if before is not None and path not in self._groups:
                self._forward(path, before, state)
            self.statuses[path] = state

    def _forward(self, path: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Within an attempt a status goes one way only. A skip takes no attempt number."""
        was, now = (
            (before.get("attempt") or 0, before["status"]),
            (after.get("attempt") or 0, after["status"]),
        )
        back = now[0] < was[0] and now[1] != "skipped"
        if back or (now[0] == was[0] and RANKS[now[1]] < RANKS[was[1]]):
            self.wrong.append(f"{path} went from {was} to {now}")


def _groups(tasks: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The paths of the tasks that have others below them: their statuses may go back."""
    for task in tasks:
        if task["children"] or task.get("foreach"):
            yield task["path"]
        yield from _groups(task["children"])
