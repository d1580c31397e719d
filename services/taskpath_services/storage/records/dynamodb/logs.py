"""The logs of tasks: a few lines an item, and how far the log is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from taskpath_proto.events import LogLine
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.dynamodb import keys
from taskpath_services.storage.records.dynamodb.items import attribute, int_of, number, text_of
from taskpath_services.storage.records.dynamodb.portions import portions
from taskpath_services.storage.records.dynamodb.table import Item, Table, bare
from taskpath_services.storage.records.loglines import MAX_LINE_BYTES, MAX_LINES, LogHead, append, trimmed

HEAD: Final = "head"
"""The sort key of how far a log is. It comes after all positions."""

BYTES: Final = 200_000
"""Lines of so many bytes go into one item; DynamoDB's items have at most 400 KB."""

LINES: Final = 1_000
TOGETHER: Final = 400_000
"""So many lines, of so many bytes, are added at once."""

PAGE: Final = 4
"""Items that are read at once."""

TRIES: Final = 20

_Lines = list[tuple[int, LogLine]]
_encode: Final = msgspec.json.Encoder().encode
_head_decoder: Final = msgspec.json.Decoder(LogHead)
_lines_decoder: Final = msgspec.json.Decoder(list[tuple[int, LogLine]])


async def write(table: Table, life: str, path: str, commit: int, lines: Sequence[LogLine]) -> None:
    """Adds lines to a log; those that it has already are left out."""
    for part in portions(lines, LINES, TOGETHER, _size_of):
        await _write_some(table, life, path, commit, part)


async def read(
    table: Table, life: str, path: str, after: int, limit: int, most: int
) -> tuple[list[LogLine], int]:
    """Lines after a position, of about so many bytes at most, and the position of the last of them."""
    last = _head(await table.get((keys.log(life, path), HEAD))).last
    position, size = min(max(after, 0), last), 0
    found: list[LogLine] = []
    start = max(position, last - MAX_LINES)
    while start < last:
        page = await table.query(keys.log(life, path), low=_place(start + 1), high=HEAD, limit=PAGE)
        for place, line in [entry for item in page for entry in _lines(item) if entry[0] > start]:
            size += _size_of(line)
            if len(found) >= limit or (found and size > most):
                return found, position
            found.append(line)
            position = start = place
        if not page:
            break
    return found, position


async def _write_some(table: Table, life: str, path: str, commit: int, lines: Sequence[LogLine]) -> None:
    pk = keys.log(life, path)
    for _ in range(TRIES):
        item = await table.get((pk, HEAD))
        if item is None:
            await table.write_many([bare(keys.has_log(life, path))])
        before = _head(item)
        head, added = append(before, lines)
        if not added:
            return
        cut = trimmed(head)
        puts: list[dict[str, Any]] = [
            {"Put": {"Item": _lines_item(pk, part)}}
            for part in portions(added, LINES, BYTES, lambda entry: _size_of(entry[1]))
        ]
        at = commit if item is None else int_of(item, "at")
        if not await table.transact(
            [*puts, {"Put": _head_put(pk, cut, at, None if item is None else before)}]
        ):
            if cut is not head:
                old = await table.query(pk, low=_place(0), high=_place(cut.first), attributes=("first",))
                await table.write_many(deletes=[(pk, one["sk"]["S"]) for one in old])
            return
    raise StoreUnavailable("A log is written to by others all the time.")


def _head(item: Item | None) -> LogHead:
    return LogHead() if item is None else _head_decoder.decode(text_of(item["state"]) or b"")


def _head_put(pk: str, head: LogHead, at: int, before: LogHead | None) -> dict[str, Any]:
    put: dict[str, Any] = {
        "Item": {
            "pk": {"S": pk},
            "sk": {"S": HEAD},
            "last": number(head.last),
            "state": attribute(_encode(head).decode()),
            "at": number(at),
        },
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    if before is not None:
        put["ConditionExpression"] = "#last = :last"
        put["ExpressionAttributeNames"] = {"#last": "last"}
        put["ExpressionAttributeValues"] = {":last": number(before.last)}
    return put


def _size_of(line: LogLine) -> int:
    return min(len(line.text.encode("utf-8", "replace")), MAX_LINE_BYTES) + 100


def _lines_item(pk: str, lines: _Lines) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": _place(lines[-1][0])}, "lines": attribute(_encode(lines).decode())}


def _lines(item: Item) -> _Lines:
    return _lines_decoder.decode(text_of(item["lines"]) or b"[]")


def _place(position: int) -> str:
    return f"{position:012d}"
