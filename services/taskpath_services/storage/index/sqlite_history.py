"""How long tasks took, in the SQLite file of the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from taskpath_services.storage.history.times import Times
from taskpath_services.storage.index import history
from taskpath_services.storage.index.contract import Kind
from taskpath_services.storage.index.history import read, text_of, workflows
from taskpath_services.storage.unicode import cleaned

PLACES: Final = """
    select i.id, i.realm, i.workflow from json_each(?) c join instances i on i.id = c.value
"""

KNOWN: Final = """
    select d.realm, d.workflow, d.path, d.times from json_each(?) c join durations d
    on d.realm = c.value ->> 0 and d.workflow = c.value ->> 1 and d.path = c.value ->> 2
"""

PUT: Final = """
    insert or replace into durations (realm, workflow, path, times, seen_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?)
"""

FORGET: Final = """
    delete from durations where realm = :realm and workflow = :workflow and path in (
        select path from durations where realm = :realm and workflow = :workflow order by seen_at, path
        limit max(0, (select count(*) from durations where realm = :realm and workflow = :workflow) - :most)
    )
"""


def places(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The realm and the workflow of instances."""
    return {id: (realm, workflow) for id, realm, workflow in connection.execute(PLACES, (_json(list(ids)),))}


def learn(connection: sqlite3.Connection, seen: Mapping[Kind, Times], now: int) -> None:
    """Adds durations that were seen."""
    clean = {Kind(*_clean(kind)): times for kind, times in seen.items()}
    rows = connection.execute(KNOWN, (_json(list(clean)),))
    known = {Kind(realm, workflow, path): read(times) for realm, workflow, path, times in rows}
    connection.execute(
        PUT, (_json([(*kind, text_of(known.get(kind), times), now) for kind, times in clean.items()]),)
    )
    for realm, workflow in workflows(clean.keys() - known.keys()):
        connection.execute(FORGET, {"realm": realm, "workflow": workflow, "most": history.MOST_PATHS})


def times(connection: sqlite3.Connection, realm: str, workflow: str) -> dict[str, Times]:
    """The durations that were seen of a workflow's tasks."""
    rows = connection.execute(
        "select path, times from durations where realm = ? and workflow = ?", _clean((realm, workflow))
    )
    return {path: read(text) for path, text in rows}


def _clean(texts: Sequence[str]) -> Sequence[str]:
    return texts if all(map(str.isascii, texts)) else cleaned(list(texts))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
