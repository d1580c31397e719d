"""Running a path: staleness, modes, what stands before, arguments. One rule a test."""

from __future__ import annotations

from typing import Any

import pytest

from taskpath.staleness import stale_of
from taskpath_proto.errors import TaskpathError
from taskpath_proto.plan import TaskSpec
from tests.support.scheduler_play import Play, always_fails, fails_until, group, sequence

T = TaskSpec


def chain(**fields: Any) -> Play:
    play = Play(T("a"), T("b"), T("c"), **fields)
    play.execute()
    return play


def test_running_a_task_again_makes_what_follows_stale_and_not_itself() -> None:
    play = chain()
    play.execute("#.b")
    assert (play.ran, play.stale()) == (["#.b"], {"#.c"})
    assert play.status == "done"


def test_all_runs_everything_at_or_under_the_path_in_order() -> None:
    play = Play(T("a"), sequence("s", T("x"), T("y")), T("c"))
    play.execute()
    play.execute("#.s")
    assert (play.ran, play.stale()) == (["#.s.x", "#.s.y"], {"#.c"})


def test_stale_runs_only_what_is_not_done_or_stale() -> None:
    play = Play(T("a"), group("g", T("x"), T("y")), T("c"))
    play.execute()
    play.execute("#.g.x")
    play.execute(mode="stale")
    assert (play.ran, play.stale()) == (["#.c"], set())
    play.execute(mode="stale")
    assert play.ran == []


def test_stale_resumes_after_a_failure() -> None:
    play = chain(does={"#.b": fails_until(2)})
    assert play.statuses("#.a", "#.b", "#.c") == "ok failed inactive"
    play.execute(mode="stale")
    assert (play.ran, play.status) == (["#.b", "#.c"], "done")


def test_failed_runs_what_failed_and_then_what_that_held_up_wherever_it_is() -> None:
    play = Play(
        sequence("s", T("x"), T("y"), T("z")), group("g", T("w")), T("c"), does={"#.s.y": fails_until(2)}
    )
    play.execute()
    play.execute("#.s.y", mode="failed")
    assert (play.ran, play.status) == (["#.s.y", "#.s.z", "#.g.w", "#.c"], "done")


def test_failed_leaves_alone_what_never_ran_for_another_reason() -> None:
    play = Play(T("before"), group("g", T("x"), T("y")), does={"#.g.x": fails_until(2)})
    play.execute("#.g.x", upstream="ignore")
    play.execute("#.g.x", mode="failed", upstream="ignore")
    assert (play.ran, play.statuses("#.before", "#.g.x", "#.g.y")) == (["#.g.x"], "inactive ok inactive")


def test_failed_without_a_failure_runs_nothing() -> None:
    play = chain()
    play.execute("#.a")
    play.execute(mode="failed")
    assert play.ran == []


def test_failed_stops_where_something_else_has_failed() -> None:
    play = Play(group("g", T("x"), T("y")), T("c"), does={"#.g.x": fails_until(2), "#.g.y": always_fails})
    play.execute()
    play.execute("#.g.x", mode="failed")
    assert (play.ran, play.statuses("#.c")) == (["#.g.x"], "inactive")


@pytest.mark.parametrize("mode", ["all", "stale", "failed"])
def test_what_stands_before_must_be_done_and_fresh_and_the_first_that_is_not_is_named(mode: str) -> None:
    play = Play(T("a"), group("g", T("x"), T("y")), T("c"), does={"#.g.y": always_fails})
    assert play.refused("#.c", mode) == ("CANNOT_START_TASK", "#.a")
    play.execute()
    assert play.refused("#.c", mode) == ("CANNOT_START_TASK", "#.g")
    play.does.clear()
    play.execute("#.g.y")
    play.execute("#.a")
    assert play.refused("#.c", mode) == ("CANNOT_START_TASK", "#.g.x")
    assert play.stale() == {"#.g", "#.g.x", "#.g.y"}


def test_the_function_of_a_group_stands_before_its_subtasks() -> None:
    play = Play(group("g", T("x"), run=True))
    assert play.refused("#.g.x") == ("CANNOT_START_TASK", "#.g")


