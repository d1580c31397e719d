"""The index on a server: migrations, its own indexes, several replicas, and a server that comes and goes."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from asyncmy import Connection
from msgspec import UNSET

from taskpath.runtime.settings import SettingsError
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion, InstanceIndex
from taskpath_services.storage.index.mysql import schema, statements
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.index.mysql.server import Server, execute, select
from tests.support.servers.mariadb import MariaDB

NOW = 1_700_000_000_000
ROWS = 12_000


@pytest.fixture
def address(mariadb: MariaDB) -> Address:
    return Address.of(mariadb.new_database())


@pytest.fixture
async def index(address: Address) -> AsyncIterator[MysqlIndex]:
    made = MysqlIndex(address)
    await made.migrate()
    await made.open()
    yield made
    await made.close()


def new(id: str, revision: int = 1, **fields: object) -> IndexChange:
    change = InstanceChange(realm="r", workflow="w", status=InstanceStatus.WORKING, created_at=NOW)
    for field, value in fields.items():
        setattr(change, field, value)
    return IndexChange(id, revision, change, new=True)


async def ids(index: InstanceIndex) -> list[str]:
    return [item.id for item in (await index.page(ListInstances())).items]


async def test_an_empty_database_has_to_be_migrated_first(address: Address) -> None:
    index = MysqlIndex(address)
    with pytest.raises(SettingsError, match=r"0001 instances.*run `taskpath migrate`"):
        await index.open()
    assert await index.migrate() == ["0001 instances", "0002 durations"]
    assert await index.migrate() == []
    await index.open()
    await index.close()
    await index.close()


async def test_migrations_at_the_same_time_are_applied_once(address: Address) -> None:
    done = await asyncio.gather(*(MysqlIndex(address).migrate() for _ in range(5)))
    assert sorted(map(len, done)) == [0, 0, 0, 0, len(schema.migrations())]


async def test_a_migration_that_was_cut_short_is_carried_on(address: Address, mariadb: MariaDB) -> None:
    index = MysqlIndex(address)
    await index.migrate()
    # The statements had their effect, and the process died before it was noted.
    mariadb.execute(f"delete from {address.database}.taskpath_migrations")
    assert await index.migrate() == ["0001 instances", "0002 durations"]


async def test_migrations_are_numbered_without_gaps() -> None:
    found = schema.migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert all(migration.statements for migration in found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.replace(":taskpath@", ":S3cret@"), "Access denied"),
        (lambda url: url.rsplit("/", 1)[0] + "/nowhere", "nowhere"),
    ],
)
async def test_what_the_server_refuses_is_a_wrong_setting(
    mariadb: MariaDB, change: object, says: str
) -> None:
    assert callable(change)
    with pytest.raises(SettingsError, match=says) as caught:
        await MysqlIndex(Address.of(change(mariadb.url))).open()
    assert "S3cret" not in f"{caught.value} {caught.value.__cause__!r}"


async def test_a_server_that_is_not_there_is_unavailable(mariadb: MariaDB, unused_tcp_port: int) -> None:
    parts = urlsplit(mariadb.url)
    url = mariadb.url.replace(f":{parts.port}/", f":{unused_tcp_port}/")
    with pytest.raises(StoreUnavailable):
        await MysqlIndex(Address.of(url)).open()


async def test_it_is_reached_through_a_socket(address: Address, mariadb: MariaDB) -> None:
    socket = mariadb.execute("select @@socket").strip()
    # The server knows its user at 127.0.0.1 only; over its socket there is root.
    index = MysqlIndex(Address.of(f"mysql://root@/{address.database}?socket={socket}"))
    await index.migrate()
    await index.open()
    await index.apply([new("a")])
    assert await ids(index) == ["a"]
    await index.close()


async def test_a_closed_index_is_unavailable(address: Address) -> None:
    with pytest.raises(StoreUnavailable, match="closed"):
        await MysqlIndex(address).page(ListInstances())


REALMS = [None, "default"]
NAMES = [None, "Album 1"]
WORKFLOWS = [None, "w3"]
LISTED = [None, InstanceStatus.FAILED]


@pytest.fixture(scope="module")
def full(mariadb: MariaDB) -> Address:
    """A database with many instances; four in a millisecond, and one in a thousand has failed."""
    return Address.of(mariadb.new_database())


async def fill(address: Address) -> None:
    index = MysqlIndex(address)
    if not await index.migrate():
        return
    await index.open()
    chance = random.Random(4)
    rows = [
        new(
            f"{chance.getrandbits(64):016x}",
            realm=chance.choice(["default", "default", "other"]),
            workflow=f"w{chance.randrange(5)}",
            name=f"Album {number}",
            status=InstanceStatus.FAILED if number % 100 == 0 else InstanceStatus.DONE,
            created_at=NOW + number // 4,
        )
        for number in range(ROWS)
    ]
    for start in range(0, ROWS, 2_000):
        await index.apply(rows[start : start + 2_000])
    await index.close()


@pytest.mark.parametrize(
    ("realm", "name", "workflow", "status"), list(itertools.product(REALMS, NAMES, WORKFLOWS, LISTED))
)
async def test_no_list_scans_or_sorts_the_table(
    full: Address, realm: str | None, name: str | None, workflow: str | None, status: InstanceStatus | None
) -> None:
    await fill(full)
    index = MysqlIndex(full)
    await index.open()
    query = ListInstances(realm=realm, name=name, workflow=workflow, status=status, limit=10)
    cursor = (await index.page(query)).next_cursor
    pages = [
        query,
        ListInstances(realm=realm, name=name, workflow=workflow, status=status, limit=10, cursor=cursor),
    ]
    pages += [ListInstances(realm, status, workflow, name, NOW + 900, NOW + 2_900, 10)]
    await index.close()

    async def look(connection: Connection, statement: str, values: list[object]) -> tuple[str, int, int]:
        plan = await select(connection, f"explain {statement}", values)
        await execute(connection, "flush status")
        await select(connection, statement, values)
        counts = dict(await select(connection, "show session status like 'Handler_read%%'", ()))
        matches = await select(
            connection, "select count(*) from taskpath_instances where name like 'Album 1%%'", ()
        )
        return " ".join(map(str, plan)), sum(map(int, counts.values())), matches[0][0]

    server = Server(full)
    await server.open()
    for page in pages:
        statement, values = statements.page(page)
        plan, read, matches = await server.run(lambda at: look(at, statement, values))  # noqa: B023 (awaited)
        keys = "by" + ("_realm" if realm else "") + ("_name" if name else "")
        if not name:
            keys += ("_workflow" if workflow else "") + ("_status" if status else "")
        assert (keys if keys != "by" else "by_time") in plan, plan
        if name:
            # Those whose names begin so are sorted by time, and no others are looked at.
            assert read <= 2 * matches + 50
        else:
            assert "filesort" not in plan
            # Besides those shown there are a few of the very millisecond at which the page begins.
            assert read <= 10 + 1 + 10, plan
    await server.close()


def history(id: str, chance: random.Random) -> list[IndexChange | IndexDeletion]:
    """What happens to an instance: it begins, changes a few times, and may be deleted."""
    steps: list[IndexChange | IndexDeletion] = [new(id, name=f"{id} 1")]
    for revision in range(2, chance.randrange(3, 9)):
        change = InstanceChange(updated_at=NOW + revision)
        if chance.random() < 0.4:
            change.status = chance.choice(list(InstanceStatus))
        if chance.random() < 0.3:
            change.name = f"{id} {revision}"
        if chance.random() < 0.6:
            change.progress = InstanceProgress(10, revision, 0, 1, revision / 10)
        steps.append(IndexChange(id, revision, change))
    if chance.random() < 0.2:
        steps.append(IndexDeletion(id, len(steps) + 1))
    return steps


async def test_two_replicas_that_apply_the_same_at_the_same_time(address: Address, index: MysqlIndex) -> None:
    chance = random.Random(7)
    histories = [history(f"i{number}", chance) for number in range(150)]
    # Each instance's steps in their order, those of different ones mixed, in two ways.
    orders: list[list[IndexChange | IndexDeletion]] = []
    for _ in range(2):
        left = [list(reversed(steps)) for steps in histories]
        order: list[IndexChange | IndexDeletion] = []
        while left := [steps for steps in left if steps]:
            order.append(chance.choice(left).pop())
        orders.append(order)
    other = MysqlIndex(address)
    await other.open()

    async def replica(at: MysqlIndex, order: list[IndexChange | IndexDeletion], size: int) -> None:
        for start in range(0, len(order), size):
            await at.apply(order[start : start + size])

    await asyncio.gather(replica(index, orders[0], 37), replica(other, orders[1], 53))
    await other.close()
    found = {item.id: item for item in (await index.page(ListInstances(limit=200))).items}
    alive = {steps[0].id: steps for steps in histories if isinstance(steps[-1], IndexChange)}
    assert found.keys() == alive.keys()
    for id, steps in alive.items():
        for field in ("name", "status", "progress", "updated_at"):
            given = [getattr(step.change, field) for step in steps if isinstance(step, IndexChange)]
            if last := [value for value in given if value is not UNSET][-1:]:
                assert getattr(found[id], field) == last[0], (id, field)


async def test_a_server_that_was_started_anew_is_not_noticed(index: MysqlIndex, mariadb: MariaDB) -> None:
    await index.apply([new("a")])
    await asyncio.gather(*(index.page(ListInstances()) for _ in range(5)))
    await asyncio.to_thread(mariadb.restart)
    # Every connection has died, and nobody was told.
    assert await asyncio.gather(*(ids(index) for _ in range(5))) == [["a"]] * 5
    await index.apply([new("b")])
    assert await ids(index) == ["b", "a"]


async def test_a_server_that_was_killed_is_away_until_it_is_back(index: MysqlIndex, mariadb: MariaDB) -> None:
    await index.apply([new("a")])
    await asyncio.to_thread(mariadb.kill)
    try:
        with pytest.raises(StoreUnavailable):
            await index.apply([new("b")])
        with pytest.raises(StoreUnavailable):
            await index.page(ListInstances())
    finally:
        await asyncio.to_thread(mariadb.restart)
    await index.apply([new("b")])
    assert await ids(index) == ["b", "a"]


async def test_a_server_that_stalls_is_given_up(
    index: MysqlIndex, address: Address, mariadb: MariaDB
) -> None:
    await index.apply([new("a")])
    server = Server(address, seconds=0.3)
    await server.open()
    mariadb.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match=r"has not answered within 0\.3 s"):
            await server.run(lambda connection: select(connection, "select 1"))
    finally:
        mariadb.send_signal(signal.SIGCONT)
    assert await server.run(lambda connection: select(connection, "select 1")) == [(1,)]
    await server.close()
    assert await ids(index) == ["a"]


async def test_a_large_group_locks_its_own_rows_only(index: MysqlIndex, address: Address) -> None:
    await index.apply([new(f"i{number:05}") for number in range(3_000)])
    blocker = Server(address)
    await blocker.open()
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection) -> None:
        await connection.begin()
        await select(connection, "select id from taskpath_instances where id = 'i02999' for update")
        held.set()
        await go.wait()
        await connection.rollback()

    holding = asyncio.create_task(blocker.run(hold))
    await held.wait()
    done = InstanceChange(status=InstanceStatus.DONE)
    async with asyncio.timeout(10):
        await index.apply([IndexChange(f"i{number:05}", 2, done) for number in range(2_500)])
    go.set()
    await holding
    await blocker.close()


async def test_what_is_given_up_half_way_leaves_nothing_behind(index: MysqlIndex, address: Address) -> None:
    await index.apply([new("a")])
    blocker = Server(address)
    await blocker.open()
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection) -> None:
        await connection.begin()
        await select(connection, "select id from taskpath_instances where id = 'a' for update")
        held.set()
        await go.wait()
        await connection.rollback()

    holding = asyncio.create_task(blocker.run(hold))
    await held.wait()
    # It has put in what it could, and waits for the other's lock.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await index.apply([new("0"), IndexDeletion("a", 9)])
    go.set()
    await holding
    await blocker.close()
    assert await ids(index) == ["a"]


async def test_a_connection_that_dies_under_a_job_is_replaced_once(
    address: Address, mariadb: MariaDB
) -> None:
    server = Server(address)
    await server.open()
    connections: list[int] = []

    async def die(connection: Connection, often: int) -> int:
        ((number,),) = await select(connection, "select connection_id()")
        connections.append(number)
        if len(connections) <= often:
            await asyncio.to_thread(mariadb.execute, f"kill {number}")
        await select(connection, "select 1")
        return len(connections)

    assert await server.run(lambda connection: die(connection, 1)) == 2
    assert len(set(connections)) == 2
    connections.clear()
    with pytest.raises(StoreUnavailable):
        await server.run(lambda connection: die(connection, 9))
    assert len(connections) == 2
    await server.close()


async def test_statements_of_a_migration_can_be_repeated(
    address: Address, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ["create table t (a int)", "alter table t add column b int", "create index k on t (b)"]
    monkeypatch.setattr(schema, "migrations", lambda: [schema.Migration(1, "t", tuple(steps))])
    index = MysqlIndex(address)
    await index.migrate()
    mariadb.execute(f"delete from {address.database}.taskpath_migrations")
    assert await index.migrate() == ["0001 t"]
    # What fails for another reason is not taken for done.
    mariadb.execute(f"delete from {address.database}.taskpath_migrations")
    steps.append("alter table t add column c nonsense")
    with pytest.raises(StoreUnavailable, match="nonsense"):
        await index.migrate()
    steps.pop()
    assert await index.migrate() == ["0001 t"]
