"""New data gives an instance another tree: what stays, what goes, what storage is told. One rule a test."""

from __future__ import annotations

from typing import Any

import pytest

from taskpath_proto.calls import Call
from taskpath_proto.commands import Accepted, Cancel, Delete, Execute, SetContextUpdaters, UpdateInstance
from taskpath_proto.errors import TaskpathError
from taskpath_proto.plan import Handler, Plan, TaskSpec
from taskpath_proto.values import Inline
from taskpath_proto.work import HandlerFinished
from tests.support.scheduler_play import FAR, Play, always_fails, group, sequence
from tests.unit.scheduler.test_outside import EPOCH, Owner

T = TaskSpec


def known(play: Play) -> dict[str, Any]:
    """What the owner knows of its tasks."""
    instance = play.partition.instances["i"]
    assert instance is not None
    return {
        path: (node.status, node.bound, node.left, node.attempt, node.group and node.group.own)
        for path, node in instance.tree.nodes.items()
    }


def check_stored(play: Play) -> None:
    """Another owner knows of the tasks what this one knows."""
    before = known(play)
    play.crash()
    play.ask(UpdateInstance("i", name="loaded"))
    assert known(play) == before


def test_subtasks_of_items_stay() -> None:
    play = Play(group("all", T("x"), foreach="list"), T("b"), base={"list": [1, 2]})
    play.execute()
    play.replant(group("all", T("x"), foreach="list"), T("b"))
    assert play.statuses("#.all[0].x", "#.all[1].x", "#.all") == "ok ok ok"
    assert play.stale() == set()
    check_stored(play)


def test_a_group_that_gets_another_task_is_not_done_any_more_in_storage_either() -> None:
    play = Play(group("g", T("x")), T("b"))
    play.execute()
    play.replant(group("g", T("x"), T("y")), T("b"))
    assert (play.statuses("#.g", "#.g.x", "#"), play.status) == ("inactive ok inactive", "inactive")
    assert play.stale() == {"#.b"}
    check_stored(play)


def test_another_kind_of_task_in_the_same_place_is_another_task() -> None:
    play = Play(T("a"), T("b"))
    play.execute()
    play.replant(group("a", T("x")), T("b"))
    assert play.events[-1].removed == ["#.a"]
    assert (play.task("#.a").attempt, play.task("#.a").body) == (0, None)
    check_stored(play)


def test_items_of_another_kind_are_other_items_of_the_same_list() -> None:
    play = Play(T("all", foreach="list"), T("b"), base={"list": [1, 2]})
    play.execute()
    play.replant(group("all", T("x"), foreach="list"), T("b"))
    assert play.events[-1].removed == ["#.all[0]", "#.all[1]"]
    assert (play.statuses("#.all"), play.task("#.all").count, play.task("#.all").bounds) == (
        "inactive",
        2,
        (),
    )
    check_stored(play)


def test_a_group_that_loses_its_function_keeps_its_subtasks_and_no_result() -> None:
    play = Play(group("g", T("x"), run=True), T("b"), updates={"#.g": lambda _: [{"n": {"$set": 1}}]})
    play.execute()
    play.replant(group("g", T("x")), T("b"))
    task = play.task("#.g")
    assert (task.own, task.body, task.updaters, str(task.status)) == (None, None, None, "ok")
    assert play.statuses("#.g.x") == "ok"
    check_stored(play)


def test_a_group_that_gets_a_function_has_it_to_run() -> None:
    play = Play(group("g", T("x")), T("b"))
    play.execute()
    play.replant(group("g", T("x"), run=True), T("b"))
    assert (str(play.task("#.g").own), play.statuses("#.g")) == ("inactive", "inactive")
    check_stored(play)


def test_a_group_that_is_done_now_that_its_failed_task_is_gone_hands_on_what_it_has() -> None:
    play = Play(group("g", T("x"), T("y")), T("b"))
    play.execute()
    play.does["#.g.y"] = always_fails
    play.execute("#.g")
    play.replant(group("g", T("x")), T("b"))
    assert (play.statuses("#.g"), play.stale()) == ("ok", {"#.b"})
    check_stored(play)


def test_an_empty_list_stays_read() -> None:
    play = Play(sequence("s", T("all", foreach="list")), T("b"), base={"list": []})
    play.execute()
    play.replant(sequence("s", T("all", foreach="list")), T("b"))
    assert (play.status, play.stale()) == ("done", set())


