"""How what is too large for one message of the broker travels to a queue that has one reader. Pure.

Answers may be large: a value of 32 MiB, an instance with 100,000 tasks. Their parcel is cut into fragments
that follow each other, and put together by the reader. Mailboxes have no fragments: of several consumers each
would get some.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

MOST_BYTES: Final = 768 * 1024
"""A parcel of more bytes goes in fragments of so many."""

MOST_PENDING: Final = 256 * 1024 * 1024
"""So many bytes of fragments may wait for the rest of their parcels; what began first is given up then."""

PART: Final = "part"
PARTS: Final = "parts"
"""The headers of a fragment: its number, from 0, and how many there are."""


def split(body: bytes) -> Iterator[memoryview]:
    """The fragments of a parcel."""
    view = memoryview(body)
    for start in range(0, len(body), MOST_BYTES):
        yield view[start : start + MOST_BYTES]


def count(body: bytes) -> int:
    """How many fragments a parcel has; 1 if it goes as it is."""
    return max(1, -(-len(body) // MOST_BYTES))


class Assembling:
    """Puts parcels together."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str, list[bytes]] = OrderedDict()
        self._size = 0

    def add(self, parcel: str, part: int, parts: int, body: bytes) -> bytes | None:
        """Takes a fragment.

        Args:
            parcel: what all fragments of the parcel have in common, and no others.
            part: its number, from 0.
            parts: how many there are.
            body: the fragment.

        Returns:
            The parcel, if this was its last fragment.
        """
        so_far = self._pending.setdefault(parcel, [])
        if part != len(so_far):
            self._forget(parcel)  # its beginning was lost: its sender, or its reader, came too late
            return None
        so_far.append(body)
        self._size += len(body)
        if part == parts - 1:
            self._forget(parcel)
            return b"".join(so_far)
        while self._size > MOST_PENDING:
            self._forget(next(iter(self._pending)))
        return None

    def _forget(self, parcel: str) -> None:
        self._size -= sum(map(len, self._pending.pop(parcel)))