def test_parallel_siblings_do_not_stand_before_each_other() -> None:
    play = Play(group("g", T("x"), T("y"), T("z")), does={"#.g.x": always_fails})
    play.execute("#.g.y")
    assert play.ran == ["#.g.y"]


def test_upstream_run_runs_what_is_missing_first() -> None:
    play = Play(T("a"), group("g", T("x"), T("y"), run=True), T("c"))
    play.execute("#.g.y", upstream="run")
    assert (play.ran, play.statuses("#.g.x", "#.c")) == (["#.a", "#.g", "#.g.y"], "inactive inactive")
    play.execute("#.c", upstream="run")
    assert play.ran == ["#.g.x", "#.c"]
    play.execute("#.c", upstream="run")
    assert play.ran == ["#.c"]


def test_upstream_run_goes_with_every_mode() -> None:
    play = chain(does={"#.c": fails_until(2)})
    play.execute("#.a")
    play.execute("#.c", mode="failed", upstream="run")
    assert (play.ran, play.status) == (["#.b", "#.c"], "done")


def test_upstream_ignore_runs_anyway() -> None:
    play = Play(T("a"), T("b"))
    play.execute("#.b", upstream="ignore")
    assert (play.ran, play.argument("#.b"), play.status) == (["#.b"], None, "inactive")
    assert play.stale() == {"#.b"}


def test_an_unknown_path_or_a_pattern_that_matches_nothing_cannot_be_found() -> None:
    play = Play(T("a"), T("all", foreach="list"), base={"list": [1, 2]})
    play.execute()
    for path in ("#.b", "#.a.x", "#.all[2]", "#.all[*].x", "#.**.z"):
        assert play.refused(path, upstream="run") == ("CANNOT_FIND_TASK", path)


def test_an_item_that_is_not_there_yet_is_found_if_upstream_run_produces_it() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": ["p", "q"]})
    assert play.refused("#.all[1]") == ("CANNOT_FIND_TASK", "#.all[1]")
    play.execute("#.all[1]", upstream="run")
    assert (play.ran, play.argument("#.all[1]")) == (["#.list", "#.all", "#.all[1]"], "q")
    assert play.statuses("#.all[0]", "#.all[1]") == "inactive ok"


def test_a_failure_stops_the_later_tasks_of_a_pattern_in_its_sequence() -> None:
    play = Play(sequence("g", T("x")), sequence("h", T("x")), sequence("i", T("x")))
    play.execute()
    play.does["#.g.x"] = always_fails
    play.execute("#.*.x")
    assert (play.ran, play.statuses("#.h.x")) == (["#.g.x"], "ok")


def test_only_tasks_outside_the_pattern_can_make_it_fail() -> None:
    play = Play(group("g", T("x"), T("y")), group("h", T("x")))
    assert play.refused("#.*.x") == ("CANNOT_START_TASK", "#.g.y")
    play.execute("#.g.y")
    play.execute("#.*.x")
    assert play.ran == ["#.g.x", "#.h.x"]


def test_nested_matches_merge() -> None:
    play = Play(group("g", group("g", T("x"))))
    play.execute("#.**")
    assert play.ran == ["#.g.g.x"]


def test_what_runs_already_is_refused_with_its_path_and_disjoint_parts_may_run_side_by_side() -> None:
    play = Play(group("g", T("x"), T("y")), T("c"))
    play.held |= {"#.g.x", "#.g.y"}
    play.execute("#.g.x")
    assert play.refused("#.g.x") == ("ALREADY_RUNNING", "#.g.x")
    assert play.refused("#.g") == ("ALREADY_RUNNING", "#.g.x")
    play.execute("#.g.y")
    assert play.statuses("#.g.x", "#.g.y") == "queued queued"


def test_two_calls_that_need_nothing_before_them_may_run_the_same_upstream_side_by_side() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": [1, 2]})
    play.execute()
    play.held |= {"#.all[0]", "#.all[1]"}
    play.execute("#.all[0]", upstream="run")
    play.execute("#.all[1]", upstream="run")
    assert play.statuses("#.all[0]", "#.all[1]") == "queued queued"


