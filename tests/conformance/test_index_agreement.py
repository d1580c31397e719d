"""The indexes agree: whatever is done to them, they list the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from taskpath_proto.queries import InstanceSummary, ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, InstanceIndex
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.index.sqlite import SqliteIndex
from taskpath_services.storage.records.contract import Indexed
from tests.support.servers.mariadb import MariaDB

IDS = st.sampled_from(["a", "A", "b", "ab", "é", "e"])
# Alike for many a collation, and what statements have to escape.
TEXTS = st.one_of(
    st.sampled_from(["x", "X", "x ", "é", "e", "ex", "Straße", "strasse", "'", '\\"', "%s"]),
    st.sampled_from(["\U0010ffff", "\ud800"]),
    # SQLite's JSON ends a text at a NUL.
    st.text(st.characters(exclude_characters="\0"), max_size=5),
)
COUNTS = st.integers(0, 2**31)
TIMES = st.integers(0, 6)
STATUSES = st.sampled_from(InstanceStatus)
PROGRESS = st.builds(InstanceProgress, COUNTS, COUNTS, COUNTS, COUNTS, st.floats(0, 1, allow_subnormal=False))


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.just(UNSET), values)


CHANGES = st.builds(
    InstanceChange,
    realm=maybe(TEXTS),
    workflow=maybe(TEXTS),
    name=maybe(st.none() | TEXTS),
    status=maybe(STATUSES),
    progress=maybe(PROGRESS),
    created_at=maybe(TIMES),
    updated_at=maybe(TIMES),
)
STEPS = st.one_of(
    st.builds(IndexChange, IDS, st.integers(1, 6), CHANGES, st.booleans()),
    st.builds(IndexDeletion, IDS, st.integers(1, 6)),
)


class Group(NamedTuple):
    """What is done at once: rows taken out as they were seen, then steps."""

    gone: list[Indexed]
    steps: list[IndexChange | IndexDeletion]


GROUPS = st.lists(
    st.one_of(
        st.builds(Group, st.just([]), st.lists(STEPS, max_size=5)),
        st.builds(
            Group,
            st.lists(st.builds(Indexed, IDS, st.integers(1, 6)), max_size=3),
            st.lists(st.builds(IndexChange, IDS, st.integers(1, 6), CHANGES, st.booleans()), max_size=3),
        ),
    ),
    max_size=6,
)
QUERIES = st.builds(
    ListInstances,
    realm=st.none() | TEXTS,
    status=st.none() | STATUSES,
    workflow=st.none() | TEXTS,
    name=st.none() | TEXTS,
    created_after=st.none() | TIMES,
    created_before=st.none() | TIMES,
    limit=st.integers(1, 3),
)


class Pair(NamedTuple):
    sqlite: SqliteIndex
    mysql: MysqlIndex


@pytest.fixture
async def pair(mariadb: MariaDB, tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(SqliteIndex(tmp_path / "index.sqlite"), MysqlIndex(Address.of(mariadb.new_database())))
    for index in made:
        await index.migrate()
        await index.open()
    yield made
    for index in made:
        await index.close()


async def listed(index: InstanceIndex, query: ListInstances) -> list[InstanceSummary]:
    """Everything that a query finds, page by page."""
    found: list[InstanceSummary] = []
    while True:
        page = await index.page(query)
        found += page.items
        if page.next_cursor is None:
            return found
        query = ListInstances(
            query.realm, query.status, query.workflow, query.name, query.created_after, query.created_before,
            query.limit, page.next_cursor,
        )  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=GROUPS, queries=st.lists(QUERIES, min_size=2, max_size=4))
async def test_they_list_the_same(pair: Pair, groups: list[Group], queries: list[ListInstances]) -> None:
    for index in pair:
        await index.replace(await index.indexed("", 100), [])
        for group in groups:
            if group.gone:
                changes = [step for step in group.steps if isinstance(step, IndexChange)]
                await index.replace(group.gone, changes)
            else:
                await index.apply(group.steps)
    assert await pair.sqlite.indexed("", 100) == await pair.mysql.indexed("", 100)
    for query in [ListInstances(limit=200), *queries]:
        assert await listed(pair.sqlite, query) == await listed(pair.mysql, query)
