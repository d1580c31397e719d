"""What is Redis's own about the record store there: what people read, its faults, and large deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as client

from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogLine, LogsWritten
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange, InstanceProgress, TaskChange, TaskStatus
from taskpath_proto.values import Inline, Item, Stored
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import Outcome
from taskpath_services.storage.records.redis.store import RedisRecords
from taskpath_services.storage.records.redis.sweeping import PATHS, STEPS_AT_ONCE
from taskpath_services.storage.stores import records_of
from tests.support.servers.keeper import Keeper
from tests.support.servers.redis import Redis

NOW = 1_700_000_000_000


@pytest.fixture
def place(redis: Redis) -> str:
    return redis.new_database()


@pytest.fixture
async def store(place: str) -> AsyncIterator[RedisRecords]:
    records = RedisRecords(place)
    await records.open()
    yield records
    await records.close()


@pytest.fixture
async def raw(place: str) -> AsyncIterator[Any]:
    """Redis as a person sees it."""
    connected = client.from_url(place, decode_responses=True)
    yield connected
    await connected.aclose()


def created(id: str = "a") -> InstanceChanged:
    change = InstanceChange(
        realm="r", workflow="w", data=Inline('{"n":1}'), plan=Plan(tasks=(TaskSpec(name="one"),)),
        progress=InstanceProgress(total=1),
    )  # fmt: skip
    return InstanceChanged(id, 0, 1, 1, 0, instance=change)


def changed(revision: int, *tasks: TaskChange, id: str = "a") -> InstanceChanged:
    return InstanceChanged(id, 0, 1, revision, revision - 1, tasks=list(tasks))


async def test_a_person_can_read_the_records(store: RedisRecords, raw: Any) -> None:
    change = TaskChange(
        path="#.one", status=TaskStatus.OK, attempt=1, execution_time=NOW, duration=5, executor="e",
        body=Inline('{"id": 1}'), argument=Item(Stored("#.list", 40), 3), command=(NOW, 7),
        error=ErrorInfo(ErrorCode.CONFLICT, "no"),
    )  # fmt: skip
    line = LogLine(NOW, "info", "hello", 1, 1)
    await store.commit([created(), changed(2, change), LogsWritten("a", 0, "#.one", [line])], NOW)
    assert await raw.hgetall("workflowTask_a_#.one") == {
        "revision": "2",
        "status": "ok",
        "attempt": "1",
        "executionTime": str(NOW),
        "duration": "5",
        "executor": "e",
        "body": '{"id": 1}',
        "argument": '@["item",["stored","#.list",40,0],3]',
        "command": f"[{NOW},7]",
        "error": '{"code":"CONFLICT","message":"no"}',
    }
    instance = await raw.hgetall("workflow_a")
    assert (instance["realm"], instance["workflow"], instance["data"]) == ("r", "w", '{"n":1}')
    assert instance["plan"] == '{"tasks":[{"name":"one"}]}'
    assert await raw.lrange("logs_a_#.one", 0, -1) == [
        f'{{"time":{NOW},"level":"info","text":"hello","attempt":1,"n":1}}'
    ]


async def test_nothing_of_a_deleted_instance_stays(store: RedisRecords, raw: Any) -> None:
    many = [TaskChange(path=f"#.fan[{index}]", attempt=1) for index in range(10)]
    line = LogLine(NOW, "info", "hello", 1, 1)
    large = TaskChange(path="#.one", body=Inline('"' + "x" * 5_000 + '"'), updaters=Inline("[]"))
    await store.commit(
        [created(), changed(2, large, *many), LogsWritten("a", 0, "#.one", [line])], NOW
    )  # fmt: skip
    await store.commit([InstanceDeleted("a", 0, 1, 3)], NOW)
    assert set(await raw.keys()) == {"tombstone_a", "taskpath_tombstones", "taskpath_partition_0"}


async def test_a_large_deletion_is_seen_at_once_and_goes_on_after_a_crash(
    store: RedisRecords, raw: Any, place: str
) -> None:
    count = PATHS * (STEPS_AT_ONCE + 60)
    many = [TaskChange(path=f"#.fan[{index}]", attempt=1) for index in range(count)]
    await store.commit([created(), changed(2, *many)], NOW)
    await store.commit([InstanceDeleted("a", 0, 1, 3)], NOW)
    await store.close()  # With it goes what it does in the background.
    other = RedisRecords(place)
    await other.open()
    assert (await other.load("a")).instance is None
    assert (await other.standing("a")).deleted
    assert PATHS < await raw.zcard("workflowTasks_a") < count
    # Its id is used again before that is done: what is left is in nobody's way.
    assert await other.commit([created(), changed(2, TaskChange(path="#.fan[3]", duration=1))], NOW) == [
        Outcome.APPLIED,
        Outcome.APPLIED,
    ]
    assert [(task.path, task.attempt) for task in (await other.load("a")).tasks] == [("#.fan[3]", 0)]
    assert await raw.exists("workflowTask_a_#.fan[5]") == 0
    await other.close()


async def test_the_start_goes_on_with_what_is_to_be_removed(
    store: RedisRecords, raw: Any, place: str
) -> None:
    many = [TaskChange(path=f"#.fan[{index}]") for index in range(PATHS * (STEPS_AT_ONCE + 60))]
    await store.commit([created(), changed(2, *many)], NOW)
    await store.commit([InstanceDeleted("a", 0, 1, 3)], NOW)
    await store.close()
    assert await raw.smembers("taskpath_trash") == {"a"}
    other = RedisRecords(place)
    await other.open()
    await other.begin(4, NOW)
    running = other._sweeping._running
    assert running is not None
    await asyncio.wait_for(running, 30)
    assert await raw.smembers("taskpath_trash") == set()
    assert await raw.keys("workflowTask*") == []
    await other.close()


async def test_scripts_that_the_server_has_forgotten_are_loaded_again(store: RedisRecords, raw: Any) -> None:
    await store.commit([created()], NOW)
    await raw.script_flush()
    assert await store.commit([changed(2), created("b")], NOW) == [Outcome.APPLIED] * 2
    await raw.script_flush()
    assert (await store.load("a")).instance is not None


async def test_prefixes_keep_stores_apart(store: RedisRecords, place: str, raw: Any) -> None:
    other = RedisRecords(f"{place}?prefix=team%3A")
    await other.open()
    await store.commit([created()], NOW)
    assert (await other.load("a")).instance is None
    assert await other.indexed("", 10) == []
    await other.commit([created("b")], NOW)
    assert await raw.exists("team:workflow_b") == 1
    assert [row.id for row in await store.indexed("", 10)] == ["a"]
    await other.close()


async def test_a_server_that_restarts_is_used_again(keeper: Keeper) -> None:
    server = Redis(keeper)
    server.start()
    store = RedisRecords(server.url)
    await store.open()
    await store.commit([created()], NOW)
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.commit([changed(2)], NOW)
    with pytest.raises(StoreUnavailable):
        await store.load("a")
    server.restart()
    assert await store.commit([changed(2)], NOW) == [Outcome.APPLIED]
    assert (await store.standing("a")).revision == 2
    await store.close()


async def test_what_the_server_lost_is_a_gap_though_it_was_seen(store: RedisRecords, raw: Any) -> None:
    await store.commit([created(), changed(2), changed(3)], NOW)
    # As after a restart without the last second.
    await raw.hset("workflow_a", "revision", 2)
    assert await store.commit([changed(4)], NOW) == [Outcome.GAP]
    await raw.hset("workflow_a", mapping={"revision": 2})
    await raw.hdel("workflow_a", "gap")
    assert await store.commit([changed(3)], NOW) == [Outcome.APPLIED]


async def test_no_password_is_told(keeper: Keeper) -> None:
    port = keeper.port()
    store = RedisRecords(f"redis://someone:hunter2@127.0.0.1:{port}/0")
    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    assert "hunter2" not in str(raised.value)
    assert str(port) in str(raised.value)
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@",
        "redis://:hunter2@host/zero",
        "redis://:hunter2@host:port/0",
        "redis://:hunter2@host/0?colour=red",
        "redis://:hunter2@host/0?prefix",
    ],
)
def test_a_wrong_url_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        records_of(Settings(records=url))
    assert "TASKPATH_RECORDS" in str(raised.value)
    assert "hunter2" not in str(raised.value)
