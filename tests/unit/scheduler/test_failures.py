"""Failures, retries, timeouts, cancels, attempts. One rule a test."""

from __future__ import annotations

from typing import Any

import pytest

from taskpath_proto.errors import TaskpathError
from taskpath_proto.plan import RetrySpec, TaskSpec
from taskpath_proto.records import RetryState
from tests.support.scheduler_play import Failing, Play, always_fails, fails_until, group, sequence

T = TaskSpec
RETRY = RetrySpec(attempts=3, backoff=2.0, max_delay=3.0, jitter=0.0)


def test_a_failure_stops_the_tasks_after_it_and_parallel_siblings_finish() -> None:
    play = Play(group("g", sequence("s", T("x"), T("y")), T("z")), T("c"), does={"#.g.s.x": always_fails})
    play.execute()
    assert play.statuses("#.g.s.x", "#.g.s.y", "#.g.z", "#.c") == "failed inactive ok inactive"
    assert play.status == "failed"


def test_a_group_whose_function_fails_does_not_start_its_subtasks() -> None:
    play = Play(group("g", T("x"), run=True), does={"#.g": always_fails})
    play.execute()
    assert play.statuses("#.g", "#.g.x") == "failed inactive"


def test_an_item_that_fails_fails_its_foreach_and_the_others_finish() -> None:
    def odd_fails(argument: int, context: dict[str, Any], attempt: int) -> int:
        if argument % 2:
            raise Failing
        return argument

    play = Play(T("all", foreach="list"), T("end"), does={"#.all": odd_fails}, base={"list": [0, 1, 2]})
    play.execute()
    assert play.statuses("#.all", "#.all[0]", "#.all[1]", "#.all[2]") == "failed ok failed ok"
    assert play.statuses("#.end") == "inactive"


def test_a_task_is_tried_again_after_its_delay_which_doubles_up_to_the_longest() -> None:
    play = Play(T("a", retry=RETRY), does={"#.a": fails_until(3)})
    play.execute()
    assert play.statuses("#.a") == "queued"
    assert play.task("#.a").retry == RetryState(2, 3, play.now + 2000)
    play.wait(1.9)
    assert play.ran == ["#.a"]
    play.wait(0.1)
    assert play.task("#.a").retry == RetryState(3, 3, play.now + 3000)
    play.wait(3)
    assert (play.statuses("#.a"), play.result("#.a"), play.task("#.a").retry) == ("ok", "at attempt 3", None)
    assert play.attempts("#.a") == [(1, "failed"), (2, "failed")]


def test_the_last_failure_is_final() -> None:
    play = Play(T("a", retry=RETRY), does={"#.a": always_fails})
    play.execute()
    play.wait(10)
    play.wait(10)
    assert (play.statuses("#.a"), len(play.ran), play.task("#.a").retry) == ("failed", 3, None)
    error = play.task("#.a").error
    assert error is not None
    assert error.type == "Failing"


def test_what_retry_does_not_allow_is_not_tried_again() -> None:
    def fails(argument: Any, context: Any, attempt: int) -> Any:
        raise Failing(retryable=False)

    play = Play(T("a", retry=RETRY), does={"#.a": fails})
    play.execute()
    assert (play.statuses("#.a"), len(play.ran)) == ("failed", 1)


def test_jitter_varies_the_delay_by_its_fraction() -> None:
    retry = RetrySpec(attempts=2, backoff=10.0, jitter=0.5)
    play = Play(
        T("all", foreach="list", retry=retry), does={"#.all": always_fails}, base={"list": list(range(50))}
    )
    play.execute()
    states = [play.task(f"#.all[{index}]").retry for index in range(50)]
    delays = {state.next_at - play.now for state in states if state is not None and state.next_at is not None}
    assert len(delays) > 40
    assert min(delays) >= 5_000
    assert max(delays) <= 15_000


def test_a_condition_is_not_evaluated_again_for_a_retry() -> None:
    play = Play(
        T("a", condition=True, retry=RETRY), does={"#.a": fails_until(2)}, when={"#.a": lambda context: True}
    )
    play.execute()
    play.wait(2)
    assert play.ran == ["#.a?", "#.a", "#.a"]


def test_a_task_over_its_timeout_is_cancelled_and_tried_again() -> None:
    play = Play(T("a", timeout=5.0, retry=RETRY))
    play.held.add("#.a")
    play.execute()
    play.start("#.a")
    late = play.report("#.a")
    play.held.clear()
    play.wait(6)
    assert play.statuses("#.a") == "queued"
    assert play.cancelled == [play.sent[0][1].command]
    play.tell(late)
    assert play.statuses("#.a") == "queued"
    play.wait(2)
    assert (play.statuses("#.a"), play.result("#.a")) == ("ok", "a2")


def test_a_timeout_is_of_type_timeout_error() -> None:
    play = Play(T("a", timeout=5.0))
    play.held.add("#.a")
    play.execute()
    play.start("#.a")
    play.wait(6)
    error = play.task("#.a").error
    assert error is not None
    assert (play.statuses("#.a"), error.type) == ("failed", "TimeoutError")