def test_an_argument_replaces_that_of_the_first_step_that_runs() -> None:
    play = Play(T("a"), group("g", T("x"), sequence("s", T("y"), T("z"))), T("c"))
    play.execute(argument="given")
    assert (play.argument("#.a"), play.argument("#.g.x")) == ("given", "a1")
    play.execute("#.g", argument="given")
    assert [play.argument(path) for path in ("#.g.x", "#.g.s.y", "#.g.s.z")] == ["given", "given", "y2"]


def test_a_skipped_task_does_not_use_the_argument_up() -> None:
    play = Play(T("a", condition=True), T("b"), T("c"), when={"#.a": lambda context: False})
    play.execute(argument="given")
    assert (play.argument("#.b"), play.argument("#.c")) == ("given", "b1")


def test_an_argument_is_refused_with_a_pattern_of_items() -> None:
    play = Play(T("all", foreach="list"), base={"list": [1]})
    play.execute()
    with pytest.raises(TaskpathError, match="each item of a foreach receives its own"):
        play.execute("#.all[*]", argument="given")
    play.execute("#.all[0]", argument="given")
    assert play.argument("#.all[0]") == "given"


def test_running_one_subtask_again_joins_its_group_anew() -> None:
    play = Play(group("g", T("x"), T("y")), T("c"))
    play.execute()
    left = play.task("#.g").left
    play.execute("#.g.x")
    assert play.task("#.g").left > left
    assert play.stale() == {"#.c"}
    play.execute("#.c")
    assert play.argument("#.c") == {"x": "x2", "y": "y1"}


def test_the_join_rises_with_the_last_outstanding_subtask_whichever_call_ran_it() -> None:
    play = Play(group("g", T("x"), T("y")), T("c"))
    play.execute()
    left = play.task("#.g").left
    play.held |= {"#.g.x", "#.g.y"}
    play.execute("#.g.x")
    play.execute("#.g.y", mode="all")
    play.finish("#.g.x")
    assert play.task("#.g").left == left
    play.finish("#.g.y")
    assert play.task("#.g").left > left


def test_the_join_rises_even_if_the_call_that_ends_last_ran_nothing() -> None:
    play = Play(T("all", foreach="list", max_parallel=1), T("end"), base={"list": [1, 2]})
    play.execute()
    left = play.task("#.all").left
    play.held.add("#.all[0]")
    play.execute("#.all[0]")
    play.execute("#.all[1]", mode="stale")
    play.finish("#.all[0]")
    assert play.task("#.all").left > left
    assert play.stale() == {"#.end"}


def test_running_one_item_again_leaves_the_others_fresh() -> None:
    play = Play(T("list"), T("all", foreach=True), T("end"), does={"#.list": [1, 2, 3]})
    play.execute()
    play.execute("#.all[1]")
    assert (play.ran, play.stale()) == (["#.all[1]"], {"#.end"})


def test_a_group_whose_function_runs_again_makes_its_subtree_stale() -> None:
    play = Play(group("g", T("x"), sequence("s", T("y")), run=True))
    play.execute()
    play.held.add("#.g")
    play.execute("#.g")
    play.cancel("#.g")
    play.execute("#.g", mode="stale")
    play.finish("#.g")
    assert play.statuses("#.g", "#.g.x", "#.g.s.y") == "ok ok ok"
    assert play.task("#.g.x").attempt == 2


def test_a_foreach_reads_its_list_again_only_if_something_before_is_newer() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": ["p", "q"]})
    play.execute()
    play.execute("#.all[0]")
    play.execute("#.all", mode="stale")
    assert play.ran == []
    play.does["#.list"] = ["p", "q", "r"]
    play.execute("#.list")
    assert play.stale() == {"#.all", "#.all[0]", "#.all[1]"}
    play.execute("#.all[0]")
    assert (play.ran, play.stale()) == (["#.all", "#.all[0]"], {"#.all", "#.all[1]"})
    play.execute(mode="stale")
    assert play.ran == ["#.all[1]", "#.all[2]"]


