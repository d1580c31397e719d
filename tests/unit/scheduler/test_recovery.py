"""Another owner takes over, with what is stored and nothing else. One rule a test."""

from __future__ import annotations

import pytest

from taskpath_proto.plan import RetrySpec, TaskSpec
from tests.support.scheduler_play import Failing, Play, always_fails, fails_until, group, sequence

T = TaskSpec
RETRY = RetrySpec(attempts=3, backoff=2.0, jitter=0.0)


def test_what_was_out_is_sent_again_as_the_same_attempt_and_what_was_done_is_not() -> None:
    play = Play(T("a"), T("b"), T("c"))
    play.held.add("#.b")
    play.execute()
    play.held.clear()
    play.crash()
    assert play.ran == ["#.b", "#.c"]
    assert (play.result("#.b"), play.argument("#.b"), play.status) == ("b1", "a1", "done")


def test_a_report_to_the_owner_before_is_dropped() -> None:
    play = Play(T("a"))
    play.held.add("#.a")
    play.execute()
    report = play.report("#.a")
    play.crash()
    play.tell(report)
    assert play.statuses("#.a") == "queued"
    play.finish("#.a")
    assert play.status == "done"


def test_a_task_that_waited_in_the_window_keeps_its_new_number() -> None:
    names = [f"t{number}" for number in range(300)]
    play = Play(group("g", *(T(name) for name in names)))
    play.execute()
    play.held |= {f"#.g.{name}" for name in names}
    play.execute()
    play.held.clear()
    play.crash()
    assert {play.result(f"#.g.{name}")[-1] for name in names} == {"2"}


def test_a_retry_goes_on_where_it_was() -> None:
    play = Play(T("a", retry=RETRY, condition=True), does={"#.a": always_fails}, when={"#.a": lambda _: True})
    play.execute()
    play.crash()
    assert play.ran == []
    play.wait(2)
    play.held.add("#.a")
    play.wait(4)
    play.held.clear()
    play.crash()
    assert (play.ran, play.statuses("#.a"), play.task("#.a").attempt) == (["#.a"], "failed", 3)


def test_a_new_execute_does_not_count_the_tries_of_the_one_before() -> None:
    play = Play(T("a", retry=RETRY), does={"#.a": fails_until(6)})
    play.execute()
    play.wait(2)
    play.wait(4)
    assert play.statuses("#.a") == "failed"
    play.held.add("#.a")
    play.execute()
    play.held.clear()
    play.crash()
    play.wait(2)
    play.wait(4)
    assert (play.statuses("#.a"), play.task("#.a").attempt) == ("ok", 6)


def test_the_callers_argument_is_not_used_twice() -> None:
    items = T("all", foreach=True)
    play = Play(group("g", T("x")), group("h", T("y"), run=True), T("list"), items, does={"#.list": [1, 2]})
    for held in ("#.h", "#.h.y", "#.list", "#.all[0]", "#.all[1]"):
        play.held = {held}
        play.execute(argument="given")
        play.held.clear()
        play.crash()
        assert play.argument("#.g.x") == "given"
        number = play.task("#.g.x").attempt
        assert play.argument("#.h") == {"x": f"x{number}"}
        assert play.argument("#.h.y") == f"h{number}"
        assert play.argument("#.list") == {"y": f"y{number}"}
        assert (play.argument("#.all[0]"), play.argument("#.all[1]")) == (1, 2)


def test_a_group_that_was_joined_is_not_joined_again() -> None:
    play = Play(group("g", T("x")), T("b"), T("c"))
    play.held.add("#.c")
    play.execute()
    left = play.task("#.g").left
    play.crash()
    play.finish("#.c")
    assert (play.task("#.g").left, play.stale()) == (left, set())


