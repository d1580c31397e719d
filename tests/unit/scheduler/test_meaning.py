"""What a workflow means: order, arguments, foreach, context, conditions, joins. One rule a test."""

from __future__ import annotations

from typing import Any

from taskpath_proto.events import ExecutorAnnounced
from taskpath_proto.plan import TaskSpec
from taskpath_proto.values import Inline
from tests.support.scheduler_play import Play, always_fails, group, sequence

T = TaskSpec


def test_root_tasks_run_one_after_the_other_and_each_gets_the_result_before_it() -> None:
    play = Play(T("a"), T("b"), T("c"), data={"album": 7})
    play.execute()
    assert play.ran == ["#.a", "#.b", "#.c"]
    assert [play.argument(path) for path in play.ran] == [{"album": 7}, "a1", "b1"]
    assert play.status == "done"


def test_a_group_runs_its_own_function_and_then_its_subtasks_in_parallel() -> None:
    play = Play(group("g", T("x"), T("y"), run=True))
    play.held |= {"#.g", "#.g.x", "#.g.y"}
    play.execute()
    assert play.statuses("#.g", "#.g.x", "#.g.y") == "queued inactive inactive"
    play.finish("#.g")
    assert play.statuses("#.g", "#.g.x", "#.g.y") == "queued queued queued"
    play.start("#.g.y")
    assert play.statuses("#.g", "#.g.x", "#.g.y") == "running queued running"
    play.finish("#.g.y")
    play.finish("#.g.x")
    assert play.statuses("#.g", "#.g.x", "#.g.y") == "ok ok ok"


def test_a_sequential_group_runs_its_subtasks_one_after_the_other() -> None:
    play = Play(sequence("s", T("x"), T("y")))
    play.held.add("#.s.x")
    play.execute()
    assert play.statuses("#.s.x", "#.s.y") == "queued inactive"
    play.finish("#.s.x")
    assert (play.argument("#.s.x"), play.argument("#.s.y")) == ("data", "x1")


def test_parallel_subtasks_get_the_parents_own_result_or_its_argument_if_it_has_no_function() -> None:
    play = Play(T("a"), group("g", T("x"), T("y"), run=True), group("h", T("x"), T("y")))
    play.execute()
    assert [play.argument(f"#.g.{name}") for name in "xy"] == ["g1", "g1"]
    assert [play.argument(f"#.h.{name}") for name in "xy"] == [{"x": "x1", "y": "y1"}] * 2


def test_what_follows_a_group_gets_its_subtasks_results_by_name() -> None:
    play = Play(group("g", T("x"), sequence("s", T("y"), T("z")), run=True), T("end"))
    play.execute()
    assert play.argument("#.end") == {"x": "x1", "s": {"y": "y1", "z": "z1"}}


def test_a_foreach_makes_a_task_of_each_item_and_hands_on_their_results_in_item_order() -> None:
    play = Play(T("list"), T("all", foreach=True), T("end"), does={"#.list": ["p", "q", "r"]})
    play.held |= {"#.all[0]", "#.all[2]"}
    play.execute()
    assert play.statuses("#.all", "#.all[1]") == "queued ok"
    play.finish("#.all[2]")
    play.finish("#.all[0]")
    assert [play.argument(f"#.all[{index}]") for index in range(3)] == ["p", "q", "r"]
    assert play.argument("#.end") == ["all[0]1", "all[1]1", "all[2]1"]


def test_a_foreach_by_name_reads_the_list_in_the_context() -> None:
    play = Play(T("list", context_var="photos"), T("b"), T("all", foreach="photos"), does={"#.list": [1, 2]})
    play.execute()
    assert play.statuses("#.all", "#.all[0]", "#.all[1]") == "ok ok ok"


def test_a_foreach_over_what_is_no_list_fails() -> None:
    play = Play(T("a"), T("all", foreach=True), T("b"))
    play.execute()
    assert play.statuses("#.all", "#.b") == "failed inactive"


def test_an_item_may_have_subtasks_which_get_the_item() -> None:
    play = Play(T("list"), group("all", T("x"), T("y"), foreach=True), T("end"), does={"#.list": ["p", "q"]})
    play.execute()
    assert play.argument("#.all[1].y") == "q"
    assert play.argument("#.end") == [{"x": "x1", "y": "y1"}] * 2


