"""What every index of instances does. A new implementation joins with a parameter of ``index``.

One room: who makes another index reads from top to bottom what it has to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceRecord, InstanceStatus
from taskpath_services.storage.history.times import Times, joined
from taskpath_services.storage.index import history
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, InstanceIndex, Kind
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.index.reconcile import reconcile
from taskpath_services.storage.index.sqlite import SqliteIndex
from taskpath_services.storage.records.contract import Indexed
from taskpath_services.storage.records.sqlite import SqliteRecords
from tests.support.servers.mariadb import MariaDB

NOW = 1_700_000_000_000


@pytest.fixture(scope="session")
def database(mariadb: MariaDB) -> str:
    """A database for all tests here, each of which empties it first."""
    return mariadb.new_database()


@pytest.fixture(params=["sqlite", "mysql"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[InstanceIndex]:
    made: InstanceIndex
    if request.param == "sqlite":
        made = SqliteIndex(tmp_path / "index.sqlite")
    else:
        made = MysqlIndex(Address.of(request.getfixturevalue("database")))
        await made.migrate()
    await made.open()
    if isinstance(made, MysqlIndex):
        await made.replace(await made.indexed("", 100_000), [])
    yield made
    await made.close()


def new(
    id: str,
    *,
    revision: int = 1,
    realm: str = "default",
    workflow: str = "w",
    name: str | None = None,
    status: InstanceStatus = InstanceStatus.WORKING,
    at: int = NOW,
) -> IndexChange:
    change = InstanceChange(
        realm=realm, workflow=workflow, name=name, status=status, created_at=at, updated_at=at
    )
    return IndexChange(id, revision, change, new=True)


def later(id: str, revision: int, change: InstanceChange) -> IndexChange:
    return IndexChange(id, revision, change)


async def ids(index: InstanceIndex, query: ListInstances | None = None) -> list[str]:
    return [item.id for item in (await index.page(query or ListInstances())).items]


async def test_a_change_names_only_what_changed(index: InstanceIndex) -> None:
    await index.apply([new("a", realm="r", name="n")])
    progress = InstanceProgress(4, 1, 0, 1, 0.25)
    await index.apply([later("a", 2, InstanceChange(progress=progress, updated_at=NOW + 5))])
    (item,) = (await index.page(ListInstances())).items
    assert (item.id, item.realm, item.workflow, item.name, item.status) == (
        "a",
        "r",
        "w",
        "n",
        InstanceStatus.WORKING,
    )
    assert (item.progress, item.created_at, item.updated_at) == (progress, NOW, NOW + 5)
    await index.apply([later("a", 3, InstanceChange(name=None, status=InstanceStatus.DONE))])
    (item,) = (await index.page(ListInstances())).items
    assert (item.name, item.status, item.progress) == (None, InstanceStatus.DONE, progress)


async def test_several_changes_of_one_instance_in_one_group(index: InstanceIndex) -> None:
    await index.apply(
        [
            new("a", name="n"),
            later("a", 2, InstanceChange(status=InstanceStatus.FAILED)),
            later("a", 3, InstanceChange(name="m")),
        ]
    )
    (item,) = (await index.page(ListInstances())).items
    assert (item.name, item.status) == ("m", InstanceStatus.FAILED)


async def test_an_older_change_changes_nothing(index: InstanceIndex) -> None:
    await index.apply([new("a", revision=5, name="new")])
    await index.apply([new("a", revision=5, name="other"), new("a", revision=4, name="old")])
    assert [item.name for item in (await index.page(ListInstances())).items] == ["new"]


async def test_a_change_of_what_is_not_there_makes_no_half_a_row(index: InstanceIndex) -> None:
    # Progress that comes after a deletion; the whole row comes with the next reconciliation, if it is wanted.
    progress = InstanceChange(progress=InstanceProgress(4, 1, 0, 1, 0.25))
    await index.apply([new("a"), IndexDeletion("a", 2), later("a", 3, progress), later("b", 3, progress)])
    assert await ids(index) == []
    await index.apply([later("a", 4, progress), new("a"), later("a", 5, progress)])
    assert [(row.id, row.revision) for row in await index.indexed("", 10)] == [("a", 5)]


async def test_a_deletion_and_the_same_id_again(index: InstanceIndex) -> None:
    await index.apply([new("a", revision=3), new("b")])
    await index.apply([IndexDeletion("a", 4)])
    assert await ids(index) == ["b"]
    await index.apply([new("a"), IndexDeletion("b", 2), IndexDeletion("nope", 1)])
    assert await ids(index) == ["a"]
    await index.apply([new("c"), IndexDeletion("c", 2), new("c", name="again")])
    assert [(item.id, item.name) for item in (await index.page(ListInstances())).items] == [
        ("c", "again"),
        ("a", None),
    ]


async def test_newest_first_page_by_page(index: InstanceIndex) -> None:
    # Three of each time, so that pages end in the middle of a time.
    names = [f"i{number:02}" for number in range(30)]
    await index.apply([new(name, at=NOW + number // 3) for number, name in enumerate(names)])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await index.page(ListInstances(limit=4, cursor=cursor))
        seen += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        # What comes meanwhile is newer than the page, and moves nothing.
        await index.apply([new(f"x{len(seen)}", at=NOW + 1_000)])
    assert seen == sorted(names, key=lambda name: (int(name[1:]) // 3, name), reverse=True)


async def test_a_page_that_is_just_full_is_the_last(index: InstanceIndex) -> None:
    await index.apply([new(str(number)) for number in range(4)])
    page = await index.page(ListInstances(limit=4))
    assert (len(page.items), page.next_cursor) == (4, None)


FILTERS = [
    (ListInstances(), {"a", "b", "c", "d"}),
    (ListInstances(realm="x"), {"a", "b"}),
    (ListInstances(realm="x", status=InstanceStatus.DONE), {"b"}),
    (ListInstances(status=InstanceStatus.WORKING), {"a", "c"}),
    (ListInstances(workflow="zip"), {"a", "c", "d"}),
    (ListInstances(realm="y", workflow="zip"), {"c", "d"}),
    (ListInstances(realm="y", workflow="zip", status=InstanceStatus.DONE), {"d"}),
    (ListInstances(name="Al"), {"a", "d"}),
    (ListInstances(name="al"), {"b"}),
    (ListInstances(name="Album_%"), set()),
    (ListInstances(name="Al", realm="x"), {"a"}),
    (ListInstances(name="Al", status=InstanceStatus.DONE, workflow="zip"), {"d"}),
    (ListInstances(name=""), {"a", "b", "c", "d"}),
    (ListInstances(name="\U0010ffff"), {"c"}),
    (ListInstances(created_after=NOW), {"b", "c", "d"}),
    (ListInstances(created_before=NOW + 3), {"a", "b", "c"}),
    (ListInstances(created_after=NOW, created_before=NOW + 2), {"b"}),
    (ListInstances(realm="x", created_after=NOW), {"b"}),
    (ListInstances(realm="none"), set()),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
async def test_filters(index: InstanceIndex, query: ListInstances, expected: set[str]) -> None:
    await index.apply(
        [
            new("a", realm="x", workflow="zip", name="Album 1", at=NOW),
            new("b", realm="x", workflow="mail", name="album 2", status=InstanceStatus.DONE, at=NOW + 1),
            new("c", realm="y", workflow="zip", name="\U0010ffff\U0010ffff", at=NOW + 2),
            new("d", realm="y", workflow="zip", name="Alb", status=InstanceStatus.DONE, at=NOW + 3),
        ]
    )
    assert set(await ids(index, query)) == expected
    paged: set[str] = set()
    page = await index.page(structs_replace(query, limit=1))
    while page.items:
        paged |= {item.id for item in page.items}
        if page.next_cursor is None:
            break
        page = await index.page(structs_replace(query, limit=1, cursor=page.next_cursor))
    assert paged == expected


def structs_replace(query: ListInstances, *, limit: int, cursor: str | None = None) -> ListInstances:
    return ListInstances(
        realm=query.realm,
        status=query.status,
        workflow=query.workflow,
        name=query.name,
        created_after=query.created_after,
        created_before=query.created_before,
        limit=limit,
        cursor=cursor,
    )


@pytest.mark.parametrize("limit", [0, 201, -1])
async def test_a_limit_out_of_range_is_refused(index: InstanceIndex, limit: int) -> None:
    with pytest.raises(TaskpathError, match=f"limit is {limit}; a number from 1 to 200") as caught:
        await index.page(ListInstances(limit=limit))
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "é", "kgGh", "A" * 2_000, "gaFh"])
async def test_a_cursor_that_is_none_is_refused(index: InstanceIndex, cursor: str) -> None:
    with pytest.raises(TaskpathError, match="cursor") as caught:
        await index.page(ListInstances(cursor=cursor))
    assert caught.value.code is ErrorCode.INVALID_REQUEST


async def test_replace_takes_what_the_index_had_out(index: InstanceIndex) -> None:
    await index.apply([new("a", revision=9, name="wrong"), new("b")])
    seen = [Indexed("a", 9), Indexed("b", 1), Indexed("nope", 1)]
    await index.replace(seen, [new("a", revision=2, name="right")])
    assert [(item.id, item.name) for item in (await index.page(ListInstances())).items] == [("a", "right")]
    assert [(row.id, row.revision) for row in await index.indexed("", 10)] == [("a", 2)]


async def test_replace_leaves_alone_what_has_changed_since_it_was_seen(index: InstanceIndex) -> None:
    await index.apply([new("a", revision=5, name="now"), new("b", revision=5)])
    await index.replace([Indexed("a", 4), Indexed("b", 6)], [new("a", revision=4, name="then")])
    assert [(item.id, item.name) for item in (await index.page(ListInstances())).items] == [
        ("b", None),
        ("a", "now"),
    ]


class Busy(SqliteRecords):
    """Records during whose reading something happens, once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.after_walk: Callable[[], Awaitable[None]] | None = None
        self.after_read: Callable[[], Awaitable[None]] | None = None

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        page = await super().indexed(after, limit)
        happens, self.after_walk = self.after_walk, None
        if happens is not None:
            await happens()
        return page

    async def instance(self, id: str) -> InstanceRecord | None:
        record = await super().instance(id)
        happens, self.after_read = self.after_read, None
        if happens is not None:
            await happens()
        return record

    async def create(self, id: str, *, name: str | None = None) -> None:
        await self.commit([InstanceChanged(id, 0, 1, 1, 0, instance=new(id, name=name).change)], NOW)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Busy]:
    made = Busy(tmp_path / "records.sqlite")
    await made.open()
    yield made
    await made.close()


