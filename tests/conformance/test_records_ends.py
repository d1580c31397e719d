"""What every record store does when tasks are removed, instances deleted, and owners change."""

from __future__ import annotations

from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.plan import Handler
from taskpath_proto.queries import PutBlob, Tombstone
from taskpath_proto.records import (
    HandlerRecord,
    InstanceChange,
    InstanceStatus,
    RunRecord,
    TaskChange,
    TaskRecord,
)
from taskpath_proto.values import Inline
from taskpath_services.storage.records.contract import (
    DEAD_MS,
    OWN,
    TOMBSTONE_MS,
    RecordStore,
)
from taskpath_services.storage.selection import Selection
from tests.support.changes import changed
from tests.support.record_changes import (
    APPLIED,
    LARGE,
    NOW,
    REFUSED,
    REPEATED,
    commit,
    created,
    deleted,
    fitting,
    tasks,
)


async def test_a_claim_raises_the_epoch(store: RecordStore) -> None:
    assert (await store.claim(0, "x", NOW)).epoch == NOW
    assert (await store.claim(0, "y", NOW)).epoch == NOW + 1
    assert (await store.claim(0, "y", NOW - 5_000)).epoch == NOW + 2
    assert (await store.claim(1, "y", 5)).epoch == 5


async def test_events_of_an_older_epoch_are_refused(store: RecordStore) -> None:
    old = (await store.claim(0, "x", NOW)).epoch
    await commit(store, created(epoch=old))
    new = (await store.claim(0, "y", NOW)).epoch
    late = changed(2, TaskChange(path="#.one", attempt=1), epoch=old)
    assert await commit(store, late, deleted(3, epoch=old)) == [REFUSED, REFUSED]
    assert (await store.standing("a")).revision == 1
    assert await commit(store, changed(2, epoch=new)) == [APPLIED]
    # Another partition has epochs of its own.
    assert await commit(store, created("b", epoch=old, partition=1)) == [APPLIED]


async def test_the_epoch_of_an_event_counts_if_the_store_has_lost_it(store: RecordStore) -> None:
    assert await commit(store, created(epoch=9)) == [APPLIED]
    assert await commit(store, changed(2, epoch=8)) == [REFUSED]
    assert (await store.claim(0, "x", 1)).epoch == 10


async def test_a_claim_names_whoever_has_handlers_to_run_or_is_being_deleted(store: RecordStore) -> None:
    handlers = InstanceChange(handlers=(HandlerRecord(number=3, handler=Handler.COMPLETE),), runs=())
    await commit(store, created("a"), created("b"), created("c"))
    await commit(store, changed(2, id="a", instance=handlers))
    await commit(store, changed(2, id="c", instance=InstanceChange(deleting=True, handlers=())))
    assert set((await store.claim(0, "x", NOW)).active) == {"a", "c"}
    await commit(store, changed(3, id="a", instance=InstanceChange(handlers=()), epoch=NOW))
    assert set((await store.claim(0, "x", NOW)).active) == {"c"}
    await commit(store, deleted(3, id="c", epoch=NOW + 1))
    assert (await store.claim(0, "x", NOW)).active == ()


async def test_a_claim_names_the_instances_with_unfinished_runs(store: RecordStore) -> None:
    runs = InstanceChange(runs=(RunRecord(number=1),))
    await commit(store, created("a"), created("b"), created("c"), created("d", partition=1))
    await commit(store, *(changed(2, id=id, instance=runs) for id in ("a", "b", "d") if id != "d"))
    await commit(store, changed(2, id="d", partition=1, instance=runs))
    await commit(store, changed(3, id="b", instance=InstanceChange(runs=())))
    await commit(store, changed(3, id="a", instance=InstanceChange(counter=4)))
    assert (await store.claim(0, "x", NOW)).active == ("a",)
    assert (await store.claim(1, "x", NOW)).active == ("d",)


async def test_what_is_removed_takes_its_subtree_along(store: RecordStore) -> None:
    kept = ("#.fan", "#.fan[1]", "#.fan[10]", "#.fan2", "#.fan[1].a")
    gone = ("#.fan[2]", "#.fan[2].a", "#.fan[2].b[0]")
    await commit(store, created(), changed(2, *(TaskChange(path=path, attempt=1) for path in kept + gone)))
    line = LogLine(NOW, "info", "x", 1, 1)
    await commit(store, *(LogsWritten("a", 0, path, [line]) for path in ("#.fan[1]", "#.fan[2]")))
    again = TaskChange(path="#.fan[2]", duration=1)
    await commit(store, changed(3, removed=("#.fan[2]",)), changed(4, again))
    assert set(await tasks(store)) == {*kept, "#.fan[2]"}
    assert (await tasks(store))["#.fan[2]"] == TaskRecord(path="#.fan[2]", revision=4, duration=1)
    assert (await store.logs("a", "#.fan[2]", 0, 10)).lines == []
    assert (await store.logs("a", "#.fan[1]", 0, 10)).lines == [line]


