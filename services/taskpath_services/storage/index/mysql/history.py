"""How long tasks took, in a MySQL database.

The key of a row is a digest, because a list of single values is what both servers look up by key, and the
three texts together are too long for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from asyncmy import Connection

from taskpath_services.storage.history.times import Times
from taskpath_services.storage.index import history
from taskpath_services.storage.index.contract import Kind
from taskpath_services.storage.index.history import read, text_of, workflows
from taskpath_services.storage.index.mysql.server import execute, select
from taskpath_services.storage.index.mysql.statements import as_bytes
from taskpath_services.storage.index.mysql.statements import places as placeholders

AT_ONCE: Final = 500
"""Keys in one list, and rows in one statement."""

PLACES: Final = "select id, realm, workflow from taskpath_instances where id in ({})"

KNOWN: Final = "select id, times from taskpath_durations where id in ({}) order by id for update"

COLUMNS: Final = "id, realm, workflow, path, times, seen_at"

NEW: Final = f"insert into taskpath_durations ({COLUMNS}) values (%s, %s, %s, %s, %s, %s)"

MORE: Final = NEW + " on duplicate key update times = values(times), seen_at = values(seen_at)"
"""For rows that are there, and locked."""

COUNT: Final = "select count(*) from taskpath_durations where realm = %s and workflow = %s"

FORGET: Final = (
    "delete from taskpath_durations where realm = %s and workflow = %s order by seen_at, id limit %s"
)

TIMES: Final = "select path, times from taskpath_durations where realm = %s and workflow = %s"


async def places(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The realm and the workflow of instances."""
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = [as_bytes(id) for id in ids[start : start + AT_ONCE]]
        for id, realm, workflow in await select(connection, PLACES.format(placeholders(len(some))), some):
            found[id.decode()] = (realm.decode(), workflow.decode())
    return found


async def learn(connection: Connection, seen: Mapping[Kind, Times], now: int) -> None:
    """Adds durations that were seen, in one transaction, so that it can be done again."""
    kinds = {_key(kind): kind for kind in seen}
    # Everybody locks in the same order.
    ordered = sorted(kinds)
    await connection.begin()
    fresh: list[Kind] = []
    for start in range(0, len(ordered), AT_ONCE):
        some = ordered[start : start + AT_ONCE]
        rows = await select(connection, KNOWN.format(placeholders(len(some))), some)
        known: dict[bytes, Times] = {key: read(times) for key, times in rows}
        there: list[tuple[Any, ...]] = []
        new: list[tuple[Any, ...]] = []
        for key in some:
            kind = kinds[key]
            text = text_of(known.get(key), seen[kind])
            (there if key in known else new).append((key, *map(as_bytes, kind), text, now))
            if key not in known:
                fresh.append(kind)
        async with connection.cursor() as cursor:
            if there:
                await cursor.executemany(MORE, there)
            if new:
                # If another replica has just put one of them in, the whole is done again.
                await cursor.executemany(NEW, new)
    for realm, workflow in workflows(fresh):
        whose = (as_bytes(realm), as_bytes(workflow))
        ((count,),) = await select(connection, COUNT, whose)
        if count > history.MOST_PATHS:
            await execute(connection, FORGET, (*whose, count - history.MOST_PATHS))
    await connection.commit()


async def times(connection: Connection, realm: str, workflow: str) -> dict[str, Times]:
    """The durations that were seen of a workflow's tasks."""
    rows = await select(connection, TIMES, (as_bytes(realm), as_bytes(workflow)))
    return {path.decode(): read(text) for path, text in rows}


def _key(kind: Kind) -> bytes:
    return blake2b(b"\0".join(map(as_bytes, kind)), digest_size=16).digest()