def test_a_foreach_may_stand_in_a_foreach() -> None:
    inner = T("row", foreach=True)
    play = Play(T("list"), group("all", inner, foreach=True), T("end"), does={"#.list": [["p", "q"], []]})
    play.execute()
    assert play.argument("#.all[0].row[1]") == "q"
    assert play.argument("#.end") == [{"row": ["row[0]1", "row[1]1"]}, {"row": []}]


def test_max_parallel_bounds_how_many_items_run_at_once() -> None:
    play = Play(T("all", foreach="list", max_parallel=2), base={"list": [1, 2, 3, 4]})
    play.held |= {f"#.all[{index}]" for index in range(4)}
    play.execute()
    assert play.statuses(*(f"#.all[{index}]" for index in range(4))) == "queued queued inactive inactive"
    play.finish("#.all[1]")
    assert play.statuses(*(f"#.all[{index}]" for index in range(4))) == "queued ok queued inactive"


def test_the_items_of_a_foreach_are_let_out_by_a_window() -> None:
    play = Play(T("all", foreach="list"), base={"list": list(range(1000))})
    play.held |= {f"#.all[{index}]" for index in range(1000)}
    play.execute()
    assert len(play.sent) == 1 + 256
    for index in range(63):
        play.finish(f"#.all[{index}]")
    assert len(play.sent) == 1 + 256
    play.finish("#.all[100]")
    assert [order.path for _, order in play.sent[257:]] == [f"#.all[{index}]" for index in range(256, 320)]


def test_a_window_is_as_large_as_the_executors_of_the_queue_need_it() -> None:
    play = Play(T("all", foreach="list"), base={"list": list(range(2000))})
    play.held |= {f"#.all[{index}]" for index in range(2000)}
    play.tell(ExecutorAnnounced("e1", ("elsewhere",), (), 0, play.now, concurrency=900))
    play.execute()
    assert len(play.sent) == 1 + 256
    play.tell(ExecutorAnnounced("e2", ("default",), (), 0, play.now, concurrency=300))
    assert len(play.sent) == 1 + 600
    for index in range(149):
        play.finish(f"#.all[{index}]")
    assert len(play.sent) == 1 + 600
    play.finish("#.all[149]")
    assert len(play.sent) == 1 + 750


def test_a_message_says_the_list_of_its_items_once() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": list(range(1000))})
    play.held |= {f"#.all[{index}]" for index in range(1000)}
    play.execute()
    items = [message for message in play.messages if message.orders[0].path.startswith("#.all[")]
    assert [order.argument for message in items for order in message.orders] == list(range(256))
    assert {play.shelf.read(message.items)[-1] for message in items} == {999}
    assert play.shelf.read(items[0].argument_of(items[0].orders[3])) == 3


def test_a_task_sees_the_base_context_and_what_the_tasks_before_it_left_in_tree_order() -> None:
    play = Play(
        T("a", context_var="v"),
        T("b", context_var="v"),
        T("c", context_vars=("k",)),
        T("end"),
        does={"#.c": {"k": 1, "hidden": 2}},
        base={"base": True},
    )
    play.execute()
    assert play.context("#.a") == {"base": True}
    assert play.context("#.c") == {"base": True, "v": "b1"}
    assert play.context("#.end") == {"base": True, "v": "b1", "k": 1}


def test_dest_is_seen_by_the_subtasks() -> None:
    play = Play(group("g", T("x"), run=True, dest="here"), T("end"))
    play.execute()
    assert play.context("#.g.x") == {"here": "g1"}
    assert play.context("#.end") == {}


def test_what_parallel_subtasks_leave_is_applied_in_tree_order_whenever_they_end() -> None:
    play = Play(
        group("g", T("x", context_var="v"), T("y", context_var="v")),
        T("end"),
        updates={"#.g.x": lambda result: [{"trail": {"$push": [result]}}], "#.g.y": _trail},
        base={"trail": []},
    )
    play.held |= {"#.g.x", "#.g.y"}
    play.execute()
    play.finish("#.g.y")
    play.finish("#.g.x")
    assert play.context("#.g.x") == {"trail": []}
    assert play.context("#.end") == {"trail": ["x1", "y1"], "v": "y1"}


def test_updaters_fit_together_on_what_the_tasks_before_have_left() -> None:
    play = Play(
        T("list", context_var="found"),
        group("g", T("x"), T("y")),
        does={"#.list": []},
        updates={f"#.g.{name}": lambda result: [{"found": {"$push": [result]}}] for name in "xy"},
    )
    play.execute()
    assert (play.status, play.statuses("#.g")) == ("done", "ok")


