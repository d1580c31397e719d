"""Committing a group: what is large first, then a transaction for the instances, then their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_proto.queries import PutBlob
from taskpath_services.storage.records.dynamodb import chunks, keys, logs
from taskpath_services.storage.records.dynamodb.actions import (
    fence,
    folded_fields,
    instance_action,
    listings,
    unchanged,
    with_flags,
)
from taskpath_services.storage.records.dynamodb.applying import apply, kept_item, paths_in
from taskpath_services.storage.records.dynamodb.items import Update, attribute, number, text_of
from taskpath_services.storage.records.dynamodb.journal import Before, Journal, Kept, encode, folded
from taskpath_services.storage.records.dynamodb.known import DEAD, Known, journal_of, known_of
from taskpath_services.storage.records.dynamodb.portions import portions, weight_of
from taskpath_services.storage.records.dynamodb.table import TRANSACT, Item, Table, bare, gathered, key_of
from taskpath_services.storage.records.dynamodb.units import Unit, transactions, waves
from taskpath_services.storage.records.ledger import Step
from taskpath_services.storage.selection import EVERYTHING

MAX_FIELD: Final = 32 * 1024
"""A field of an instance that is larger, compressed, is kept in parts."""

MAX_JOURNAL: Final = 100_000
"""So is a journal; a transaction has at most 4 MB."""


class Prepared(msgspec.Struct):
    """A unit that is ready for its transaction.

    Attributes:
        unit: what is committed.
        before: what was known before.
        after: what is known after.
        actions: of the transaction.
        journal: what follows; None for a deletion.
        parts: the tag and the count of the journal's parts, if it has any.
        outdated: the same of fields that are replaced.
    """

    unit: Unit
    before: Known
    after: Known
    actions: list[dict[str, Any]]
    journal: Journal | None = None
    parts: tuple[str, int] | None = None
    outdated: list[tuple[str, int]] = []


class Committing:
    """One try at committing the steps of a group.

    Args:
        table: where.
        known: of the instances; kept up to date here.
        epochs: of the partitions, as they are known.
        now: ms since epoch.
    """

    def __init__(self, table: Table, known: dict[str, Known], epochs: Mapping[int, int], now: int) -> None:
        self._table = table
        self._known = known
        self._epochs = dict(epochs)
        self._now = now
        self._stale: set[int] = set()
        self._late: set[str] = set()

    async def run(self, steps: Sequence[Step]) -> set[int]:
        """Does what is to be written. Gives the places of what was judged by what is out of date."""
        beside = [step for step in steps if step.writes and isinstance(step.write, (PutBlob, LogsWritten))]
        lives = self._lives(steps)
        await self._check(beside)
        await self._put([step for step in beside if isinstance(step.write, PutBlob)], lives)
        for wave in waves(steps):
            parts = transactions([unit for unit in wave if unit.write.id not in self._late])
            await gathered([self._commit_all(partition, todo) for partition, todo in parts.items()])
            for unit in wave:
                if unit.write.id in self._late:
                    self._stale.update(step.place for step in unit.steps)
        await self._log([step for step in beside if isinstance(step.write, LogsWritten)], lives)
        return self._stale

    async def _commit_all(self, partition: int, todo: Sequence[list[Unit]]) -> None:
        for units in todo:
            await self._commit(partition, units)

    async def _commit(self, partition: int, units: Sequence[Unit]) -> None:
        prepared = [one for one in await gathered([self._prepare(unit) for unit in units]) if one is not None]
        for some in portions(prepared, TRANSACT, size_of=lambda one: weight_of(one.actions)):
            await self._transact(partition, some)

    async def _transact(self, partition: int, prepared: list[Prepared]) -> None:
        while prepared:
            epoch = prepared[0].unit.write.epoch
            actions = [fence(partition, self._epochs[partition], epoch)]
            owners: list[Prepared | None] = [None]
            for one in prepared:
                actions += one.actions
                owners += [one] * len(one.actions)
            failed = {id(owners[place]): owners[place] for place in await self._table.transact(actions)}
            if not failed:
                self._epochs[partition] = epoch
                break
            # What is known of the partition is out of date, and nothing can be told of its instances.
            lost = prepared if id(None) in failed else [one for one in failed.values() if one is not None]
            self._late.update(one.unit.write.id for one in lost)
            prepared = [one for one in prepared if one.unit.write.id not in self._late]
        await gathered([self._finish(one) for one in prepared])

    async def _prepare(self, unit: Unit) -> Prepared | None:
        id = unit.write.id
        before = self._known[id]
        if isinstance(unit.write, InstanceDeleted):
            return self._deletion(unit, unit.write, before)
        life = keys.life_of(id, before.next_life)
        if before.live and not before.applied and not await self._catch_up(id, life, before):
            self._late.add(id)
            return None
        return await self._change(unit, unit.write, before, life)

    async def _catch_up(self, id: str, life: str, before: Known) -> bool:
        """Applies the last commit, of which it is not known whether that was done."""
        item = await self._table.get(keys.journal(life, before.commit))
        journal = await journal_of(self._table, item, before.commit)
        if journal is not None:
            await apply(self._table, life, before.commit, journal, before.items)
        return journal is not None

    async def _change(self, unit: Unit, last: InstanceChanged, before: Known, life: str) -> Prepared:
        steps, id, commit = unit.steps, last.id, before.commit + 1
        kept = await self._keep(steps, id, life)
        stored = await self._stored(steps, life) if before.live else {}
        paths: list[str] = []
        if before.live and any(
            isinstance(step.write, InstanceChanged) and step.write.whole for step in steps
        ):
            paths = await paths_in(self._table, life, before.items, EVERYTHING)
        journal = folded(steps, paths, stored, kept)
        items = before.items or any("[" in path for path in journal.tasks)
        after = Known(
            head=steps[-1].after,
            exists=True,
            life=before.next_life,
            commit=commit,
            running=before.running and before.live,
            handling=before.handling and before.live,
            deleting=before.deleting and before.live,
            items=items,
            partition=last.partition,
            parted=dict(before.parted) if before.live else {},
        )
        fields, gone = folded_fields(steps)
        after = with_flags(after, steps)
        attributes: Item = {}
        outdated = []
        for name in [*fields, *gone]:
            if (parts := after.parted.pop(name, None)) is not None:
                outdated.append(parts)
        for name, text in fields.items():
            attributes[name] = attribute(text)
            if len(next(iter(attributes[name].values()))) > MAX_FIELD:
                tag = chunks.tag_of(life, name, last.epoch, last.revision, text)
                after.parted[name] = (tag, await chunks.put(self._table, tag, text.encode()))
                attributes[name] = {"L": [{"S": tag}, number(after.parted[name][1])]}
        actions = [instance_action(id, before, after, steps, attributes, gone)]
        entry, parts = await self._journal_item(life, commit, journal, last)
        actions.append({"Put": {"Item": entry}})
        actions += listings(id, before, after)
        return Prepared(unit, before, after, actions, journal, parts, outdated)

    async def _keep(self, steps: Sequence[Step], id: str, life: str) -> dict[tuple[int, int], Kept]:
        """Keeps the new values of some changes."""
        kept: dict[tuple[int, int], Kept] = {}
        paths: set[str] = set()
        for step in steps:
            event, change = step.write, step.change
            assert isinstance(event, InstanceChanged)
            assert change is not None
            for place, (path, name, _, text) in enumerate(change.refreshed):
                if text is not None:
                    tag = chunks.tag_of(life, path, name, event.epoch, event.revision, text)
                    kept[step.place, place] = await chunks.keep(self._table, tag, text)
                    paths.add(path)
        await self._note_values(life, paths)
        return kept

    async def _note_values(self, life: str, paths: set[str]) -> None:
        """Notes that these paths have values, before they do."""
        if paths:
            noted = [keys.has_values(life, path) for path in paths]
            await self._table.write_many(bare(key) for key in [keys.any_values(life), *noted])

    async def _stored(self, steps: Sequence[Step], life: str) -> Before:
        """The stored fields of which has to be known what they refer to before they are replaced."""
        wanted: dict[str, set[str]] = {}
        for step in steps:
            if step.change is not None and step.after.texts:
                for path, name, version, _ in step.change.refreshed:
                    if version is None or version < 0:
                        wanted.setdefault(path, set()).add(name)
        names = sorted(set().union(*wanted.values())) if wanted else []
        found = (
            await self._table.get_many([keys.task(life, path) for path in wanted], names) if wanted else {}
        )
        return {
            (key_of(item)[1], name): text
            for item in found.values()
            for name in names
            if name in item and (text := text_of(item[name])) is not None
        }

    async def _journal_item(
        self, life: str, commit: int, journal: Journal, last: InstanceChanged
    ) -> tuple[Item, tuple[str, int] | None]:
        data = encode(journal)
        item = bare(keys.journal(life, commit)) | {"commit": number(commit)}
        if len(data) <= MAX_JOURNAL:
            return item | {"data": {"B": data}}, None
        tag = chunks.tag_of("journal", life, commit, last.epoch, last.revision)
        count = await chunks.put(self._table, tag, data)
        return item | {"tag": {"S": tag}, "chunks": number(count)}, (tag, count)

    def _deletion(self, unit: Unit, event: InstanceDeleted, before: Known) -> Prepared:
        id = event.id
        after = Known(
            head=unit.steps[-1].after,
            exists=True,
            life=before.life,
            commit=before.commit + 1,
            deleted_at=self._now,
        )
        item = bare(keys.workflow(id)) | {
            "state": {"S": DEAD},
            "life": number(after.life),
            "commit": number(after.commit),
            "epoch": number(event.epoch),
            "revision": number(event.revision),
            "digest": number(0),
            "deletedAt": number(self._now),
            "realm": {"S": event.realm},
        }
        if event.status is not None:
            item["status"] = {"S": event.status.value}
        life = keys.life_of(id, before.life)
        actions = [
            {"Put": {"Item": item, **unchanged(before)}},
            {"Put": {"Item": bare((keys.trash(keys.list_of(id)), life)) | {"last": number(before.commit)}}},
            {"Put": {"Item": bare(keys.tombstone(id, self._now)) | {"id": {"S": id}}}},
            *listings(id, before, after),
        ]
        return Prepared(unit, before, after, actions)

    async def _finish(self, one: Prepared) -> None:
        """What follows the commit of a unit."""
        id = one.unit.write.id
        self._known[id] = one.after
        if one.journal is None:
            return
        life = keys.life_of(id, one.after.life)
        # Should this fail, it is not known to have been done, and made good before the next commit.
        self._known[id] = msgspec.structs.replace(one.after, applied=False)
        await apply(self._table, life, one.after.commit, one.journal, one.after.items)
        self._known[id] = one.after
        if one.parts is not None:
            update = Update()
            update.set("applied", number(one.after.commit))
            commit = f"{update.name('commit')} = {update.value(number(one.after.commit))}"
            await self._table.update({"Update": update.request(keys.workflow(id), commit)})
            await chunks.delete(self._table, *one.parts)
        for parts in one.outdated:
            await chunks.delete(self._table, *parts)

    async def _check(self, steps: Sequence[Step]) -> None:
        """Looks whether instances have died or begun a new life: what stands beside them is not written on
        that condition."""
        ids = {step.write.id for step in steps}
        found = await self._table.get_many([keys.workflow(id) for id in ids], ("state", "life"))
        for id in ids:
            is_now = known_of(found.get(keys.workflow(id)), texts=False)
            was = self._known[id]
            if (is_now.next_life, is_now.head.deleted) != (was.next_life, was.head.deleted):
                self._late.add(id)
        self._stale.update(step.place for step in steps if step.write.id in self._late)

    def _lives(self, steps: Sequence[Step]) -> dict[int, str]:
        """The lives that what stands beside instances is of, by the places of the steps: a group may hold
        the end of one and the beginning of the next."""
        lives: dict[int, str] = {}
        deaths: dict[str, int] = {}
        for step in steps:
            id = step.write.id
            lives[step.place] = keys.life_of(id, self._known[id].next_life + deaths.get(id, 0))
            if step.writes and isinstance(step.write, InstanceDeleted):
                deaths[id] = deaths.get(id, 0) + 1
        return lives

    async def _put(self, steps: Sequence[Step], lives: Mapping[int, str]) -> None:
        """Keeps values by themselves."""
        for step in steps:
            if step.place in self._stale:
                continue
            blob = step.write
            assert isinstance(blob, PutBlob)
            known, life = self._known[blob.id], lives[step.place]
            tag = chunks.tag_of(life, blob.path, blob.name, blob.version, blob.json)
            kept = await chunks.keep(self._table, tag, blob.json)
            await self._note_values(life, {blob.path})
            key = keys.value(life, blob.path, blob.name, blob.version)
            old = await self._table.get(key)
            await self._table.put(kept_item(key, kept, known.commit))
            if old is not None and "tag" in old and old["tag"]["S"] != kept.tag:
                await chunks.delete(self._table, old["tag"]["S"], int(old["chunks"]["N"]))

    async def _log(self, steps: Sequence[Step], lives: Mapping[int, str]) -> None:
        """Adds lines to logs."""
        lines: dict[tuple[str, str, str], list[Any]] = {}
        for step in steps:
            event = step.write
            assert isinstance(event, LogsWritten)
            if step.place in self._stale:
                continue
            lines.setdefault((event.id, lives[step.place], event.path), []).extend(event.lines)
        room = asyncio.Semaphore(16)

        async def add(id: str, life: str, path: str) -> None:
            async with room:
                await logs.write(self._table, life, path, self._known[id].commit, lines[id, life, path])

        await gathered([add(*key) for key in lines])