def test_the_items_beyond_a_shorter_list_are_removed() -> None:
    play = Play(T("list"), T("all", foreach=True), T("end"), does={"#.list": [1, 2, 3]})
    play.execute()
    play.does["#.list"] = [1]
    play.execute(mode="all")
    assert [path for event in play.events for path in event.removed] == ["#.all[1]", "#.all[2]"]
    assert play.argument("#.end") == ["all[0]2"]
    rollup = play.task("#").rollup
    assert rollup is not None
    assert rollup.total == 3


def test_a_task_that_started_on_old_inputs_and_ended_after_they_changed_is_stale() -> None:
    play = Play(T("a"), T("b"))
    play.execute()
    play.held.add("#.b")
    play.execute("#.b")
    play.execute("#.a")
    play.finish("#.b")
    assert (play.argument("#.b"), play.stale()) == ("a1", {"#.b"})


def test_what_a_run_starts_on_inputs_that_another_run_has_changed_meanwhile_is_stale() -> None:
    play = Play(
        T("a", context_var="v"),
        sequence("g", T("x")),
        sequence("h", T("x")),
        T("end"),
        does={"#.a": _counted()},
    )
    play.execute()
    play.held.add("#.g.x")
    play.execute("#.*.x")
    play.execute("#.a")
    play.finish("#.g.x")
    assert play.ran[-1] == "#.h.x"
    assert play.context("#.h.x")["v"] == "a1"
    assert {"#.g.x", "#.h.x"} <= play.stale()
    play.execute(mode="stale")
    assert play.context("#.h.x")["v"] == "a2"
    assert play.stale() == set()


def _counted() -> Any:
    return lambda argument, context, attempt: f"a{attempt}"


def test_a_run_side_by_side_sees_what_a_task_left_while_it_runs_again() -> None:
    play = Play(T("a"), group("g", T("x"), T("y")))
    play.execute()
    play.held.add("#.a")
    play.execute("#.a")
    play.execute("#.g.x", upstream="ignore")
    assert (play.argument("#.g.x"), play.stale() >= {"#.g.x"}) == ("a1", True)


def test_max_parallel_holds_for_all_executes_together() -> None:
    play = Play(T("all", foreach="list", max_parallel=1), base={"list": [1, 2]})
    play.execute()
    play.held |= {"#.all[0]", "#.all[1]"}
    play.execute("#.all[0]")
    play.execute("#.all[1]")
    assert play.statuses("#.all[0]", "#.all[1]") == "queued ok"
    play.finish("#.all[0]")
    assert play.statuses("#.all[0]", "#.all[1]") == "ok queued"


def test_the_stale_items_of_a_collapsed_foreach_are_counted_right_with_runs_side_by_side() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": [1, 2, 3]})
    play.execute()
    play.execute("#.list")
    play.held.add("#.all[0]")
    play.execute("#.all[0]")
    play.execute("#.all[1]")
    play.finish("#.all[0]")
    collapsed = {path: task for path, task in play.shelf.tasks.items() if "[" not in path}
    assert play.stale() == {"#.all", "#.all[2]"}
    assert stale_of(play.shelf.record.plan, collapsed)["#.all"] == 1


def test_what_is_skipped_in_an_item_is_counted_with_the_execute_that_skipped_it() -> None:
    answers = iter([True, True, False, False])
    items = group("all", group("g", T("x"), condition=True), foreach=True)
    play = Play(T("list"), items, does={"#.list": [1, 2]}, when={"#.all.g": lambda context: next(answers)})
    play.execute()
    play.execute()
    assert play.statuses("#.all[0].g.x", "#.all[1].g.x") == "skipped skipped"
    ((bound, count),) = play.task("#.all").bounds
    assert (count, bound > play.task("#.list").left) == (2, True)


def test_a_list_is_not_read_while_another_run_is_at_its_items() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": [1, 2, 3]})
    play.execute()
    play.held.add("#.all[2]")
    play.execute("#.all[2]")
    play.does["#.list"] = [1]
    play.execute("#.list")
    play.execute("#.all[0]")
    assert play.ran == ["#.all[0]"]
    play.finish("#.all[2]")
    assert play.statuses("#.all[2]") == "ok"