async def test_removals_of_an_event_come_before_its_changes(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.fan[0]", attempt=3)))
    await commit(store, changed(3, TaskChange(path="#.fan[0]", duration=1), removed=("#.fan[0]",)))
    assert (await tasks(store))["#.fan[0]"] == TaskRecord(path="#.fan[0]", revision=3, duration=1)


async def test_a_deletion_takes_everything(store: RecordStore) -> None:
    await commit(
        store,
        created(),
        changed(2, TaskChange(path="#.one", body=Inline(LARGE))),
        LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "x", 1, 1)]),
        PutBlob("a", "#.one", "items", 1, "[]"),
        created("b"),
    )
    assert await commit(store, deleted(3)) == [APPLIED]
    assert (await store.load("a")).instance is None
    assert (await store.load("a")).tasks == []
    assert await store.texts("a", [("#.one", "body", OWN), ("#.one", "items", 1)]) == {}
    assert not (await store.logs("a", "#.one", 0, 10)).known
    standing = await store.standing("a")
    assert (standing.revision, standing.deleted) == (None, True)
    assert (await store.standing("b")).revision == 1
    assert [row.id for row in await store.indexed("", 10)] == ["b"]


async def test_nothing_late_brings_a_deleted_instance_back(store: RecordStore) -> None:
    await commit(store, created(), changed(2), deleted(3))
    late = LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "x", 1, 1)])
    assert await commit(store, changed(2), deleted(3), changed(4), late) == [
        REPEATED,
        REPEATED,
        REFUSED,
        REFUSED,
    ]
    assert (await store.standing("a")).deleted
    # The whole of it again, as a redelivery has it.
    await commit(store, created(), changed(2), deleted(3))
    assert (await store.standing("a")).deleted


async def test_an_id_can_be_used_again(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", attempt=1)), deleted(3))
    assert await commit(store, created()) == [APPLIED]
    assert (await store.standing("a")).revision == 1
    assert await tasks(store) == {}


async def test_the_dead_are_forgotten_in_the_end(store: RecordStore) -> None:
    await commit(store, created("a"), created("b"), deleted(2, id="a"))
    await commit(store, PutBlob("a", "#.one", "items", 1, "[]"))
    await commit(store, deleted(2, id="b"), now=NOW + DEAD_MS + 1)
    assert not (await store.standing("a")).deleted
    assert (await store.standing("b")).deleted
    assert await store.texts("a", [("#.one", "items", 1)]) == {}


async def test_the_dead_are_forgotten_at_the_start(store: RecordStore) -> None:
    ids = [str(number) for number in range(fitting(store, 250))]
    await commit(store, *map(created, ids), *(deleted(2, id=id) for id in ids))
    await store.begin(4, NOW + DEAD_MS - 1)
    assert (await store.standing("0")).deleted
    await store.begin(4, NOW + DEAD_MS)
    assert not any([(await store.standing(id)).deleted for id in ids])


async def test_the_tombstone_of_an_ephemeral_instance_tells_how_it_ended(store: RecordStore) -> None:
    await commit(store, created("a"), created("b"))
    await commit(store, deleted(2, id="a", status=InstanceStatus.FAILED), deleted(2, id="b"))
    assert await store.tombstone("a", NOW) == Tombstone("a", "r", InstanceStatus.FAILED)
    assert await store.tombstone("a", NOW + TOMBSTONE_MS - 1) is not None
    assert await store.tombstone("a", NOW + TOMBSTONE_MS) is None
    assert await store.tombstone("b", NOW) is None
    assert await store.tombstone("nope", NOW) is None
    # A repeat says nothing new, and a new instance of this id is not the old one.
    await commit(store, deleted(2, id="a", status=InstanceStatus.DONE), now=NOW + 5)
    assert await store.tombstone("a", NOW) == Tombstone("a", "r", InstanceStatus.FAILED)
    await commit(store, created("a"))
    assert await store.tombstone("a", NOW) is None


async def test_an_instance_that_is_being_deleted_is_seen_by_its_owner_only(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", attempt=1)), created("b"))
    assert await commit(store, changed(3, instance=InstanceChange(deleting=True))) == [APPLIED]
    assert (await store.view("a", Selection())).instance is None
    assert (await store.task("a", "#.one")).instance is None
    assert await store.instance("a") is None
    assert not (await store.logs("a", "#.one", 0, 10)).known
    standing = await store.standing("a")
    assert (standing.revision, standing.deleted) == (3, True)
    assert [row.id for row in await store.indexed("", 10)] == ["b"]
    loaded = await store.load("a")
    assert loaded.instance is not None
    assert loaded.instance.deleting
    assert [task.path for task in loaded.tasks] == ["#.one"]
    # What its handlers change does not bring it back.
    assert await commit(store, changed(4, instance=InstanceChange(handlers=()))) == [APPLIED]
    assert await store.instance("a") is None
    assert await commit(store, deleted(5)) == [APPLIED]
    assert (await store.load("a")).instance is None


async def test_what_was_removed_last_is_told_by_its_revision(store: RecordStore) -> None:
    async def removed_at() -> int:
        return (await store.view("a", Selection())).removed_at

    await commit(store, created(), changed(2, TaskChange(path="#.fan[0]", attempt=1)))
    assert await removed_at() == 0
    await commit(store, changed(3, removed=("#.fan[0]",)), changed(4))
    assert await removed_at() == 3
    await commit(store, changed(5, removed=("#.fan[1]",)))
    assert await removed_at() == 5
