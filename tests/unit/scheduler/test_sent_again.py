"""Calls that their caller sends again, having no answer: nothing is done twice, and each gets its answer."""

from __future__ import annotations

import msgspec

from taskpath_proto.calls import Call
from taskpath_proto.commands import Accepted, CreateInstance, Delete, UpdateInstance
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import InstanceLoaded, Tombstone
from taskpath_proto.records import InstanceStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import ExpandPlan, PlanExpanded
from taskpath_services.scheduler.partition import Partition
from tests.unit.scheduler.test_outside import Owner

CREATE = CreateInstance(
    id="i", workflow="w", queue="default", realm="r", data=Inline("1"), base_context=Inline("{}")
)
PLAN = Plan((TaskSpec("a"),))
FAR = 1 << 60


def again(call: Call) -> Call:
    return msgspec.structs.replace(call, again=True)


def test_a_creation_that_waits_for_its_plan_is_one_creation() -> None:
    partition = Partition(0, 7, lease=4_000)
    call = Call(CREATE, "reply.x", 1, FAR)
    (command,) = partition.decide([call], (), 1).commands
    assert isinstance(command[1], ExpandPlan)
    assert partition.unknown([again(call)]) == []
    assert not partition.decide([again(call)], (), 2).commands
    outcome = partition.decide([PlanExpanded("i", 7, command[1].command, PLAN)], (), 3)
    assert outcome.answers == [(call, Accepted("i", 1, created=True))]
    # The answer is lost, and it comes once more.
    outcome = partition.decide([again(call)], (), 4)
    assert outcome.answers == [(again(call), Accepted("i", 1, created=True))]
    assert not outcome.commands
    assert not outcome.events


def test_a_new_owner_looks_whether_a_creation_was_carried_out_before_it() -> None:
    partition = Partition(0, 7, lease=4_000)
    call = Call(CREATE, "reply.x", 1, FAR)
    assert partition.unknown([call]) == []
    assert partition.unknown([again(call)]) == ["i"]


def test_a_creation_of_what_has_ended_and_left_a_tombstone_makes_nothing_anew() -> None:
    partition = Partition(0, 7, lease=4_000)
    call = again(Call(CREATE, "reply.x", 1, FAR))
    tombstone = Tombstone("i", "r", InstanceStatus.DONE)
    partition.load("i", InstanceLoaded(tombstone=tombstone), 1)
    outcome = partition.decide([call], (), 1)
    assert outcome.answers == [(call, Accepted("i", 0))]
    assert not outcome.commands
    # Once it is forgotten the id may be used again.
    partition.load("i", InstanceLoaded(), 2)
    assert partition.decide([call], (), 2).commands


def test_an_update_that_waits_for_its_plan_is_one_update() -> None:
    owner = Owner(TaskSpec("a"))
    call = owner.next_call(UpdateInstance("i", Inline('{"$set": 2}')))
    owner.tell(call)
    wishes = len(owner.expansions)
    owner.tell(again(call))
    owner.expand(PLAN, data="2")
    assert isinstance(owner.answers[call.call], Accepted)
    assert len(owner.expansions) == wishes


def test_a_deletion_that_was_carried_out_is_not_unknown() -> None:
    owner = Owner(TaskSpec("a"))
    call = owner.next_call(Delete("i"))
    owner.tell(call)
    assert isinstance(owner.answers.pop(call.call), Accepted)
    owner.partition.load("i", InstanceLoaded(), owner.now)
    owner.tell(again(call))
    assert isinstance(owner.answers[call.call], Accepted)
