"""Executors that outlive owners, and die: leases, losses, what comes back, what got lost. One rule a test."""

from __future__ import annotations

import pytest

from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat
from taskpath_proto.plan import RetrySpec, TaskSpec
from taskpath_services.scheduler import windows
from taskpath_services.scheduler.effects import Timer, TimerKind
from tests.support.scheduler_play import Play, fails_until, group

T = TaskSpec
LEASE = 30_000


def play_of(*tasks: TaskSpec, held: str = "#.a", **fields: object) -> Play:
    """A play whose executors are leased what they hold, with one task under way."""
    play = Play(*tasks, lease=LEASE, **fields)  # type: ignore[arg-type]  # the keywords of Play
    play.held |= set(held.split())
    play.execute()
    return play


def test_what_a_silent_executor_holds_is_lost_after_its_lease_and_goes_out_again_to_be_run_alone() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    first = play.order("#.a")
    play.wait(29)
    assert play.order("#.a") is first
    play.wait(4)
    again = play.order("#.a")
    assert (again.suspect, again.attempt, first.suspect) == (True, 2, False)
    assert play.attempts("#.a") == [(1, "lost")]
    play.finish("#.a")
    assert (play.status, play.result("#.a")) == ("done", "a2")


def test_a_beat_renews_the_leases_of_all_that_an_executor_holds() -> None:
    play = play_of(group("g", T("x"), T("y")), held="#.g.x #.g.y")
    play.start("#.g.x", "e1")
    play.hold("#.g.y", executor="e1")
    sent = len(play.sent)
    for _ in range(6):
        play.wait(20, "e1")
        play.hold("#.g.y", executor="e1")  # it is asked
    assert len(play.sent) == sent


def test_what_waits_for_long_at_an_executor_that_does_not_say_that_it_has_it_goes_out_again() -> None:
    play = play_of(T("a"))
    play.hold("#.a", executor="e1")
    first = play.order("#.a")
    play.wait(32, "e1")
    assert not play.wanted("#.a", "e2")
    assert play.wanted("#.a", "e1"), "who is asked about it may have it, and be about to begin it"
    assert play.order("#.a") is first
    play.wait(32, "e1")
    assert play.order("#.a").command > first.command
    assert play.order("#.a").suspect


def test_the_beat_of_one_renews_nothing_of_another() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    play.wait(40, "e2")
    assert play.order("#.a").suspect


def test_an_executor_that_says_that_it_is_gone_loses_what_it_holds_at_once() -> None:
    play = play_of(group("g", T("x"), T("y")), held="#.g.x #.g.y")
    play.start("#.g.x", "e1")
    play.start("#.g.y", "e2")
    other = play.order("#.g.y")
    play.tell(ExecutorBeat("e1", play.now, gone=True))
    assert play.order("#.g.x").suspect
    assert play.order("#.g.y") is other


def test_what_waited_at_an_executor_is_lost_without_a_new_number() -> None:
    play = play_of(T("a"))
    play.hold("#.a", executor="e1")
    play.wait(40)
    assert (play.order("#.a").attempt, play.order("#.a").suspect, play.attempts("#.a")) == (1, True, [])


def test_the_report_of_an_attempt_that_was_lost_is_dropped() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    report = play.report("#.a")
    play.wait(40)
    play.tell(report)
    assert (play.statuses("#.a"), play.task("#.a").attempt) == ("queued", 2)


def lose_alone(play: Play, path: str, executor: str) -> None:
    """An executor ends while it runs nothing but this task."""
    play.start(path, executor, alone=True)
    play.tell(ExecutorBeat(executor, play.now, gone=True))


def test_a_task_that_ends_three_executors_that_run_nothing_else_is_given_up() -> None:
    play = play_of(T("a", retry=RetrySpec(attempts=5)), T("b"))
    for number in range(2):
        lose_alone(play, "#.a", f"e{number}")
        assert play.task("#.a").losses == number + 1
    lose_alone(play, "#.a", "e2")
    task = play.task("#.a")
    assert (play.status, task.losses, task.attempt) == ("failed", 0, 3)
    assert task.error is not None
    assert (task.error.code, task.error.type, task.error.path) == ("EXECUTION_FAILED", "ExecutorLost", "#.a")
    assert play.ran == []


def test_who_does_not_run_alone_is_not_to_blame() -> None:
    play = play_of(T("a"))
    for number in range(10):
        play.start("#.a", f"e{number}")
        play.tell(ExecutorBeat(f"e{number}", play.now, gone=True))
    assert (play.statuses("#.a"), play.task("#.a").losses) == ("queued", 0)


def test_who_got_company_does_not_run_alone_any_more() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1", alone=True)
    play.start("#.a", "e1")
    play.tell(ExecutorBeat("e1", play.now, gone=True))
    assert (play.statuses("#.a"), play.task("#.a").losses) == ("queued", 0)