def test_the_first_report_of_an_attempt_counts() -> None:
    play = Play(T("a"))
    play.held.add("#.a")
    play.execute()
    report = play.report("#.a")
    play.finish("#.a")
    left = play.task("#.a").left
    play.tell(report, report)
    assert play.task("#.a").left == left


def test_attempts_are_numbered_for_ever() -> None:
    play = Play(T("a"))
    for number in (1, 2, 3):
        play.execute()
        assert (play.task("#.a").attempt, play.result("#.a")) == (number, f"a{number}")
    assert play.attempts("#.a") == [(1, "ok"), (2, "ok")]


def test_an_attempt_that_waits_already_has_its_number() -> None:
    play = Play(T("a", retry=RETRY), does={"#.a": fails_until(2)})
    play.execute()
    assert (play.statuses("#.a"), play.task("#.a").attempt) == ("queued", 2)


def test_a_skip_takes_no_number() -> None:
    answers = iter([False, True])
    play = Play(T("a", condition=True), when={"#.a": lambda context: next(answers)})
    play.execute()
    play.execute()
    assert play.result("#.a") == "a1"


def test_what_a_task_says_of_itself_is_kept_and_cleared_by_the_next_attempt() -> None:
    play = Play(T("a"))
    play.held.add("#.a")
    play.execute()
    play.progress("#.a", 0.5, "half")
    play.finish("#.a")
    progress = play.task("#.a").progress
    assert progress is not None
    assert (progress.fraction, progress.message) == (0.5, "half")
    play.held.add("#.a")
    play.execute()
    assert play.task("#.a").progress is None


def test_a_cancelled_task_stops_what_follows_and_its_report_is_dropped() -> None:
    play = Play(T("a"), T("b"))
    play.held.add("#.a")
    play.execute()
    report = play.report("#.a")
    play.cancel("#.a")
    assert play.statuses("#.a", "#.b") == "cancelled inactive"
    assert (play.status, play.cancelled) == ("cancelled", [play.sent[0][1].command])
    play.tell(report)
    assert play.statuses("#.a", "#.b") == "cancelled inactive"


def test_cancel_works_on_any_path_and_leaves_the_rest_alone() -> None:
    play = Play(group("g", T("x"), sequence("s", T("y"), T("z"))), T("c"))
    play.held |= {"#.g.x", "#.g.s.y"}
    play.execute()
    play.cancel("#.g.s")
    assert play.statuses("#.g.x", "#.g.s.y", "#.g.s.z", "#.g") == "queued cancelled inactive queued"
    play.finish("#.g.x")
    assert (play.statuses("#.g", "#.c"), play.status) == ("cancelled inactive", "cancelled")


def test_cancelling_what_does_not_run_changes_nothing() -> None:
    play = Play(T("a"), T("b"))
    play.held.add("#.a")
    play.execute()
    play.cancel("#.b")
    play.finish("#.a")
    assert play.status == "done"
    play.cancel()
    assert play.status == "done"


def test_cancelling_an_unknown_path_cannot_find_it() -> None:
    with pytest.raises(TaskpathError, match=r"no task #\.z"):
        Play(T("a")).cancel("#.z")


def test_a_task_that_waits_for_its_retry_can_be_cancelled() -> None:
    play = Play(T("a", retry=RETRY), does={"#.a": always_fails})
    play.execute()
    play.cancel()
    play.wait(10)
    assert (play.statuses("#.a"), len(play.ran), play.task("#.a").retry) == ("cancelled", 1, None)


@pytest.mark.parametrize("path", ["#", "#.all", "#.all[*]", "#.**"])
def test_a_cancelled_foreach_starts_no_more_items(path: str) -> None:
    play = Play(T("all", foreach="list", max_parallel=1), T("end"), base={"list": [1, 2, 3]})
    play.held.add("#.all[1]")
    play.execute()
    play.cancel(path)
    assert play.statuses("#.all[0]", "#.all[1]", "#.all[2]", "#.end") == "ok cancelled inactive inactive"
    assert play.status == "cancelled"


def test_cancelling_one_item_lets_the_others_run() -> None:
    play = Play(T("all", foreach="list", max_parallel=1), base={"list": [1, 2]})
    play.held.add("#.all[0]")
    play.execute()
    play.cancel("#.all[0]")
    assert play.statuses("#.all[0]", "#.all[1]", "#.all") == "cancelled ok cancelled"


def test_cancelling_while_a_list_is_read_drops_the_late_reply() -> None:
    play = Play(T("all", foreach="list"), base={"list": [1, 2]})
    play.held.add("#.all")
    play.execute()
    report = play.report("#.all")
    play.cancel("#.all")
    play.tell(report)
    assert (play.statuses("#.all"), play.task("#.all").count) == ("cancelled", None)


def test_a_cancelled_function_hands_nothing_on() -> None:
    play = Play(group("g", T("x"), run=True))
    play.execute()
    play.held.add("#.g")
    play.execute("#.g")
    play.cancel("#.g")
    play.execute("#.g.x", upstream="ignore")
    assert play.argument("#.g.x") is None


def test_deleting_stops_what_runs() -> None:
    play = Play(T("a"))
    play.held.add("#.a")
    play.execute()
    play.delete()
    assert (play.cancelled, play.storage.shelves) == ([play.sent[0][1].command], {})