def test_a_group_half_done_is_joined_when_the_rest_is() -> None:
    play = Play(group("g", T("x"), T("y")), T("c"))
    play.execute()
    left = play.task("#.g").left
    play.held.add("#.g.y")
    play.execute("#.g")
    play.crash()
    play.finish("#.g.y")
    assert play.task("#.g").left > left
    assert play.stale() == {"#.c"}


def _joined(*behind: TaskSpec, **does: object) -> Play:
    """A group of two tasks that leave something in the context, so that its join is checked, and more."""

    def trail(result: object) -> list[object]:
        return [{"trail": {"$push": [result]}}]

    return Play(
        group("g", T("x"), T("y")),
        *behind,
        does={f"#.{name}": function for name, function in does.items()},
        updates={"#.g.x": trail, "#.g.y": trail},
        base={"trail": [], "list": [0, 1, 2]},
    )


def _cancel_check(play: Play) -> None:
    play.held.add("#.g")
    play.execute("#.g")
    play.cancel()
    play.held.clear()


@pytest.mark.parametrize("crashes", [False, True])
def test_the_check_of_a_join_does_not_use_up_the_argument(crashes: bool) -> None:
    play = _joined(T("b"), T("c"))
    _cancel_check(play)
    play.held.add("#.b")
    play.execute("#.b", upstream="run", argument="mine")
    if crashes:
        play.crash()
    play.finish("#.b")
    assert (play.statuses("#.g", "#.b", "#.c"), play.argument("#.b")) == ("ok ok inactive", "mine")


@pytest.mark.parametrize("crashes", [False, True])
def test_what_the_check_of_a_join_held_up_goes_on(crashes: bool) -> None:
    def first_fails(argument: int, context: object, attempt: int) -> int:
        if argument == 0 and attempt == 1:
            raise Failing
        return argument

    play = _joined(T("all", foreach="list", max_parallel=1), all=first_fails)
    play.held.add("#.all[1]")
    play.execute()
    play.cancel()
    _cancel_check(play)
    assert play.statuses("#.g", "#.all[0]", "#.all[1]", "#.all[2]") == "cancelled failed cancelled inactive"
    play.held.add("#.all[0]")
    play.execute(mode="failed")
    if crashes:
        play.crash()
    play.finish("#.all[0]")
    assert play.statuses("#.g", "#.all[0]", "#.all[1]", "#.all[2]") == "ok ok cancelled ok"


def test_what_failed_in_the_same_execute_still_stops_what_follows() -> None:
    play = Play(
        group("g", group("h", T("x"), run=True), group("k", T("x"), run=True)), does={"#.g.h": always_fails}
    )
    play.held.add("#.g.k")
    play.execute("#.g.*.x", upstream="run")
    play.held.clear()
    play.crash()
    assert play.statuses("#.g.h", "#.g.h.x", "#.g.k.x") == "failed inactive ok"


@pytest.mark.parametrize("path", ["#.g.all", "#.g.all[*]"])
def test_a_cancel_still_holds(path: str) -> None:
    play = Play(group("g", T("all", foreach="list", max_parallel=1), T("long")), base={"list": [1, 2, 3]})
    play.held |= {"#.g.all[0]", "#.g.long"}
    play.execute()
    play.cancel(path)
    play.held.clear()
    play.crash()
    assert play.statuses("#.g.all[0]", "#.g.all[1]", "#.g.long") == "cancelled inactive ok"


def test_a_cancel_meets_what_was_out_when_the_owner_died() -> None:
    play = Play(T("all", foreach="list", max_parallel=2), base={"list": [1, 2, 3]})
    play.held |= {"#.all[0]", "#.all[1]"}
    play.execute()
    play.crash()
    play.cancel("#.all")
    assert play.statuses("#.all[0]", "#.all[1]", "#.all[2]") == "cancelled cancelled inactive"


CROWD = [T(f"t{number}") for number in range(300)]
"""More than a window has room for."""