async def test_reconciled_the_index_says_what_the_records_say(index: InstanceIndex, records: Busy) -> None:
    for id in ("behind", "missing", "right", "ahead"):
        await records.create(id)
        done = InstanceChange(status=InstanceStatus.DONE)
        await records.commit([InstanceChanged(id, 0, 1, 2, 1, instance=done)], NOW)
    await index.apply([new("behind"), new("gone"), new("ahead", revision=7, name="wrong")])
    await index.apply([new("right", revision=2, status=InstanceStatus.DONE)])
    walked = await reconcile(records, index)
    assert (walked.instances, walked.missing, walked.different, walked.extra) == (5, 1, 2, 1)
    assert walked.ahead == ["ahead", "gone"]
    items = {item.id: (item.status, item.name) for item in (await index.page(ListInstances())).items}
    assert items == dict.fromkeys(("behind", "missing", "right", "ahead"), (InstanceStatus.DONE, None))
    assert await index.indexed("", 10) == await records.indexed("", 10)
    assert (await reconcile(records, index)).wrong == 0


async def test_what_is_wrong_at_the_right_revision_is_put_right_if_everything_is(
    index: InstanceIndex, records: Busy
) -> None:
    await records.create("a", name="right")
    await index.apply([new("a", name="wrong")])
    await reconcile(records, index)
    assert [item.name for item in (await index.page(ListInstances())).items] == ["wrong"]
    assert (await reconcile(records, index, everything=True)).wrong == 0
    assert [item.name for item in (await index.page(ListInstances())).items] == ["right"]


