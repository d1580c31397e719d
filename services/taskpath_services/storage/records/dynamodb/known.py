"""What is known of an instance from its item."""

from __future__ import annotations

from typing import Final

import msgspec

from taskpath_proto.records import InstanceRecord
from taskpath_services.storage.records.dynamodb import chunks, keys
from taskpath_services.storage.records.dynamodb.items import fields_of, int_of, text_of
from taskpath_services.storage.records.dynamodb.journal import Journal, decode
from taskpath_services.storage.records.dynamodb.table import Item, Table
from taskpath_services.storage.records.fields import instance_record
from taskpath_services.storage.records.judgement import Head

LIVE: Final = "live"
DEAD: Final = "dead"


class Known(msgspec.Struct, frozen=True):
    """What a commit has to know of an instance.

    Attributes:
        head: what it is judged by.
        exists: whether it has an item.
        life: which use of its id this is.
        commit: how many commits it has had in all its lives.
        applied: whether the last one has been applied to the tasks for sure.
        running: whether it has executes that are not over.
        handling: whether it has handlers that are not over.
        deleting: whether it is being deleted.
        items: whether it has items of a foreach.
        partition: of the instance.
        deleted_at: when it was deleted, ms since epoch.
        parted: its fields that are kept in parts: tag and count.
    """

    head: Head = Head()
    exists: bool = False
    life: int = 1
    commit: int = 0
    applied: bool = True
    running: bool = False
    handling: bool = False
    deleting: bool = False
    items: bool = False
    partition: int = 0
    deleted_at: int = 0
    parted: dict[str, tuple[str, int]] = {}

    @property
    def live(self) -> bool:
        """Whether there is an instance."""
        return self.exists and not self.head.deleted

    @property
    def active(self) -> bool:
        """Whether its owner has something to do for it."""
        return self.running or self.handling or self.deleting

    @property
    def next_life(self) -> int:
        """The life that is written to: a deleted instance that is created again begins another."""
        return self.life + 1 if self.head.deleted else self.life


def known_of(item: Item | None, texts: bool) -> Known:
    """What is known from an instance's item.

    Args:
        item: None if it has none.
        texts: whether there are values beside its records.
    """
    if item is None:
        return Known(head=Head(texts=texts))
    dead = item["state"]["S"] == DEAD
    gap = item.get("gap")
    head = Head(
        revision=int_of(item, "revision"),
        epoch=int_of(item, "epoch"),
        digest=int_of(item, "digest"),
        deleted=dead,
        gap=None if gap is None else int(gap["N"]),
        texts=texts,
    )
    commit = int_of(item, "commit")
    return Known(
        head=head,
        exists=True,
        life=int_of(item, "life", 1),
        commit=commit,
        applied=dead or int_of(item, "applied") == commit,
        running=_is_some(item, "runs"),
        handling=_is_some(item, "handlers"),
        deleting=_text(item, "deleting") == b"true",
        items="items" in item,
        partition=int_of(item, "partition"),
        deleted_at=int_of(item, "deletedAt"),
        parted={name: parts for name, value in item.items() if (parts := _parts(value)) is not None},
    )


def life_of(id: str, item: Item) -> str:
    """The name of the life that an item is of."""
    return keys.life_of(id, int_of(item, "life", 1))


async def record_of(table: Table, id: str, item: Item) -> InstanceRecord | None:
    """The record in an instance's item; None if a part of it has gone meanwhile."""
    fields = {name: text for name, text in fields_of(item) if text is not None}
    for name, value in item.items():
        if (parts := _parts(value)) is not None:
            data = await chunks.get(table, *parts)
            if data is None:
                return None
            fields[name.encode()] = data
    return instance_record(id, fields)


async def journal_of(table: Table, item: Item | None, commit: int) -> Journal | None:
    """The journal in an item; None if it is not that commit's, or a part of it has gone."""
    if item is None or int_of(item, "commit") != commit:
        return None
    if "data" in item:
        return decode(item["data"]["B"])
    data = await chunks.get(table, item["tag"]["S"], int_of(item, "chunks"))
    return None if data is None else decode(data)


def _parts(value: dict[str, object]) -> tuple[str, int] | None:
    parts = value.get("L")
    return (parts[0]["S"], int(parts[1]["N"])) if isinstance(parts, list) else None


def _text(item: Item, name: str) -> bytes | None:
    return text_of(item[name]) if name in item else None


def _is_some(item: Item, name: str) -> bool:
    return name in item and ("L" in item[name] or _text(item, name) != b"[]")
