"""Segments: what an executor goes on to by itself, and what becomes of it. One rule a test.

One room: the rules only make sense beside each other, as what one lets go on another takes back.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from taskpath_proto import codec
from taskpath_proto.calls import Call
from taskpath_proto.commands import Cancel, Execute
from taskpath_proto.events import ExecutorBeat
from taskpath_proto.plan import Plan, RetrySpec, TaskSpec
from taskpath_proto.work import OrderKind, TaskFinished, TasksHeld, TasksReturned
from taskpath_services.scheduler import segments, windows
from tests.support.scheduler_behaviour import Behaviour, Behaviours
from tests.support.scheduler_executors import Report
from tests.support.scheduler_functions import Asked
from tests.support.scheduler_play import FAR, Play, always_fails, fails_until, group, sequence
from tests.support.scheduler_segments import Key
from tests.support.scheduler_trees import Workflow
from tests.support.scheduler_world import World

T = TaskSpec
LEASE = 30_000


def chain(count: int, **fields: object) -> list[TaskSpec]:
    """So many tasks, one after the other: a, b, c …"""
    return [TaskSpec(name, **fields) for name in "abcdefgh"[:count]]  # type: ignore[arg-type]  # of TaskSpec


def play_of(*tasks: TaskSpec, held: str = "", **fields: object) -> Play:
    """A play whose executors outlive owners, with an execute under way."""
    play = Play(*tasks, lease=LEASE, **fields)  # type: ignore[arg-type]  # the keywords of Play
    play.held |= set(held.split())
    play.execute()
    return play


def sent(play: Play) -> list[str]:
    """What was sent, each order with what follows it: ``a>b>c``."""
    return [
        ">".join([order.path.rpartition(".")[2], *(step.name for step in order.then)])
        for _, order in play.sent
    ]


class TestForming:
    def test_a_chain_is_one_order(self) -> None:
        play = play_of(*chain(4))
        assert sent(play) == ["a>b>c>d"]
        assert (play.status, play.ran) == ("done", ["#.a", "#.b", "#.c", "#.d"])
        assert (play.argument("#.d"), play.result("#.d")) == ("c1", "d1")

    def test_in_one_process_every_task_is_sent(self) -> None:
        play = Play(*chain(3))
        play.execute()
        assert sent(play) == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("middle", "orders"),
        [
            (T("m", queue="other"), ["a>b", "m", "c>d"]),
            (group("m", T("x"), T("y")), ["a>b", "x", "y", "c>d"]),
            (sequence("m", T("x"), T("y")), ["a>b", "x>y", "c>d"]),
            (group("m", T("x"), run=True), ["a>b", "m", "x", "c>d"]),
            (T("m", foreach="list"), ["a>b", "m", "m[0]", "m[1]", "c>d"]),
        ],
    )
    def test_it_ends_before_what_is_no_plain_task_of_its_queue(
        self, middle: TaskSpec, orders: list[str]
    ) -> None:
        play = play_of(T("a"), T("b"), middle, T("c"), T("d"), base={"list": [1, 2]})
        assert sent(play) == orders
        assert play.status == "done"

    def test_the_items_of_a_foreach_have_their_own(self) -> None:
        item = sequence("m", T("x"), T("y"), T("z"), foreach="list")
        play = play_of(item, base={"list": [1, 2]})
        assert sent(play) == ["m", "x>y>z", "x>y>z"]
        assert play.result("#.m[1].z") == "z1"

    def test_it_is_bounded(self) -> None:
        tasks = [T(f"t{number:02}") for number in range(40)]
        play = play_of(*tasks)
        assert [len(order.then) for _, order in play.sent] == [segments.MOST_STEPS, 6]

    def test_only_what_the_call_names_follows(self) -> None:
        play = play_of(*chain(5))
        play.sent.clear()
        play.execute("#.b")
        assert sent(play) == ["b"]

    def test_what_is_stale_because_of_it_follows(self) -> None:
        play = play_of(*chain(4))
        play.execute("#.b")
        play.sent.clear()
        play.execute("#", "stale")
        assert sent(play) == ["c>d"]

    def test_what_a_failure_held_up_is_sent_one_by_one(self) -> None:
        play = play_of(*chain(3), does={"#.a": fails_until(2)})
        play.sent.clear()
        play.execute("#", "failed")
        assert sent(play) == ["a", "b", "c"]
        assert play.status == "done"

    def test_a_step_is_told_its_condition_its_attempt_and_what_it_left_before(self) -> None:
        updates = {"#.c": lambda result: [{"x": {"$set": result}}]}
        play = play_of(T("a"), T("b", condition=True), T("c"), when={"#.b": lambda _: False}, updates=updates)
        play.sent.clear()
        play.execute()
        (b, c) = play.sent[0][1].then
        assert (b.condition, b.attempt, c.attempt) == (True, 1, 2)
        assert play.shelf.read(c.previous) == [{"x": {"$set": "c1"}}]
        assert play.context("#.c") == {}

    def test_large_updaters_of_before_travel_alone(self) -> None:
        updates = {"#.b": lambda result: [{"x": {"$set": "x" * 2000}}]}
        play = play_of(*chain(3), updates=updates)
        play.sent.clear()
        play.execute()
        assert sent(play) == ["a", "b>c"]

    def test_what_tasks_leave_is_seen_by_those_that_follow(self) -> None:
        play = play_of(
            T("a", context_var="v"),
            T("b", context_vars=("k",)),
            T("c"),
            T("d"),
            does={"#.b": {"k": 1, "l": 2}},
            updates={"#.c": lambda result: [{"u": {"$set": result}}]},
            base={"base": 0},
        )
        assert len(play.sent) == 1
        assert play.context("#.d") == {"base": 0, "v": "a1", "k": 1, "u": "c1"}


class TestGoingOn:
    def test_the_next_is_out_under_the_number_that_was_kept_for_it(self) -> None:
        play = play_of(*chain(3), held="#.a #.b")
        order = play.order("#.a")
        play.finish("#.a")
        assert len(play.sent) == 1
        assert play.task("#.b").command == (play.partition.epoch, order.command + 1)
        assert (play.statuses("#.a", "#.b", "#.c"), play.task("#.b").attempt) == ("ok queued inactive", 1)
        play.start("#.b")
        assert play.statuses("#.b") == "running"
        play.finish("#.b")
        assert (play.status, len(play.sent)) == ("done", 1)

    def test_a_failure_ends_it_and_what_is_tried_again_is_sent_with_what_follows(self) -> None:
        retry = RetrySpec(attempts=3, backoff=1.0)
        play = play_of(T("a"), T("b", retry=retry), T("c"), does={"#.b": fails_until(2)})
        assert sent(play) == ["a>b>c"]
        play.wait(2)
        assert sent(play) == ["a>b>c", "b>c"]
        assert (play.status, play.task("#.b").attempt) == ("done", 2)
        assert play.cancelled == []

    def test_a_failure_for_good_leaves_the_rest_alone(self) -> None:
        play = play_of(*chain(3), does={"#.b": always_fails})
        assert (play.status, play.statuses("#.c")) == ("failed", "inactive")

    def test_what_follows_a_skipped_task_is_sent(self) -> None:
        play = play_of(T("a"), T("b", condition=True), T("c"), T("d"), when={"#.b": lambda _: False})
        assert sent(play) == ["a>b>c>d", "c>d"]
        assert play.argument("#.c") == "a1"

    def test_what_comes_back_goes_out_with_what_follows_it(self) -> None:
        play = play_of(*chain(3), held="#.b")
        play.give_back("#.b")
        assert sent(play) == ["a>b>c", "b>c"]
        play.finish("#.b")
        assert play.status == "done"

    def test_a_step_does_not_come_back_from_an_executor_that_does_not_have_it(self) -> None:
        play = play_of(*chain(2), held="#.b")
        play.give_back("#.b", executor="other")
        assert sent(play) == ["a>b"]

    def test_a_step_that_was_begun_comes_back_if_its_executor_was_told_to_stop_it(self) -> None:
        play = play_of(*chain(2), held="#.b")
        play.start("#.b")
        play.give_back("#.b", executor="other")
        assert sent(play) == ["a>b"]
        play.give_back("#.b")
        assert sent(play) == ["a>b", "b"]
        assert play.attempts("#.b") == [(1, "lost")]

    def test_a_plain_order_that_was_begun_does_not(self) -> None:
        play = play_of(T("a"), held="#.a")
        play.start("#.a")
        play.give_back("#.a")
        assert sent(play) == ["a"]

    def test_reports_that_are_out_of_line_are_dropped(self) -> None:
        play = play_of(*chain(3), held="#.a #.b")
        (epoch, number), id = (play.partition.epoch, play.order("#.a").command), "i"
        play.finish("#.a")
        for command in (number, number + 2, number + 3):
            play.tell(TasksReturned(id, epoch, "e", (("#.b", command),)))
        assert sent(play) == ["a>b>c"]


class TestLosses:
    def test_a_step_is_leased_without_having_been_reported(self) -> None:
        play = play_of(*chain(3), held="#.b")
        play.wait(29, "other")
        assert sent(play) == ["a>b>c"]
        play.wait(4, "other")
        assert sent(play) == ["a>b>c", "b"]
        assert play.order("#.b").suspect
        play.finish("#.b")
        assert sent(play) == ["a>b>c", "b", "c"]

    def test_the_beat_of_its_executor_renews_it(self) -> None:
        play = play_of(*chain(2), held="#.b")
        play.start("#.b")
        play.wait(120, "e")
        assert sent(play) == ["a>b"]

    @pytest.mark.parametrize("knows", [True, False])
    def test_an_executor_that_has_not_begun_it_for_long_is_asked_whether_it_has_it(self, knows: bool) -> None:
        play = play_of(*chain(2), held="#.b")
        for _ in range(12):
            play.wait(10, "e")
            if knows:
                play.hold("#.b", executor="e")
        assert sent(play) == (["a>b"] if knows else ["a>b", "b"])

    def test_an_executor_that_is_gone_loses_it_at_once(self) -> None:
        play = play_of(*chain(2), held="#.b")
        play.tell(ExecutorBeat("e", play.now, gone=True))
        assert sent(play) == ["a>b", "b"]

    def test_what_the_lost_one_still_says_counts_no_more(self) -> None:
        play = play_of(*chain(3), held="#.b")
        report = play.report("#.b")
        play.tell(ExecutorBeat("e", play.now, gone=True))
        play.tell(report)
        assert play.statuses("#.b", "#.c") == "queued inactive"

    def test_a_lost_head_takes_what_follows_with_it(self) -> None:
        play = play_of(*chain(2), held="#.a #.b")
        first = play.order("#.a")
        play.start("#.a")
        play.tell(ExecutorBeat("e", play.now, gone=True))
        play.finish("#.a")
        assert sent(play) == ["a>b", "a", "b"]
        assert play.task("#.b").command != (play.partition.epoch, first.command + 1)


class TestCancelling:
    def test_all_that_may_have_begun_is_cancelled_with_it(self) -> None:
        play = play_of(*chain(3), held="#.a")
        number, report = play.order("#.a").command, play.report("#.a")
        play.cancel()
        assert play.cancelled == [number, number + 1, number + 2]
        play.tell(report)
        assert play.statuses("#.a", "#.b", "#.c") == "cancelled inactive inactive"

    def test_a_cancelled_step_takes_the_rest_with_it(self) -> None:
        play = play_of(*chain(3), held="#.b")
        number = play.order("#.b").command
        play.cancel("#.b")
        assert play.cancelled == [number, number + 1]
        assert play.statuses("#.a", "#.b", "#.c") == "ok cancelled inactive"

    def test_what_is_not_under_way_stays_as_it_is(self) -> None:
        play = play_of(*chain(3), held="#.a")
        play.cancel("#.c")
        assert play.cancelled == []
        play.finish("#.a")
        assert play.status == "done"

    def test_a_deleted_instance_stops_them(self) -> None:
        play = play_of(*chain(3), held="#.b")
        number = play.order("#.b").command
        play.delete()
        assert play.cancelled == [number, number + 1]

    def test_what_did_not_end_in_its_time_is_stopped_with_what_may_have_followed(self) -> None:
        play = play_of(T("a", timeout=1.0), T("b"), held="#.a")
        number = play.order("#.a").command
        play.start("#.a")
        play.wait(4, "e")
        assert (play.status, play.cancelled) == ("failed", [number, number + 1])

    def test_what_was_cancelled_before_it_was_let_out_is_not_sent(self) -> None:
        play = play_of(*chain(3))
        play.sent.clear()
        play.tell(Call(Execute("i"), "r", 100, FAR), Call(Cancel("i"), "r", 101, FAR))
        assert (sent(play), play.cancelled, play.status) == ([], [], "cancelled")


class TestTakeovers:
    def test_the_next_owner_knows_what_follows(self) -> None:
        play = play_of(*chain(3), held="#.a #.b")
        play.take_over()
        play.finish("#.a")
        play.take_over()
        assert play.statuses("#.a", "#.b") == "ok queued"
        play.finish("#.b")
        assert (play.status, sent(play)) == ("done", ["a>b>c"])

    def test_a_step_that_nobody_says_he_has_goes_out_again(self) -> None:
        play = play_of(*chain(3), held="#.b")
        play.take_over()
        play.wait(40, "e")
        assert sent(play) == ["a>b>c", "b"]
        assert play.order("#.b").suspect

    def test_a_step_that_somebody_says_he_has_stays_with_him(self) -> None:
        play = play_of(*chain(3), held="#.b")
        command = play.task("#.b").command
        assert command is not None
        play.take_over()
        play.tell(TasksHeld("i", command[0], "e", (("#.b", command[1]),)))
        play.wait(50, "e")
        assert sent(play) == ["a>b>c"]
        assert play.wanted("#.b", "e")
        play.finish("#.b")
        assert play.status == "done"

    def test_a_task_that_waits_to_be_sent_again_is_not_out(self) -> None:
        play = play_of(*chain(2), held="#.b")
        play.give_back("#.b")
        number = play.order("#.b").command
        play.take_over()
        assert play.task("#.b").command == (play.partition.epoch - 1, number)
        play.finish("#.b")
        play.execute()
        assert (play.task("#.b").segment, play.status) == ((1, 2), "done")

    def test_a_later_execute_does_not_take_an_old_step_for_its_own(self) -> None:
        play = play_of(*chain(2))
        play.held.add("#.b")
        play.execute("#.b")
        assert (play.task("#.b").segment, len(play.sent)) == (None, 2)

    def test_what_waits_for_room_since_it_was_lost_is_not_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        play = play_of(group("g", sequence("x", *chain(2)), sequence("y", *chain(2))), held="#.g.x.b #.g.y.b")
        monkeypatch.setattr(windows, "WINDOW", 1)
        play.tell(ExecutorBeat("e", play.now, gone=True))
        assert sent(play) == ["a>b", "a>b", "b"]
        play.take_over()
        assert sent(play) == ["a>b", "a>b", "b"]
        play.finish(play.sent[-1][1].path)
        assert sent(play) == ["a>b", "a>b", "b", "b"]

    def test_what_waits_for_room_is_not_out_because_it_was_a_step_before(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        play = play_of(*chain(3))
        monkeypatch.setattr(windows, "WINDOW", 1)
        play.held |= {"#.a", "#.c"}
        play.execute("#.a")
        play.execute("#.c", upstream="ignore")
        assert sent(play) == ["a>b>c", "a"]
        play.take_over()
        play.finish("#.a")
        assert sent(play) == ["a>b>c", "a", "c"]

    @pytest.mark.parametrize("takeovers", [0, 1, 2])
    def test_what_saw_something_old_is_stale_whoever_is_the_owner(self, takeovers: int) -> None:
        play = play_of(T("u", context_var="v"), sequence("d", *chain(3)))
        play.held |= {"#.d.a", "#.d.b"}
        play.execute("#.d")
        play.execute("#.u")
        for path in ("#.d.a", "#.d.b"):
            for _ in range(takeovers):
                play.take_over()
            play.finish(path)
        assert (play.context("#.d.c")["v"], play.result("#.u")) == ("u1", "u2")
        assert play.stale() == {"#.d", "#.d.a", "#.d.b", "#.d.c"}
        assert sent(play) == ["u", "a>b>c", "a>b>c", "u"]

    def test_a_step_is_not_looked_for_in_a_queue(self) -> None:
        play = play_of(*chain(2), T("z", queue="other"), held="#.b")
        play.take_over()
        assert play.partition.overdue(play.now + 10 * LEASE) == set()

    @pytest.mark.parametrize("seed", range(20))
    def test_nothing_is_done_twice_however_often_owners_change(self, seed: int) -> None:
        world, ends = watched_world(random.Random(seed))
        for number in range(3):
            world.answer(world.create(f"i{number}", long_workflow()))
            world.call(Execute(f"i{number}"))
        while world.is_busy():
            world.step()
            if world.random.random() < 0.15:
                world.take_over()
        assert world.executors.steps > 30
        assert world.lives > 5
        assert {what: count for what, count in ends.items() if count > 1} == {}
        assert len(ends) >= 3 * (8 + 3 * 4)


def long_workflow() -> Workflow:
    """Many tasks behind each other, some of which have to be tried again."""
    retry = RetrySpec(attempts=3, backoff=0.5)
    item = sequence("m", *chain(4, retry=retry), foreach="numbers")
    does = Behaviours({"#.c": Behaviour(fails=1), "#.m.b": Behaviour(fails=1, updates=True)})
    return Workflow(Plan((*chain(8, retry=retry), item)), does)


def watched_world(source: random.Random) -> tuple[World, Counter[tuple[str, str, int]]]:
    """A world in which nobody dies, and how often each attempt was made in it."""
    world, ends = World(source, durable=True), Counter[tuple[str, str, int]]()
    functions, executors = world.executors.functions, world.executors
    original_end, original_work = functions.end, executors.work

    def end(asked: Asked, executor: str, *, hangs: bool) -> TaskFinished:
        if asked.order.kind is OrderKind.TASK:
            ends[asked.message.id, asked.order.path, asked.order.attempt] += 1
        return original_end(asked, executor, hangs=hangs)

    def work(key: Key, now: int) -> list[Report]:
        reports = original_work(key, now)
        if reports and isinstance(reports[0], TasksHeld):
            # What was held when the owner changed is sent again after a lease.
            executors.jobs[key].reported = executors.jobs[key].step
            return []
        return reports

    functions.end, executors.work = end, work  # type: ignore[method-assign]  # they are watched
    return world, ends


def test_an_order_carries_its_steps_over_the_wire() -> None:
    play = play_of(*chain(3))
    messages, wrong = codec.decode_parcel(codec.join_parcel([codec.encode_message(play.messages[0])]))
    assert (messages, wrong) == ([play.messages[0]], [])
