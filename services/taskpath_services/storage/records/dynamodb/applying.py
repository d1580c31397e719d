"""Applying a journal to the items of tasks, values and logs.

Every write is on the condition that no later commit has been there, so a journal may be applied twice, by two
processes, and long after it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskpath_services.storage.records.contract import OWN
from taskpath_services.storage.records.dynamodb import chunks, keys
from taskpath_services.storage.records.dynamodb.items import Update, attribute, int_of, number, older_than
from taskpath_services.storage.records.dynamodb.journal import (
    Journal,
    Kept,
    Region,
    TaskEffect,
    ValueEffect,
)
from taskpath_services.storage.records.dynamodb.portions import portions
from taskpath_services.storage.records.dynamodb.table import TRANSACT, Item, Key, Table, gathered
from taskpath_services.storage.selection import Span

AT_ONCE: Final = 16
"""So many paths are worked on at once."""

TRANSACTIONS: Final = 4
"""So many transactions of a hundred writes are under way at once."""


async def apply(table: Table, life: str, commit: int, journal: Journal, items: bool) -> None:
    """Applies a journal.

    Args:
        table: where.
        life: of the instance.
        commit: the journal's number.
        journal: what is to be done.
        items: whether the instance has items of a foreach.
    """
    region = Region(journal.spans)
    gone = set[str]()
    if region:
        stored = await paths_in(table, life, items, region.hull)
        gone = {path for path in stored if path in region} - journal.tasks.keys()
        listed = [keys.paths(life, shard) for shard in keys.shards(items)]
        marked: list[str] = []
        for mark in (keys.VALUES, keys.LOG):
            marked += await _listed_in(table, listed, mark, region.hull)
        emptied = {path for path in marked if path in region}
        await in_parts(sorted(emptied), lambda path: empty(table, life, path, commit))
    actions = [_removal(keys.task(life, path), commit) for path in gone]
    actions += [_written(keys.task(life, path), commit, task) for path, task in journal.tasks.items()]
    await conditionally(table, actions)
    await in_parts(
        list(journal.values), lambda path: _refresh(table, life, path, commit, journal.values[path])
    )


async def paths_in(table: Table, life: str, items: bool, span: Span) -> list[str]:
    """The paths in a span that have records."""
    return await _listed_in(table, [keys.tasks(life, shard) for shard in keys.shards(items)], "", span)


async def _listed_in(table: Table, listed: Sequence[str], mark: str, span: Span) -> list[str]:
    """The paths in a span that are listed under some partition keys, with a mark before them."""
    low, high = span
    pages = await gathered(
        [table.query(pk, low=mark + low, high=mark + high, attributes=("at",)) for pk in listed]
    )
    return [item["sk"]["S"].removeprefix(mark) for page in pages for item in page]


async def empty(table: Table, life: str, path: str, commit: int) -> None:
    """Removes the values and the log of a path, but for what came with a later commit."""
    values = await table.query(keys.values(life, path), attributes=("at", "tag", "chunks"))
    head = await table.get((keys.log(life, path), "head"))
    await _drop(table, [item for item in values if int_of(item, "at") < commit], commit)
    if head is not None and int_of(head, "at") < commit:
        lines = await table.query(keys.log(life, path), attributes=("first",))
        await table.write_many(
            deletes=[(line["pk"]["S"], line["sk"]["S"]) for line in lines if line["sk"]["S"] != "head"]
        )
        await table.update({"Delete": _removal((keys.log(life, path), "head"), commit)["Delete"]})


async def in_parts(paths: Sequence[str], work: Any) -> None:
    """Does some work for each path, for a few at once."""
    for start in range(0, len(paths), AT_ONCE):
        await gathered([work(path) for path in paths[start : start + AT_ONCE]])


async def conditionally(table: Table, actions: Sequence[Mapping[str, Any]]) -> None:
    """Makes those of some actions, each of another item, whose conditions hold."""
    parts = list(portions(actions, TRANSACT))
    for start in range(0, len(parts), TRANSACTIONS):
        await gathered([_some(table, part) for part in parts[start : start + TRANSACTIONS]])


async def _some(table: Table, actions: list[Mapping[str, Any]]) -> None:
    while len(actions) > 1:
        failed = await table.transact(actions)
        if not failed:
            return
        actions = [action for place, action in enumerate(actions) if place not in failed]
    for action in actions:
        await table.update(action)


async def _refresh(
    table: Table, life: str, path: str, commit: int, effects: Mapping[str, ValueEffect]
) -> None:
    """Removes what has something newer, and puts what is new."""
    stored = await table.query(keys.values(life, path), attributes=("at", "tag", "chunks"))
    doomed = []
    for item in stored:
        name, _, version = item["sk"]["S"].rpartition(":")
        effect = effects.get(name)
        if effect is None or int_of(item, "at") > commit:
            continue
        if int(version) == OWN:
            replaced = effect.kept is not None and item.get("tag", {}).get("S") != effect.kept.tag
            if replaced and "tag" in item and int_of(item, "at") < commit:
                await chunks.delete(table, item["tag"]["S"], int_of(item, "chunks"))
            if effect.own or effect.least <= OWN:
                continue
        if int(version) < effect.least:
            doomed.append(item)
    await _drop(table, doomed, commit + 1)
    for name, effect in effects.items():
        if effect.kept is not None:
            item = kept_item(keys.value(life, path, name, OWN), effect.kept, commit)
            await table.put(item, older_than(commit))


async def _drop(table: Table, items: Sequence[Item], commit: int) -> None:
    """Removes values that no commit with this number or a later one has written."""
    for item in items:
        if await table.update(_removal((item["pk"]["S"], item["sk"]["S"]), commit)) and "tag" in item:
            await chunks.delete(table, item["tag"]["S"], int_of(item, "chunks"))


def kept_item(key: Key, kept: Kept, commit: int) -> Item:
    """The item of a value."""
    item: Item = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "at": number(commit)}
    if kept.tag is None:
        item["text"] = attribute(kept.text or "")
    else:
        item["tag"], item["chunks"] = {"S": kept.tag}, number(kept.chunks)
    return item


def _removal(key: Key, commit: int) -> dict[str, Any]:
    return {"Delete": {"Key": {"pk": {"S": key[0]}, "sk": {"S": key[1]}}, **older_than(commit)}}


def _written(key: Key, commit: int, task: TaskEffect) -> dict[str, Any]:
    if task.replaced:
        item: Item = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "at": number(commit)}
        item["revision"] = number(task.revision)
        item.update((field, attribute(text)) for field, text in task.fields.items())
        return {"Put": {"Item": item, **older_than(commit)}}
    update = Update()
    update.set("at", number(commit))
    update.set("revision", number(task.revision))
    for field, text in task.fields.items():
        update.set(field, attribute(text))
    update.remove(task.gone)
    at = update.name("at")
    condition = f"attribute_not_exists({at}) OR {at} < {update.value(number(commit))}"
    return {"Update": update.request(key, condition)}
