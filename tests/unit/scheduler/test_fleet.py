"""The executors as a partition knows them, and what it sends when."""

from __future__ import annotations

from taskpath_proto.events import ExecutorAnnounced
from taskpath_proto.plan import Plan
from taskpath_proto.values import NULL
from taskpath_proto.work import OrderKind
from taskpath_services.scheduler.fleet import FORGOTTEN_MS, Fleet
from taskpath_services.scheduler.frames import Work
from taskpath_services.scheduler.instance import Identity, Instance

LEASE = 10_000


def instance_of(fleet: Fleet) -> Instance:
    identity = Identity(
        id="i",
        partition=0,
        realm="default",
        workflow="w",
        name=None,
        data=NULL,
        base_context=NULL,
        ephemeral=False,
        plan=Plan(()),
        plan_version=1,
        created_at=0,
        creation_key=None,
    )
    return Instance(identity, 1, 0, fleet)


def work_of(instance: Instance) -> Work:
    root = instance.tree.root
    return Work(root, None, OrderKind.TASK, NULL, (), condition=False)  # type: ignore[arg-type]  # never walked


def test_an_executor_holds_a_work_until_it_is_freed_or_another_has_it() -> None:
    fleet = Fleet(LEASE)
    instance = instance_of(fleet)
    first, second = work_of(instance), work_of(instance)
    for work in (first, second):
        fleet.hold(instance, work, "e1")
    fleet.hold(instance, first, "e2")
    assert fleet.gone("e1") == [(instance, second)]
    assert (first.holder, second.holder) == ("e2", None)
    fleet.free(first)
    assert fleet.gone("e2") == []


def test_who_reports_before_it_was_heard_of_has_as_long_as_anyone() -> None:
    fleet = Fleet(LEASE)
    instance = instance_of(fleet)
    instance.now = 5_000
    fleet.hold(instance, work_of(instance), "e1")
    assert fleet.silent(5_000 + LEASE - 1) == []
    assert len(fleet.silent(5_000 + LEASE)) == 1
    assert fleet.silent(1 << 60) == []


def test_without_leases_nothing_is_held_and_executors_are_forgotten_all_the_same() -> None:
    fleet = Fleet()
    instance = instance_of(fleet)
    work = work_of(instance)
    fleet.hold(instance, work, "e1")
    assert (work.holder, fleet.leases) == (None, False)
    fleet.announced(ExecutorAnnounced("e1", ("default",), ()), 0)
    fleet.unserved((), 0, 0)
    assert fleet.unserved(("default",), 1, 0) == set()
    fleet.silent(FORGOTTEN_MS)
    assert fleet.unserved(("default",), 1, 0) == {"default"}


def test_nobody_is_missed_before_there_was_time_to_hear_of_him() -> None:
    fleet = Fleet(LEASE)
    assert fleet.unserved(("q",), 1_000, 2_000) == set()
    assert fleet.unserved(("q",), 2_999, 2_000) == set()
    assert fleet.unserved(("q",), 3_000, 2_000) == {"q"}
    fleet.announced(ExecutorAnnounced("e1", ("q",), ()), 3_000)
    assert fleet.unserved(("q",), 3_000, 2_000) == set()
    fleet.announced(ExecutorAnnounced("e1", ("q",), (), leaving=True), 3_000)
    assert fleet.unserved(("q",), 3_000, 2_000) == {"q"}
