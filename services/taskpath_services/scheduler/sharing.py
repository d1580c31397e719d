"""Sharing: how many partitions a replica may keep, so that all replicas have their part.

A broker gives every mailbox to whoever came first, so the first replica would have them all. Replicas say
once a second what they own; one that owns more than its part hands the surplus over, and whoever waits at
those mailboxes gets them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from taskpath_proto.events import SchedulerAnnounced

EVERY: Final = 1.0
"""Seconds between two announcements."""

LAPSE_MS: Final = 5_000
"""A replica that is silent for so long is gone."""


class Peers:
    """The other replicas.

    Args:
        me: the id of this one.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._heard: dict[str, int] = {}

    def hear(self, message: SchedulerAnnounced, now: int) -> bool:
        """A replica has said something; whether there is one more now, or one less."""
        if message.replica == self._me:
            return False
        if message.leaving:
            return self._heard.pop(message.replica, None) is not None
        new = message.replica not in self._heard
        self._heard[message.replica] = now
        return new

    def lapse(self, now: int) -> bool:
        """Forgets replicas that are silent; whether any was."""
        silent = [replica for replica, heard in self._heard.items() if heard <= now - LAPSE_MS]
        for replica in silent:
            del self._heard[replica]
        return bool(silent)

    @property
    def count(self) -> int:
        """How many replicas there are, with this one."""
        return len(self._heard) + 1


def surplus(owned: Iterable[int], partitions: int, replicas: int) -> list[int]:
    """The partitions that a replica hands over: what it owns beyond its part, rounded up.

    Args:
        owned: what it owns.
        partitions: how many there are.
        replicas: likewise.
    """
    part = -(-partitions // max(1, replicas))
    return sorted(owned)[part:]
