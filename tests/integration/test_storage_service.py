"""Storage as the others see it: over the bus, with real files."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogLine, LogsWritten, WantSnapshot
from taskpath_proto.queries import (
    InstanceLoaded,
    InstancesPage,
    InstanceView,
    ListInstances,
    LoadInstance,
    LogsView,
    ReadInstance,
    ReadLogs,
    ReadTask,
    TaskView,
    Tombstone,
)
from taskpath_proto.records import InstanceChange, InstanceStatus, TaskChange, TaskStatus
from taskpath_proto.values import Inline, Stored
from taskpath_services.storage.service import StorageService
from tests.support.storage import FAN, LARGE, MAILBOX, System, changed, created

# -- events


async def test_what_is_safe_can_be_read_and_is_listed(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", status=TaskStatus.OK, body=Inline("[1]"))))
    found = await system.view(ReadInstance("a"))
    assert found.instance is not None
    assert (found.instance.revision, found.instance.workflow) == (2, "w")
    assert [(task.path, task.status, task.body) for task in found.tasks] == [("#.one", TaskStatus.OK, None)]
    shown = await system.caller.ask(topology.QUERIES, ReadTask("a", "#.one"), TaskView)
    assert shown.task is not None
    assert shown.task.body == Inline("[1]")
    assert await system.listed() == ["a"]
    await system.publish(InstanceDeleted("a", 0, 1, 3))
    assert await system.listed() == []
    assert (await system.view(ReadInstance("a"))).instance is None


async def test_logs_can_be_read(system: System) -> None:
    lines = [LogLine(5, "info", "hello", 1, 1), LogLine(6, "error", "oh", 1, 2)]
    await system.publish(created())
    await system.publish(LogsWritten("a", 0, "#.one", lines))
    found = await system.caller.ask(topology.QUERIES, ReadLogs("a", "#.one"), LogsView)
    assert (found.lines, found.next, found.known) == (lines, 2, True)
    assert not (await system.caller.ask(topology.QUERIES, ReadLogs("b", "#.one"), LogsView)).known


async def test_calls_are_answered_in_the_order_of_the_mailbox(system: System) -> None:
    claimed = await system.claim()
    old = claimed.epoch
    # All of this waits in the mailbox at once: the claim falls between two events of the old owner.
    system.publish(created(epoch=old))
    load = asyncio.ensure_future(system.caller.ask(MAILBOX, LoadInstance("a"), InstanceLoaded))
    claim = asyncio.ensure_future(system.claim())
    events = system.publish
    loaded, taken = await asyncio.gather(load, claim)
    assert loaded.instance is not None
    assert loaded.instance.revision == 1
    assert taken.epoch > old
    await events(changed(2, TaskChange(path="#.one", attempt=1), epoch=old))
    assert system.service.counters.refused == 1
    await events(changed(2, epoch=taken.epoch))
    assert system.service.counters.applied == 2


async def test_an_owner_gets_references_for_large_values(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", body=Inline(LARGE))))
    loaded = await system.caller.ask(MAILBOX, LoadInstance("a"), InstanceLoaded)
    assert [task.body for task in loaded.tasks] == [Stored("#.one", len(LARGE))]
    assert (await system.caller.ask(MAILBOX, LoadInstance("nope"), InstanceLoaded)).instance is None


async def test_a_gap_is_counted_and_applied(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(3, TaskChange(path="#.one", attempt=1)))
    assert system.service.counters.gaps == 1
    assert (await system.view(ReadInstance("a"))).tasks[0].attempt == 1


async def test_a_contradiction_is_told_and_its_owner_is_asked_for_all_of_it(system: System) -> None:
    owner = await system.bus.consume(topology.scheduler_mailbox(0))
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", attempt=1)))
    with capture_logs() as logs:
        await system.publish(changed(2, TaskChange(path="#.one", attempt=2)))
    (told,) = [line for line in logs if line["log_level"] == "error"]
    assert (told["event"], told["instance"], told["epoch"], told["revision"]) == (
        "two changes of one revision differ",
        "a",
        1,
        2,
    )
    assert (await owner.take()).messages == [WantSnapshot("a")]
    assert (await system.view(ReadInstance("a"))).tasks[0].attempt == 1
    # The mailbox goes on, and the snapshot has the last word.
    await system.publish(changed(1, id="b"))
    whole = changed(3, TaskChange(path="#.one", attempt=2), instance=created().instance)
    await system.publish(msgspec.structs.replace(whole, whole=True))
    assert (await system.view(ReadInstance("a"))).tasks[0].attempt == 2
    await system.publish(changed(4, TaskChange(path="#.one", attempt=3)))
    assert (await system.view(ReadInstance("a"))).tasks[0].attempt == 3
    assert system.service.counters.conflicts == 1


async def test_everything_is_there_after_a_restart(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", attempt=1)))
    first = await system.claim()
    await system.stop()
    (tmp_path / "index.sqlite").unlink()
    again = System(tmp_path)
    await again.start()
    try:
        assert (await again.view(ReadInstance("a"))).tasks[0].attempt == 1
        assert await again.listed() == ["a"]
        assert (await again.claim()).epoch > first.epoch
    finally:
        await again.stop()


async def test_another_number_of_partitions_stops_the_start(system: System, tmp_path: Path) -> None:
    await system.stop()
    with pytest.raises(SettingsError, match="TASKPATH_PARTITIONS is 3; expected is 2"):
        await StorageService(MemoryBus(), ManualClock(), Settings(data=tmp_path, partitions=3)).start()
    again = System(tmp_path)
    await again.start()
    await again.stop()


# -- ends


async def test_for_ten_minutes_a_tombstone_tells_how_it_ended(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    await system.publish(InstanceDeleted("a", 0, 1, 2, realm="r", status=InstanceStatus.FAILED))
    tombstone = Tombstone("a", "r", InstanceStatus.FAILED)
    assert await system.view(ReadInstance("a")) == InstanceView(tombstone=tombstone)
    assert await system.view(ReadInstance("a", min_revision=2)) == InstanceView(tombstone=tombstone)
    assert await system.task("#.one") == TaskView(tombstone=tombstone)
    await system.stop()
    again = System(tmp_path)
    await again.start()
    try:
        assert (await again.view(ReadInstance("a"))).tombstone == tombstone
        again.clock.move(600)
        assert await again.view(ReadInstance("a")) == InstanceView()
        assert await again.task("#.one") == TaskView()
    finally:
        await again.stop()


async def test_who_is_being_deleted_is_gone_for_all_but_its_owner(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.one", status=TaskStatus.OK, body=Inline("1"))))
    waiting = asyncio.ensure_future(system.view(ReadInstance("a", min_revision=9)))
    await system.clock.asleep(20)
    await system.publish(changed(3, instance=InstanceChange(deleting=True)))
    assert (await waiting).instance is None
    assert await system.listed() == []
    assert (await system.view(ReadInstance("a", min_revision=3))).instance is None
    assert (await system.task("#.one")).instance is None
    with pytest.raises(TaskpathError) as caught:
        await system.read(Stored("#.one", 1))
    assert caught.value.code is ErrorCode.UNKNOWN_INSTANCE
    assert (await system.claim()).active == ("a",)
    loaded = await system.caller.ask(MAILBOX, LoadInstance("a"), InstanceLoaded)
    assert loaded.instance is not None
    assert loaded.instance.deleting


async def test_a_view_tells_when_something_was_removed(system: System) -> None:
    await system.publish(created(FAN))
    await system.publish(changed(2, TaskChange(path="#.plain", count=2), TaskChange(path="#.plain[1]")))
    assert (await system.view(ReadInstance("a", since=1))).removed_at == 0
    shorter = changed(3, TaskChange(path="#.plain", count=1))
    shorter.removed = ["#.plain[1]"]
    await system.publish(shorter)
    found = await system.view(ReadInstance("a", since=2))
    assert ([task.path for task in found.tasks], found.removed_at) == (["#.plain"], 3)


# -- faults


async def test_a_locked_store_loses_nothing(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    with closing(sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        safe = system.publish(changed(2, TaskChange(path="#.one", attempt=1)))
        await system.clock.asleep(0.1)
        assert not safe.done()
        # Reading goes on.
        found = await system.view(ReadInstance("a"))
        assert found.instance is not None
        assert found.instance.revision == 1
        system.clock.move(0.1)
        await system.clock.asleep(0.2)
        other.execute("rollback")
    system.clock.move(0.2)
    await safe
    assert (await system.view(ReadInstance("a"))).tasks[0].attempt == 1


async def test_a_store_that_is_away_answers_unavailable(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    with closing(sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(TaskpathError) as caught:
            await system.claim()
    assert caught.value.code is ErrorCode.UNAVAILABLE


async def test_stopping_does_not_wait_for_a_store_that_is_away(system: System, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        safe = system.publish(created())
        await system.clock.asleep(0.1)
        await system.service.stop()
    assert not safe.done()
    safe.cancel()
    # The event is still in the mailbox, for whoever is next.
    inbox = await system.bus.consume(MAILBOX, exclusive=True)
    delivery = await inbox.take()
    assert [message.id for message in delivery.messages if isinstance(message, InstanceChanged)] == ["a"]


async def test_a_wrong_pattern_is_said(system: System) -> None:
    with pytest.raises(TaskpathError) as caught:
        await system.view(ReadInstance("a", paths=("fan",)))
    assert caught.value.code is ErrorCode.INVALID_PATH


async def test_numbers_and_texts_out_of_range_are_refused(system: System) -> None:
    await system.publish(created())
    queries = [ReadInstance("a", since=2**63), ReadInstance("\udc80"), ReadInstance("\udc80", min_revision=1)]
    for query in queries:
        with pytest.raises(TaskpathError) as caught:
            await system.view(query)
        assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert system.service.ready


async def test_statuses_reach_the_list(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, instance=InstanceChange(status=InstanceStatus.DONE)))
    page = await system.caller.ask(topology.QUERIES, ListInstances(status=InstanceStatus.DONE), InstancesPage)
    assert [item.id for item in page.items] == ["a"]


# -- settings


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(records="redis://:hunter2@host/zero"), "TASKPATH_RECORDS .*redis URL"),
        (Settings(index="mysql://root:hunter2@host"), "TASKPATH_INDEX names no database"),
        (Settings(records="sqlite:///"), "TASKPATH_RECORDS"),
    ],
)
def test_a_store_that_is_named_wrong(settings: Settings, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        StorageService(MemoryBus(), ManualClock(), settings)
    assert "hunter2" not in str(caught.value)


async def test_the_files_are_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(records="sqlite:///some/r%20s.sqlite", index=f"sqlite:///{tmp_path}/i.sqlite")
    service = StorageService(MemoryBus(), ManualClock(), settings)
    await service.start()
    await service.stop()
    assert (tmp_path / "some/r s.sqlite").is_file()
    assert (tmp_path / "i.sqlite").is_file()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    service = StorageService(MemoryBus(), ManualClock(), Settings(data=tmp_path))
    await service.start()
    await service.stop()
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as file:
        file.execute("pragma user_version = 99")
    with pytest.raises(SettingsError, match=r"records\.sqlite has schema version 99"):
        await StorageService(MemoryBus(), ManualClock(), Settings(data=tmp_path)).start()


async def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as file:
        file.execute("create table mine (a)")
    with pytest.raises(SettingsError, match="holds something else"):
        await StorageService(MemoryBus(), ManualClock(), Settings(data=tmp_path)).start()
    (tmp_path / "text").write_text("no database, but long enough to be looked at " * 100)
    with pytest.raises(SettingsError, match="is not a file of Taskpath's records"):
        await StorageService(
            MemoryBus(), ManualClock(), Settings(records=f"sqlite:///{tmp_path}/text")
        ).start()