def test_company_that_is_heard_of_first_counts_too() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    lose_alone(play, "#.a", "e1")
    assert play.task("#.a").losses == 0


def test_losses_are_counted_on_by_the_next_owner() -> None:
    play = play_of(T("a"))
    lose_alone(play, "#.a", "e1")
    lose_alone(play, "#.a", "e2")
    play.take_over()
    assert play.task("#.a").losses == 2
    lose_alone(play, "#.a", "e3")
    assert play.status == "failed"


def test_losses_are_forgotten_when_the_task_has_ended() -> None:
    play = play_of(T("a", retry=RetrySpec(attempts=2, backoff=1.0, jitter=0.0)), does={"#.a": fails_until(4)})
    lose_alone(play, "#.a", "e1")
    lose_alone(play, "#.a", "e2")
    play.finish("#.a")
    assert (play.task("#.a").losses, play.task("#.a").attempt) == (0, 4)
    play.held.add("#.a")
    play.wait(2)
    lose_alone(play, "#.a", "e3")
    assert (play.statuses("#.a"), play.task("#.a").losses) == ("queued", 1)


def test_losses_use_up_no_retries() -> None:
    play = play_of(T("a", retry=RetrySpec(attempts=2, backoff=0.0)), does={"#.a": fails_until(6)})
    for number in range(4):
        play.start("#.a", f"e{number}")
        play.tell(ExecutorBeat(f"e{number}", play.now, gone=True))
    assert play.task("#.a").attempt == 5
    play.finish("#.a")
    play.wait(1)
    assert (play.statuses("#.a"), play.task("#.a").attempt) == ("ok", 6)


def test_what_an_executor_returns_goes_out_again_as_it_was() -> None:
    play = play_of(T("a"))
    first = play.order("#.a")
    play.hold("#.a", executor="e1")
    play.give_back("#.a", executor="e1")
    again = play.order("#.a")
    assert again.command > first.command
    assert (again.attempt, again.suspect, play.attempts("#.a")) == (1, False, [])
    play.wait(40)
    play.finish("#.a")
    assert play.result("#.a") == "a1"


def test_what_has_begun_is_not_returned() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    first = play.order("#.a")
    play.give_back("#.a", executor="e1")
    assert play.order("#.a") is first


def test_only_who_holds_an_order_may_run_it() -> None:
    play = play_of(T("a"))
    assert play.wanted("#.a", "e1")
    play.hold("#.a", executor="e1")
    assert play.wanted("#.a", "e1")
    assert not play.wanted("#.a", "e2")


def test_what_was_sent_again_or_cancelled_is_not_wanted_any_more() -> None:
    play = play_of(group("g", T("x"), T("y")), held="#.g.x #.g.y")
    old = play._waiting["#.g.x"]
    play.hold("#.g.x", executor="e1")
    play.wait(40)
    play._waiting["#.g.x"] = old
    assert not play.wanted("#.g.x", "e1")
    play.cancel("#.g.y")
    assert not play.wanted("#.g.y", "e1")


def test_what_was_sent_and_is_nowhere_is_sent_again_after_a_while_if_its_queue_is_empty() -> None:
    play = play_of(group("g", T("x"), T("y", queue="other")), held="#.g.x #.g.y")
    x, y = play.order("#.g.x"), play.order("#.g.y")
    play.wait(29)
    assert play.partition.overdue(play.now) == set()
    play.wait(1)
    assert play.partition.overdue(play.now) == {"default", "other"}
    play.partition.found_empty({"other"}, play.now, play.now)
    play.tell()
    assert play.order("#.g.x") is x
    assert play.order("#.g.y").command > y.command
    assert (play.order("#.g.y").attempt, play.order("#.g.y").suspect) == (1, False)
    assert play.partition.overdue(play.now) == {"default"}


def test_what_was_not_yet_overdue_when_its_queue_was_empty_is_not_sent_again() -> None:
    play = play_of(T("a"))
    order, look = play.order("#.a"), play.now + 29_000
    play.wait(40)
    assert not play.partition.found_empty({"default"}, look, play.now)
    assert play.partition.found_empty({"default"}, look + 1_000, play.now)
    play.tell()
    assert play.order("#.a").command > order.command


def test_who_is_said_to_live_in_what_a_late_look_comes_with_is_not_silent() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    play.wait(27, "e1")
    order = play.order("#.a")
    play.now += 31_000
    timer = Timer(play.now - 4_000, "", TimerKind.WATCH, "#", 0)
    outcome = play.partition.decide([ExecutorBeat("e1", play.now)], [timer], play.now)
    assert not outcome.commands
    assert play.order("#.a") is order