async def test_an_instance_that_is_created_meanwhile_is_kept(index: InstanceIndex, records: Busy) -> None:
    async def create() -> None:
        await records.create("a")
        await index.apply([new("a")])

    records.after_walk = create
    await reconcile(records, index)
    assert await ids(index) == ["a"]


async def test_an_instance_that_is_deleted_meanwhile_does_not_come_back(
    index: InstanceIndex, records: Busy
) -> None:
    async def delete() -> None:
        await records.commit([InstanceDeleted("b", 0, 1, 2)], NOW)
        await index.apply([IndexDeletion("b", 2)])

    for id in ("a", "b", "c"):
        await records.create(id)
    records.after_read = delete
    await reconcile(records, index)
    assert await ids(index) == ["c", "a"]


async def test_an_instance_that_changes_meanwhile_keeps_the_change(
    index: InstanceIndex, records: Busy
) -> None:
    done = InstanceChange(status=InstanceStatus.DONE)

    async def end() -> None:
        await records.commit([InstanceChanged("a", 0, 1, 3, 2, instance=done)], NOW)
        await index.apply([later("a", 2, InstanceChange(name="n")), later("a", 3, done)])

    await records.create("a")
    await index.apply([new("a")])
    await records.commit([InstanceChanged("a", 0, 1, 2, 1, instance=InstanceChange(name="n"))], NOW)
    # The index is behind, is seen so, and has followed when it would be put right with an old state.
    records.after_read = end
    await reconcile(records, index)
    (item,) = (await index.page(ListInstances())).items
    assert (item.name, item.status) == ("n", InstanceStatus.DONE)
    assert await index.indexed("", 10) == [Indexed("a", 3)]


