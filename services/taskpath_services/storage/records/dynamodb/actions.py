"""The actions of the transaction that commits an instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange
from taskpath_services.storage.records.dynamodb import keys
from taskpath_services.storage.records.dynamodb.items import Update, number
from taskpath_services.storage.records.dynamodb.known import LIVE, Known
from taskpath_services.storage.records.dynamodb.table import Item, bare
from taskpath_services.storage.records.fields import INPUTS, INSTANCE_FIELDS
from taskpath_services.storage.records.ledger import Step


def folded_fields(steps: Sequence[Step]) -> tuple[dict[str, str], list[str]]:
    """What some changes do together to the fields of the instance's record."""
    fields: dict[str, str] = {}
    gone: set[str] = set()
    for step in steps:
        assert isinstance(step.write, InstanceChanged)
        assert step.change is not None
        if step.change.instance is None:
            continue
        pairs, taken = step.change.instance
        if step.write.whole:
            fields = {name: text for name, text in fields.items() if name in INPUTS}
            gone = set(INSTANCE_FIELDS) - set(INPUTS)
        new = dict(zip(pairs[::2], pairs[1::2], strict=True))
        fields.update(new)
        for name in taken:
            fields.pop(name, None)
        gone = (gone | set(taken)) - new.keys()
    return fields, sorted(gone)


def with_flags(after: Known, steps: Sequence[Step]) -> Known:
    """What is known once some changes are made: whether the instance is active."""
    flags = {"running": after.running, "handling": after.handling, "deleting": after.deleting}
    for step in steps:
        assert isinstance(step.write, InstanceChanged)
        change = step.write.instance
        if change is None:
            continue
        if step.write.whole:
            flags = dict.fromkeys(flags, False)
        for flag, value in _flags_of(change).items():
            flags[flag] = value
    return msgspec.structs.replace(after, **flags)


def _flags_of(change: InstanceChange) -> dict[str, bool]:
    flags = {"running": change.runs, "handling": change.handlers, "deleting": change.deleting}
    return {flag: bool(value) for flag, value in flags.items() if value is not msgspec.UNSET}


def instance_action(
    id: str, before: Known, after: Known, steps: Sequence[Step], attributes: Item, gone: Sequence[str]
) -> dict[str, Any]:
    """What a commit does to the item of the instance."""
    head = after.head
    item = attributes | {
        "state": {"S": LIVE},
        "life": number(after.life),
        "commit": number(after.commit),
        "epoch": number(head.epoch),
        "revision": number(head.revision or 0),
        "digest": number(head.digest),
        "partition": number(after.partition),
    }
    if after.items:
        item["items"] = {"BOOL": True}
    if head.gap is not None:
        item["gap"] = number(head.gap)
    for step in steps:
        event = step.write
        assert isinstance(event, InstanceChanged)
        if event.instance is not None:
            item["indexed"] = number(event.revision)
        if event.removed or event.whole:
            item["removed"] = number(event.revision)
    if not before.live:
        return {"Put": {"Item": bare(keys.workflow(id)) | item, **unchanged(before)}}
    update = Update()
    for name, value in item.items():
        update.set(name, value)
    update.remove(gone)
    if head.gap is None:
        update.remove(["gap"])
    life = f"{update.name('life')} = {update.value(number(before.life))}"
    commit = f"{update.name('commit')} = {update.value(number(before.commit))}"
    return {"Update": update.request(keys.workflow(id), f"{life} AND {commit}")}


def unchanged(before: Known) -> dict[str, Any]:
    """The condition that an instance's item is as it is known."""
    if not before.exists:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#life = :life AND #commit = :commit",
        "ExpressionAttributeNames": {"#life": "life", "#commit": "commit"},
        "ExpressionAttributeValues": {":life": number(before.life), ":commit": number(before.commit)},
    }


def listings(id: str, before: Known, after: Known) -> list[dict[str, Any]]:
    """What keeps the lists that an instance is in in line with it."""
    actions: list[dict[str, Any]] = []
    listed = (keys.instances(keys.list_of(id)), id)
    was, wanted = before.live and not before.deleting, after.live and not after.deleting
    if was != wanted:
        actions.append(_put_or_delete(listed, wanted))
    if (before.live and before.active) != (after.live and after.active):
        partition = after.partition if after.live else before.partition
        active = (keys.active(partition, keys.list_of(id)), id)
        actions.append(_put_or_delete(active, after.live and after.active))
    if before.head.deleted and after.live:
        actions.append(_put_or_delete(keys.tombstone(id, before.deleted_at), False))
    return actions


def _put_or_delete(key: tuple[str, str], wanted: bool) -> dict[str, Any]:
    item = bare(key)
    return {"Put": {"Item": item}} if wanted else {"Delete": {"Key": item}}


def fence(partition: int, known: int, epoch: int) -> dict[str, Any]:
    """What lets a transaction through only if the partition's epoch is no later one; raises it if need be."""
    update = Update()
    if known < epoch:
        update.set("epoch", number(epoch))
        name = update.name("epoch")
        condition = f"attribute_not_exists({name}) OR {name} <= {update.value(number(epoch))}"
        return {"Update": update.request(keys.partition(partition), condition)}
    check: dict[str, Any] = {
        "Key": bare(keys.partition(partition)),
        "ConditionExpression": "#epoch = :epoch",
        "ExpressionAttributeNames": {"#epoch": "epoch"},
        "ExpressionAttributeValues": {":epoch": number(epoch)},
    }
    return {"ConditionCheck": check}
