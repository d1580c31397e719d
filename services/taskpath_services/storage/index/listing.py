"""What a page of instances asks for, and how it ends: the same for every index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import InstancesPage, InstanceSummary, ListInstances
from taskpath_services.storage.index import cursor as cursors

MAX_PAGE: Final = 200


def start_of(query: ListInstances) -> cursors.Cursor | None:
    """The instance after which the page begins; None for the first page.

    Raises:
        TaskpathError: INVALID_REQUEST, the limit or the cursor is wrong.
    """
    if not 1 <= query.limit <= MAX_PAGE:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"limit is {query.limit}; a number from 1 to {MAX_PAGE} is expected.",
        )
    return None if query.cursor is None else cursors.decode(query.cursor)


def page_of(items: Sequence[InstanceSummary], limit: int) -> InstancesPage:
    """The page of items of which one more than the limit was asked for."""
    shown = list(items[:limit])
    if len(items) <= limit:
        return InstancesPage(items=shown)
    end = cursors.Cursor(shown[-1].created_at, shown[-1].id)
    return InstancesPage(items=shown, next_cursor=cursors.encode(end))


def after_prefix(prefix: str) -> str | None:
    """The first text after all that begin with a prefix, by code points; None if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return None