def took(*durations: int, tasks: int = 0) -> Times:
    times = Times()
    for duration in durations:
        times.add(duration, tasks)
    return times


@pytest.fixture
def realm(request: pytest.FixtureRequest) -> str:
    """One of its own: what a server has learnt stays there."""
    return f"realm of {request.node.name} é"


async def test_durations_add_up_and_are_told_apart(index: InstanceIndex, realm: str) -> None:
    one, other = Kind(realm, "w", "#.a[*].b"), Kind(realm, "W", "#.a[*].b")
    await index.learn({one: took(5), other: took(7), Kind(realm, "w", "#"): took(90, tasks=4)}, NOW)
    await index.learn({one: took(6, 1_000)}, NOW + 1)
    assert await index.times(realm, "w") == {"#.a[*].b": took(5, 6, 1_000), "#": took(90, tasks=4)}
    assert await index.times(realm, "W") == {"#.a[*].b": took(7)}
    assert await index.times(realm + " ", "w") == {}
    await index.learn({}, NOW)


async def test_the_window_bounds_a_row(index: InstanceIndex, realm: str) -> None:
    kind = Kind(realm, "w", "#")
    await index.learn({kind: took(*[5] * 500)}, NOW)
    await index.learn({kind: took(900)}, NOW)
    assert await index.times(realm, "w") == {"#": joined(joined(Times(), took(*[5] * 500)), took(900))}


async def test_replicas_that_learn_at_once_lose_nothing(index: InstanceIndex, realm: str) -> None:
    # Also where a row is not there yet, and in whatever order each has its paths.
    paths = [f"#.t{number}" for number in range(8)]
    some = [{Kind(realm, "w", path): took(10) for path in paths[turn:] + paths[:turn]} for turn in range(8)]
    await asyncio.gather(*(index.learn(seen, NOW) for seen in some))
    assert {path: times.weight for path, times in (await index.times(realm, "w")).items()} == dict.fromkeys(
        paths, 8
    )


async def test_of_a_workflow_only_so_many_paths_are_kept(
    index: InstanceIndex, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_PATHS", 3)
    for number in range(5):
        await index.learn(
            {Kind(realm, "w", f"#.t{number}"): took(1), Kind(realm, "w", "#"): took(1)}, NOW + number
        )
    await index.learn({Kind(realm, "other", "#.t0"): took(1)}, NOW)
    assert set(await index.times(realm, "w")) == {"#", "#.t3", "#.t4"}
    assert set(await index.times(realm, "other")) == {"#.t0"}


async def test_many_paths_at_once(index: InstanceIndex, realm: str) -> None:
    seen = {Kind(realm, "w", f"#.t{number}"): took(number) for number in range(1_201)}
    await index.learn(seen, NOW)
    await index.learn(seen, NOW)
    found = await index.times(realm, "w")
    assert len(found) == 1_201
    assert found["#.t1200"] == took(1_200, 1_200)


async def test_what_was_learnt_stays_when_instances_go_and_rows_are_made_anew(
    index: InstanceIndex, realm: str
) -> None:
    await index.apply([new("a", realm=realm)])
    await index.learn({Kind(realm, "w", "#"): took(3)}, NOW)
    await index.apply([IndexDeletion("a", 2)])
    await index.replace(await index.indexed("", 100), [new("b", realm=realm)])
    assert await index.times(realm, "w") == {"#": took(3)}


async def test_text_that_is_none_does_no_harm(index: InstanceIndex, realm: str) -> None:
    await index.learn({Kind(realm + "\ud800", "w", "#"): took(3)}, NOW)
    assert await index.times(realm + "?", "w") == {"#": took(3)}
    assert await index.times(realm + "\ud800", "w") == {"#": took(3)}


async def test_where_instances_belong(index: InstanceIndex) -> None:
    await index.apply([new("a", realm="r", workflow="v"), new("b"), new("c")])
    assert await index.places(["a", "b", "nope"]) == {"a": ("r", "v"), "b": ("default", "w")}
    assert await index.places([]) == {}