def test_updaters_that_do_not_fit_together_fail_the_parent_until_they_do() -> None:
    clash = {"b": True}
    play = Play(
        group("g", T("x"), T("y"), T("z")),
        T("end"),
        updates={
            "#.g.x": lambda result: [{"list": {"$set": "gone"}}],
            "#.g.y": lambda result: [{"list": {"$push" if clash["b"] else "$set": [1]}}],
        },
        base={"list": []},
    )
    play.execute()
    assert play.statuses("#.g", "#.g.x", "#.g.y", "#.g.z", "#.end") == "failed ok ok ok inactive"
    error = play.task("#.g").error
    assert error is not None
    assert (str(error.code), error.path) == ("EXECUTION_FAILED", "#.g.y")
    assert play.refused("#.end") == ("CANNOT_START_TASK", "#.g")
    play.execute(mode="failed")
    assert (play.ran, play.statuses("#.g", "#.end")) == ([], "failed inactive")
    clash["b"] = False
    play.execute("#.g.y")
    assert (play.ran, play.statuses("#.g", "#.end")) == (["#.g.y"], "ok inactive")
    assert play.task("#.g").error is None
    play.execute(mode="stale")
    assert (play.ran, play.context("#.end")) == (["#.end"], {"list": [1]})


def test_a_check_of_a_join_is_cancelled_and_made_again() -> None:
    play = Play(
        group("g", T("x"), T("y")),
        T("end"),
        updates={"#.g.x": _trail, "#.g.y": _trail},
        base={"trail": []},
    )
    play.held.add("#.g")
    play.execute()
    assert play.statuses("#.g", "#.g.x", "#.end") == "queued ok inactive"
    play.crash()
    assert play.statuses("#.g", "#.g.x", "#.end") == "queued ok inactive"
    play.cancel("#.g")
    assert play.statuses("#.g", "#.g.x", "#.end") == "cancelled ok inactive"
    play.held.clear()
    play.execute(mode="stale")
    assert (play.ran, play.status) == (["#.end"], "done")
    assert play.context("#.end") == {"trail": ["x1", "y1"]}


def _trail(result: Any) -> list[Any]:
    return [{"trail": {"$push": [result]}}]


def test_a_foreach_leaves_its_list_and_its_items_leave_their_updaters() -> None:
    play = Play(
        T("all", foreach="list", context_var="results"),
        T("end"),
        updates={"#.all": _trail},
        base={"list": [1, 2], "trail": []},
    )
    play.execute()
    expected = ["all[0]1", "all[1]1"]
    assert play.context("#.end") == {"list": [1, 2], "trail": expected, "results": expected}


def test_a_false_condition_skips_and_the_argument_passes_through() -> None:
    play = Play(T("a"), T("b", condition=True), T("c"), when={"#.b": lambda context: False})
    play.execute()
    assert play.statuses("#.b", "#.c") == "skipped ok"
    assert play.argument("#.c") == "a1"
    assert (play.result("#.b"), play.task("#.b").attempt, play.status) == (None, 0, "done")


def test_a_skipped_group_skips_all_below_and_the_argument_passes_through() -> None:
    inner = sequence("s", T("y"), T("z"))
    play = Play(
        T("a"), group("g", T("x"), inner, condition=True), T("c"), when={"#.g": lambda context: False}
    )
    play.execute()
    assert play.statuses("#.g", "#.g.x", "#.g.s", "#.g.s.z") == "skipped skipped skipped skipped"
    assert play.argument("#.c") == "a1"


def test_a_skipped_parallel_subtask_has_no_entry_in_the_joined_dict() -> None:
    play = Play(group("g", T("x", condition=True), T("y")), T("end"), when={"#.g.x": lambda context: False})
    play.execute()
    assert (play.statuses("#.g"), play.argument("#.end")) == ("ok", {"y": "y1"})


def test_a_group_whose_function_ran_and_whose_subtasks_were_skipped_is_ok_and_empty() -> None:
    skip = {"#.g.x": lambda context: False}
    play = Play(group("g", T("x", condition=True), run=True), T("end"), when=skip)
    play.execute()
    assert (play.statuses("#.g"), play.argument("#.end")) == ("ok", {})


