"""Brings the index in line with the records, by comparing revisions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from taskpath_proto.records import InstanceChange, InstanceRecord
from taskpath_services.storage.index.contract import IndexChange, InstanceIndex
from taskpath_services.storage.records.contract import Indexed, RecordStore

PAGE: Final = 5_000


async def reconcile(records: RecordStore, index: InstanceIndex) -> int:
    """Makes the index what the records say. Both are walked once, side by side, in the order of ids.

    Returns:
        How many instances it had wrong.
    """
    wrong = 0
    gone: list[str] = []
    changes: list[IndexChange] = []
    stored = _walk(records.indexed)
    listed = _walk(index.indexed)
    left = await anext(stored, None)
    right = await anext(listed, None)
    while left is not None or right is not None:
        if right is not None and (left is None or right.id < left.id):
            gone.append(right.id)
            right = await anext(listed, None)
        elif left is not None and (right is None or left.id < right.id):
            changes.extend(await _whole(records, left))
            left = await anext(stored, None)
        elif left is not None and right is not None:
            if left.revision != right.revision:
                gone.append(right.id)
                changes.extend(await _whole(records, left))
            left, right = await anext(stored, None), await anext(listed, None)
        if len(gone) + len(changes) >= PAGE:
            wrong += len({*gone, *(change.id for change in changes)})
            await index.replace(gone, changes)
            gone, changes = [], []
    if gone or changes:
        wrong += len({*gone, *(change.id for change in changes)})
        await index.replace(gone, changes)
    return wrong


async def _walk(pages: Callable[[str, int], Awaitable[list[Indexed]]]) -> AsyncIterator[Indexed]:
    after = ""
    while True:
        page = await pages(after, PAGE)
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        after = page[-1].id


async def _whole(records: RecordStore, row: Indexed) -> list[IndexChange]:
    """All that the index has of an instance."""
    record = await records.instance(row.id)
    if record is None:
        return []
    return [IndexChange(id=row.id, revision=row.revision, change=_change(record), new=True)]


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