def test_a_cancel_meets_an_item_that_was_out_even_if_the_window_has_no_room_for_it_now() -> None:
    crowd = sequence("s", T("first"), group("crowd", *CROWD))
    play = Play(group("g", crowd, T("all", foreach="list")), base={"list": [1, 2]})
    play.held |= {"#.g.s.first", "#.g.all[0]", *(f"#.g.s.crowd.{spec.name}" for spec in CROWD)}
    play.execute()
    play.finish("#.g.s.first")
    play.crash()
    play.cancel("#.g.all")
    assert play.statuses("#.g.all[0]") == "cancelled"


def test_a_cancel_meets_the_task_at_which_a_sequence_was() -> None:
    crowd = sequence("s", T("first"), group("crowd", *CROWD))
    items = group("all", T("x"), foreach="list")
    play = Play(
        group("g", crowd, sequence("r", items, T("c"))),
        does={"#.g.s.first": fails_until(2), "#.g.r.c": fails_until(2)},
        base={"list": [1, 2]},
    )
    play.execute()
    play.held |= {"#.g.s.first", "#.g.r.c", *(f"#.g.s.crowd.{spec.name}" for spec in CROWD)}
    play.execute(mode="stale")
    play.finish("#.g.s.first")
    play.crash()
    play.cancel("#.g.r")
    assert play.statuses("#.g.r.c", "#.g.r.all") == "cancelled ok"


def test_failed_goes_on_with_what_the_failure_held_up() -> None:
    play = Play(sequence("s", T("x"), T("y")), T("c"), does={"#.s.x": fails_until(2)})
    play.execute()
    play.held.add("#.s.y")
    play.execute(mode="failed")
    play.held.clear()
    play.crash()
    assert (play.ran, play.status) == (["#.s.y", "#.c"], "done")


def test_a_foreach_that_was_skipped_counts_no_items() -> None:
    answers = iter([True, False])
    play = Play(
        T("all", foreach="list", condition=True),
        T("end"),
        when={"#.all": lambda context: next(answers)},
        base={"list": [1, 2]},
    )
    play.execute()
    play.held.add("#.end")
    play.execute()
    play.crash()
    play.finish("#.end")
    rollup = play.task("#").rollup
    assert rollup is not None
    assert rollup.total == 1


def test_a_list_that_was_passed_over_is_not_read_because_of_what_another_execute_has_changed_since() -> None:
    play = Play(sequence("s", T("x"), T("all", foreach="list")), base={"list": [1, 2]})
    play.execute()
    play.held |= {"#.s.all[0]", "#.s.all[1]"}
    play.execute("#.s.all")
    play.cancel()
    bound = play.task("#.s.all").bound
    play.execute("#.s.all", mode="stale", upstream="ignore")
    play.execute("#.s.x")
    play.held.clear()
    play.crash()
    assert play.ran == ["#.s.all[0]", "#.s.all[1]"]
    assert (play.task("#.s.all").bound, play.statuses("#.s")) == (bound, "ok")


def test_two_executes_in_one_sequence_are_both_taken_up() -> None:
    play = Play(T("a", context_var="v"), T("b"), T("c"))
    play.execute()
    play.held |= {"#.a", "#.c"}
    play.execute("#.c")
    play.execute("#.a")
    play.crash()
    play.finish("#.c")
    play.finish("#.a")
    assert play.context("#.c") == {"v": "a1"}
    assert (play.stale(), play.status) == ({"#.b", "#.c"}, "done")


def test_the_list_of_a_foreach_is_not_read_under_items_that_are_out() -> None:
    play = Play(T("list"), T("all", foreach=True), does={"#.list": [1, 2, 3]})
    play.execute()
    play.held |= {"#.all[1]", "#.all[2]"}
    play.execute("#.all[1]")
    play.execute("#.all[2]")
    play.does["#.list"] = [1]
    play.execute("#.list")
    play.crash()
    play.finish("#.all[1]")
    play.finish("#.all[2]")
    assert (play.ran, play.status) == (["#.all[1]", "#.all[2]"], "done")