def test_a_foreach_has_no_updaters_of_its_own() -> None:
    play = Play(T("all", foreach="list"), base={"list": [1]})
    play.execute()
    refused = play.ask(SetContextUpdaters("i", "#.all", Inline("[]")))
    assert isinstance(refused, TaskpathError)
    assert refused.code == "INVALID_REQUEST"
    assert isinstance(play.ask(SetContextUpdaters("i", "#.all[0]", Inline("[]"))), Accepted)


# What an end within a batch means.


def test_a_failure_is_recorded_though_the_next_execute_came_with_it() -> None:
    owner = Owner(T("a"), handlers=(Handler.ERROR,))
    owner.fails.add("#.a")
    owner.held = True
    owner.call(Execute("i"))
    owner.held = False
    reports = owner.work_of(owner.orders[-1])
    owner.held = True
    owner.tell(*reports, owner.next_call(Execute("i")))
    assert [one.handler for one in owner.handlers] == ["error"]
    statuses = [event.instance.status for event in owner.events[-2:] if event.instance]  # type: ignore[union-attr]
    assert statuses == ["failed", "working"]


def test_what_a_batch_wants_run_and_cancelled_is_neither() -> None:
    play = Play(T("a"))
    play.held.add("#.a")
    play.tell(Call(Execute("i"), "r", 98, FAR), Call(Cancel("i"), "r", 99, FAR))
    assert (play.sent, play.cancelled, play.statuses("#.a")) == ([], [], "cancelled")


@pytest.mark.parametrize("handled", [True, False])
def test_an_ephemeral_instance_that_has_ended_is_known_to_have_to_go(handled: bool) -> None:
    owner = Owner(T("a"), handlers=(Handler.COMPLETE,) if handled else (), ephemeral=True)
    owner.call(Execute("i"))
    if handled:
        changed = owner.events[-1]
        assert changed.instance is not None  # type: ignore[union-attr]
        assert not changed.instance.deleting  # type: ignore[union-attr]
        owner.tell(HandlerFinished("i", EPOCH, owner.handlers[0].command))
    assert owner.events[-2].instance.deleting  # type: ignore[union-attr]


def test_an_update_that_waits_for_its_tree_when_the_instance_goes_is_answered() -> None:
    owner = Owner(T("a"), handlers=(Handler.COMPLETE,), ephemeral=True)
    owner.call(Execute("i"))
    assert owner.call(UpdateInstance("i", Inline('{"$set":2}'))) is None
    update = owner.calls
    assert owner.call(Execute("i")) is None
    owner.tell(HandlerFinished("i", EPOCH, owner.handlers[0].command))
    for number in (update, update + 1):
        answer = owner.answers[number]
        assert isinstance(answer, TaskpathError)
        assert answer.code == "UNKNOWN_INSTANCE"


def test_a_failure_of_a_handler_that_is_told_twice_counts_once() -> None:
    owner = Owner(T("a"), handlers=(Handler.COMPLETE,))
    owner.call(Execute("i"))
    failed = owner.failed(owner.handlers[0])
    owner.tell(failed, failed)
    owner.tell(failed)
    assert [one.tries for one in owner.instance.handlers.values()] == [1]
    owner.fire()
    assert len(owner.handlers) == 2


def test_a_deleted_instance_that_waits_for_its_handler_runs_nothing_more() -> None:
    owner = Owner(T("a"), T("b"), handlers=(Handler.DELETE,))
    owner.held = True
    owner.call(Execute("i"))
    reports = owner.work_of(owner.orders[-1])
    owner.call(Delete("i"))
    sent = len(owner.orders)
    owner.tell(*reports)
    assert len(owner.orders) == sent


def test_a_deleted_instance_that_waits_for_its_handler_has_nothing_waiting_in_its_window() -> None:
    owner = Owner(
        T("g", run=False, subtasks=tuple(T(f"t{number}") for number in range(300))),
        handlers=(Handler.DELETE,),
    )
    owner.held = True
    owner.call(Execute("i"))
    sent = len(owner.orders)
    owner.call(Delete("i"))
    owner.tell(owner.failed(owner.handlers[0]))
    assert len(owner.orders) == sent


def test_a_plan_is_asked_for_with_the_data_that_is_there() -> None:
    owner = Owner(T("a"))
    owner.call(UpdateInstance("i", Inline('{"$set":2}')))
    owner.expand(Plan((T("a"),)), data="2")
    owner.call(UpdateInstance("i", Inline('{"$set":3}')))
    assert owner.expansions[-1].data == Inline("2")