def test_a_group_without_a_function_whose_subtasks_were_all_skipped_is_skipped() -> None:
    skip = {"#.g": lambda context: True, "#.g.x": lambda context: False}
    play = Play(T("a"), group("g", T("x", condition=True), condition=True), T("end"), when=skip)
    play.execute()
    assert (play.statuses("#.g"), play.argument("#.end")) == ("skipped", "a1")


def test_an_empty_list_is_ok_and_so_are_empty_groups_and_empty_workflows() -> None:
    play = Play(T("all", foreach="list"), group("g"), T("end"), base={"list": []})
    play.execute()
    assert (play.statuses("#.all", "#.g"), play.argument("#.end")) == ("ok ok", {})
    empty = Play()
    empty.execute()
    assert empty.status == "done"


def test_a_foreach_evaluates_its_condition_once_before_it_reads_the_list() -> None:
    play = Play(
        group("all", T("x"), foreach="list", condition=True),
        when={"#.all": lambda context: True},
        base={"list": [1, 2]},
    )
    play.execute()
    assert play.ran.count("#.all?") == 1
    assert play.ran[:2] == ["#.all?", "#.all"]
    assert not any(path.endswith("]?") for path in play.ran)


def test_skipping_a_foreach_skips_its_items_which_are_gone() -> None:
    answers = iter([True, False])
    play = Play(
        T("all", foreach="list", condition=True),
        T("end"),
        when={"#.all": lambda context: next(answers)},
        base={"list": [1]},
    )
    play.execute()
    play.execute()
    assert (play.statuses("#.all"), play.argument("#.end")) == ("skipped", "data")
    assert play.task("#.all").count == 0
    assert [event.removed for event in play.events if event.removed] == [["#.all[0]"]]


def test_conditions_of_parallel_subtasks_see_the_parents_snapshot() -> None:
    seen: list[dict[str, Any]] = []

    def look(context: dict[str, Any]) -> bool:
        seen.append(context)
        return True

    play = Play(
        group("g", T("x", context_var="v"), T("y", condition=True)), when={"#.g.y": look}, base={"base": 1}
    )
    play.held.add("#.g.y")
    play.execute()
    play.finish("#.g.y")
    assert seen == [{"base": 1}]


def test_the_status_of_a_group_is_the_first_that_applies() -> None:
    play = Play(group("g", *(T(name) for name in "abcd")), does={"#.g.a": always_fails})
    play.held |= {"#.g.b", "#.g.c", "#.g.d"}
    play.execute()
    assert play.statuses("#.g") == "queued"
    play.start("#.g.b")
    assert play.statuses("#.g") == "running"
    play.finish("#.g.b")
    play.cancel("#.g.c")
    assert play.statuses("#.g") == "queued"
    play.finish("#.g.d")
    assert play.statuses("#.g", "#") == "failed failed"
    assert play.status == "failed"


def test_the_rollup_of_a_group_counts_the_tasks_below_and_not_the_groups() -> None:
    play = Play(T("a"), group("all", T("x"), T("y"), foreach="list"), base={"list": [1, 2, 3]})
    play.held.add("#.all[2].y")
    play.execute()
    rollup = play.task("#.all").rollup
    assert rollup is not None
    assert (rollup.total, rollup.ok, rollup.queued) == (6, 5, 1)
    progress = play.shelf.record.progress
    assert (progress.total, progress.done, progress.running) == (7, 6, 0)
    assert 0 < progress.fraction < 1


def test_a_large_join_is_a_reference_that_reads_as_what_it_is() -> None:
    inner = group("h", T("x"), T("y"), run=True)
    play = Play(
        group("g", inner, T("big")),
        T("end"),
        does={"#.g.big": "b" * 70_000, "#.g.h.x": "x" * 900, "#.g.h.y": "y" * 900},
    )
    play.execute()
    assert play.argument("#.end") == {"h": {"x": "x" * 900, "y": "y" * 900}, "big": "b" * 70_000}
    assert not isinstance(play.sent[-1][1].argument, Inline)


def test_an_item_whose_tasks_were_all_skipped_has_null_in_the_list() -> None:
    skip = {"#.all.x": lambda context: False}
    play = Play(
        group("all", T("x", condition=True), foreach="list"), T("end"), when=skip, base={"list": [1, 2]}
    )
    play.execute()
    assert (play.statuses("#.all", "#.all[0]"), play.argument("#.end")) == ("ok skipped", [None, None])
