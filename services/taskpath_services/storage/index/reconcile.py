"""Brings the index in line with the records, by comparing revisions, while both are in use.

Whoever follows the records may change the index at any moment. So nothing is taken out or put in that has
changed since it was seen, and what the records no longer have when that is done is taken out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec

from taskpath_proto.records import InstanceChange, InstanceRecord
from taskpath_services.storage.index.contract import IndexChange, InstanceIndex
from taskpath_services.storage.records.contract import Indexed, RecordStore

PAGE: Final = 2_000

AT_ONCE: Final = 32
"""So many records are read at once."""


class Walked(msgspec.Struct):
    """How far a reconciliation is.

    Attributes:
        instances: how many it has looked at, of those in the records or the index.
        missing: the index had not.
        different: the index had at another revision.
        extra: the index had, and the records have not.
        ahead: of which the index had a later revision than the records have, or the records have nothing:
            these may have lost something.
    """

    instances: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    ahead: list[str] = []

    @property
    def wrong(self) -> int:
        """How many instances the index had wrong."""
        return self.missing + self.different + self.extra


async def reconcile(
    records: RecordStore,
    index: InstanceIndex,
    told: Callable[[Walked], None] | None = None,
    *,
    everything: bool = False,
) -> Walked:
    """Makes the index what the records say. Both are walked once, side by side, in the order of ids.

    Args:
        records: what is true.
        index: what is made so.
        told: is called now and then with how far it is.
        everything: whether what the index has at the right revision is written anew, too.
    """
    walked = Walked()
    extra: list[Indexed] = []
    outdated: list[Indexed] = []
    wanted: list[Indexed] = []

    async def put_right() -> None:
        await _put_right(records, index, extra, outdated, wanted)
        for rows in (extra, outdated, wanted):
            rows.clear()

    stored = _walk(records.indexed)
    listed = _walk(index.indexed)
    left = await anext(stored, None)
    right = await anext(listed, None)
    while left is not None or right is not None:
        walked.instances += 1
        if right is not None and (left is None or _key(right) < _key(left)):
            walked.extra += 1
            walked.ahead.append(right.id)
            extra.append(right)
            right = await anext(listed, None)
        elif left is not None and (right is None or _key(left) < _key(right)):
            walked.missing += 1
            wanted.append(left)
            left = await anext(stored, None)
        elif left is not None and right is not None:
            if left.revision < right.revision:
                walked.ahead.append(left.id)
            if left.revision != right.revision:
                walked.different += 1
            if left.revision != right.revision or everything:
                outdated.append(right)
                wanted.append(left)
            left, right = await anext(stored, None), await anext(listed, None)
        if len(extra) + len(wanted) >= PAGE:
            await put_right()
        if told is not None and walked.instances % PAGE == 0:
            told(walked)
    await put_right()
    return walked


def _key(row: Indexed) -> bytes:
    """Ids are ordered by their bytes."""
    return row.id.encode("utf-8", "replace")


async def _put_right(
    records: RecordStore,
    index: InstanceIndex,
    extra: Sequence[Indexed],
    outdated: Sequence[Indexed],
    wanted: Sequence[Indexed],
) -> None:
    if not extra and not wanted:
        return
    # What the index has and the records had not may have been created in between.
    came = {record.id for record in await _records(records, extra)}
    gone = [row for row in extra if row.id not in came]
    revisions = {row.id: row.revision for row in wanted}
    changes = [
        IndexChange(id=record.id, revision=revisions[record.id], change=_change(record), new=True)
        for record in await _records(records, wanted)
    ]
    await index.replace([*gone, *outdated], changes)
    # What was deleted in between may have come back by this.
    if changes:
        still = await _still_there(records, min(revisions, key=str.encode), max(revisions, key=str.encode))
        back = [Indexed(change.id, change.revision) for change in changes if change.id not in still]
        if back:
            await index.replace(back, [])


async def _records(records: RecordStore, rows: Sequence[Indexed]) -> list[InstanceRecord]:
    """The records of instances, of those that are there."""
    found: list[InstanceRecord] = []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        for record in await asyncio.gather(*(records.instance(row.id) for row in some)):
            if record is not None:
                found.append(record)
    return found


async def _still_there(records: RecordStore, first: str, last: str) -> set[str]:
    """The ids in the records, from one to another."""
    there: set[str] = {first} if await records.instance(first) is not None else set()
    after = first
    while True:
        page = await records.indexed(after, PAGE)
        there.update(row.id for row in page)
        if len(page) < PAGE or page[-1].id.encode() >= last.encode():
            return there
        after = page[-1].id


async def _walk(pages: Callable[[str, int], Awaitable[list[Indexed]]]) -> AsyncIterator[Indexed]:
    after = ""
    while True:
        page = await pages(after, PAGE)
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        after = page[-1].id


def _change(record: InstanceRecord) -> InstanceChange:
    return InstanceChange(
        realm=record.realm,
        workflow=record.workflow,
        name=record.name,
        status=record.status,
        progress=record.progress,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
