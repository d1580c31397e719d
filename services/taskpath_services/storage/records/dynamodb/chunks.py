"""What is too large for an item, in parts under keys of their own: they are spread over the partitions."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from taskpath_services.storage.records.dynamodb import keys
from taskpath_services.storage.records.dynamodb.journal import Kept
from taskpath_services.storage.records.dynamodb.table import Item, Table

CHUNK: Final = 350_000
"""Bytes in a part; DynamoDB's items have at most 400 KB."""

INLINE: Final = 16 * 1024
"""A text of so many bytes stands where it is referred to."""

AT_ONCE: Final = 32
"""So many parts of one thing are in memory a second time, encoded."""


def tag_of(*parts: str | int | bytes) -> str:
    """The tag of what is known by these parts: whoever keeps the same again keeps it in the same place."""
    digest = sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        digest.update(b"%d:%b" % (len(raw), raw))
    return digest.hexdigest()[:32]


async def keep(table: Table, tag: str, text: str) -> Kept:
    """Keeps a text, in parts if it is large."""
    if len(text) * 4 <= INLINE:
        return Kept(text)
    data = text.encode()
    if len(data) <= INLINE:
        return Kept(text)
    return Kept(None, tag, await put(table, tag, data))


async def put(table: Table, tag: str, data: bytes) -> int:
    """Keeps something; in how many parts."""
    starts = range(0, len(data), CHUNK)
    for first in range(0, len(starts), AT_ONCE):
        items: list[Item] = []
        for number, start in enumerate(starts[first : first + AT_ONCE], first):
            pk, sk = keys.chunk(tag, number)
            items.append({"pk": {"S": pk}, "sk": {"S": sk}, "data": {"B": data[start : start + CHUNK]}})
        await table.write_many(items)
    return len(starts)


async def get(table: Table, tag: str, count: int) -> bytes | None:
    """What was kept; None if it has gone meanwhile."""
    wanted = [keys.chunk(tag, number) for number in range(count)]
    parts: list[bytes] = []
    for first in range(0, count, AT_ONCE):
        some = wanted[first : first + AT_ONCE]
        found = await table.get_many(some)
        if len(found) < len(some):
            return None
        parts.extend(found[key]["data"]["B"] for key in some)
    return b"".join(parts)


async def delete(table: Table, tag: str, count: int) -> None:
    """Removes what was kept."""
    await table.write_many(deletes=[keys.chunk(tag, number) for number in range(count)])