def test_what_an_executor_holds_or_runs_is_never_overdue() -> None:
    play = play_of(group("g", T("x"), T("y")), held="#.g.x #.g.y")
    play.hold("#.g.x", executor="e1")
    play.start("#.g.y", "e1")
    for _ in range(6):
        play.wait(20, "e1")
        play.hold("#.g.x", executor="e1")
        assert play.partition.overdue(play.now) == set()


def test_who_was_stalled_itself_does_not_call_others_silent() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    play.wait(2, "e1")
    order = play.order("#.a")
    play.now += 60_000  # nobody looked all that time
    play.tell()
    assert play.order("#.a") is order
    play.wait(60, "e1")
    assert play.order("#.a") is order


def test_a_queue_that_nobody_serves_is_named_until_somebody_does() -> None:
    play = play_of(T("a", queue="gpu"))
    play.wait(10, "e1")
    assert play.task("#.a").reason == "No executor serves the queue gpu."
    play.tell(ExecutorAnnounced("e1", ("gpu",), ()))
    play.wait(3, "e1")
    assert play.task("#.a").reason is None


@pytest.mark.parametrize("started", [True, False])
def test_what_was_out_stays_out_when_another_owner_takes_over(started: bool) -> None:
    play = play_of(T("a"), T("b"))
    if started:
        play.start("#.a", "e1")
    order = play.order("#.a")
    play.take_over()
    assert play.order("#.a") is order
    play.finish("#.a")
    assert (play.status, play.argument("#.b")) == ("done", "a1")


def test_what_was_running_is_lost_if_nobody_tells_the_next_owner_that_he_has_it() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    play.take_over()
    play.wait(40, "e1")
    assert (play.order("#.a").suspect, play.attempts("#.a")) == (True, [(1, "lost")])


def test_what_an_executor_says_that_it_has_is_leased_to_it_by_the_next_owner() -> None:
    play = play_of(T("a"))
    play.start("#.a", "e1")
    order = play.order("#.a")
    play.take_over()
    play.hold("#.a", executor="e1")
    play.wait(120, "e1")
    assert play.order("#.a") is order
    play.tell(ExecutorBeat("e1", play.now, gone=True))
    assert play.order("#.a") is not order


def test_a_retry_that_waits_is_not_out_and_is_sent_by_the_next_owner() -> None:
    play = play_of(
        T("a", retry=RetrySpec(attempts=2, backoff=5.0, jitter=0.0)), held="", does={"#.a": fails_until(2)}
    )
    play.take_over()
    assert play.statuses("#.a") == "queued"
    play.wait(6)
    assert (play.status, play.task("#.a").attempt) == ("done", 2)


def test_what_waited_in_the_window_was_not_out_and_is_sent_by_the_next_owner() -> None:
    names = [f"t{number}" for number in range(300)]
    play = play_of(group("g", *(T(name) for name in names)), held=" ".join(f"#.g.{name}" for name in names))
    out = len(play.sent)
    assert out < 300
    play.take_over()
    assert len(play.sent) == out
    for path in list(play._waiting):
        play.finish(path)
    for path in list(play._waiting):
        play.finish(path)
    assert (play.status, len(play.sent)) == ("done", 300)


def test_what_was_lost_and_waits_for_room_is_not_out_and_is_sent_by_the_next_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "WINDOW", 8)
    names = [f"t{number}" for number in range(8)]
    play = play_of(group("g", *map(T, names)), held=" ".join(f"#.g.{name}" for name in names))
    play.start("#.g.t0", "e1")
    sent = len(play.sent)
    play.tell(ExecutorBeat("e1", play.now, gone=True))
    assert len(play.sent) == sent
    play.take_over()
    assert [order.path for _, order in play.sent[sent:]] == ["#.g.t0"]
    for name in names:
        play.finish(f"#.g.{name}")
    assert (play.status, play.result("#.g.t0")) == ("done", "t02")


def test_what_ran_before_and_waits_in_the_window_is_not_out_either() -> None:
    paths = [f"#.g.t{number}" for number in range(300)]
    play = play_of(group("g", *(T(f"t{number}") for number in range(300))), held="")
    play.held |= set(paths)
    before = len(play.sent)
    play.execute()
    out = len(play.sent) - before
    play.take_over()
    assert len(play.sent) == before + out
    while play._waiting:
        for path in list(play._waiting):
            play.finish(path)
    assert (play.status, len(play.sent)) == ("done", before + 300)


def test_a_deleted_instance_has_nothing_more_to_lose() -> None:
    play = play_of(T("a", timeout=60.0))
    play.start("#.a", "e1")
    play.delete()
    sent = len(play.sent)
    play.tell(ExecutorBeat("e1", play.now, gone=True))
    play.wait(120)
    assert (len(play.sent), play.storage.shelves) == (sent, {})
