"""What an executor decides without I/O: how much it takes, whom it doubts, what it sends again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.values import NULL
from taskpath_proto.work import Order, RunTasks, TaskProgressed, TaskStarted
from taskpath_services.executor.admission import Doubt, Epochs, doubt
from taskpath_services.executor.announce import BEAT_EVERY, beat_seconds
from taskpath_services.executor.flow import AHEAD_SECONDS, MOST_AHEAD, Flow
from taskpath_services.executor.holding import REPORT_AFTER, Held, Hold, Holding, Line
from taskpath_services.executor.reports import Reports
from taskpath_services.executor.review import by_instance
from tests.support.executors import DurableBus, turns


def test_heartbeats_fit_into_a_lease_several_times() -> None:
    assert beat_seconds(30.0) == BEAT_EVERY
    assert beat_seconds(2.0) == pytest.approx(0.4)
    assert beat_seconds(0.0) > 0


@given(st.floats(0.3, 86_400))
def test_a_lease_sees_at_least_five_heartbeats(lease: float) -> None:
    assert beat_seconds(lease) * 5 <= lease + 1e-9


class TestFlow:
    def test_the_quicker_the_work_the_more_may_wait(self) -> None:
        flow, done = Flow(), 0
        for step in range(1, 20):
            done += 20
            flow.measure(done, step * 100)
        assert flow.ahead == pytest.approx(200 * AHEAD_SECONDS, abs=1)

    def test_nothing_waits_for_work_that_takes_long_or_was_not_seen_yet(self) -> None:
        flow = Flow()
        assert flow.ahead == 0
        for step in range(1, 20):
            flow.measure(step // 5, step * 1_000)
        assert flow.ahead == 0

    @given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 10_000)), max_size=50))
    def test_it_is_bounded_whatever_happens(self, steps: list[tuple[int, int]]) -> None:
        flow, done, now = Flow(), 0, 0
        for ended, elapsed in steps:
            done, now = done + ended, now + elapsed
            flow.measure(done, now)
            assert 0 <= flow.ahead <= MOST_AHEAD

    def test_a_rest_is_forgotten_at_once(self) -> None:
        flow = Flow()
        flow.measure(0, 10_000)
        flow.measure(0, 10_100)
        flow.measure(0, 3_600_000)
        flow.measure(1_000, 3_600_100)
        assert flow.ahead > MOST_AHEAD / 2


class TestDoubts:
    @pytest.mark.parametrize(
        ("redelivered", "marked", "outdated", "expected"),
        [
            (False, False, False, Doubt.NONE),
            (False, False, True, Doubt.ASK),
            (False, True, False, Doubt.ALONE),
            (True, False, False, Doubt.ALONE),
            (True, True, True, Doubt.ALONE),
        ],
    )
    def test_what_is_to_be_done_first(
        self, redelivered: bool, marked: bool, outdated: bool, expected: Doubt
    ) -> None:
        order = Order("#.t", 1, 1, NULL, suspect=marked)
        assert doubt(order, redelivered=redelivered, outdated=outdated) is expected

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5))))
    def test_an_epoch_is_outdated_when_its_partition_has_seen_a_newer_one(
        self, seen: list[tuple[int, int]]
    ) -> None:
        epochs, newest = Epochs(), dict[int, int]()
        for partition, epoch in seen:
            assert epochs.outdated(partition, epoch) == (epoch < newest.get(partition, 0))
            newest[partition] = max(epoch, newest.get(partition, 0))


class Delivery:
    """Counts its acknowledgements."""

    messages = ()
    redelivered = False

    def __init__(self) -> None:
        self.acknowledged = 0

    def ack(self) -> None:
        self.acknowledged += 1


def holds_of(sizes: list[int], line: Line) -> tuple[Delivery, list[Hold]]:
    """A delivery of messages of so many orders each."""
    delivery = Delivery()
    held = Held(delivery, len(sizes), line)
    messages = [
        RunTasks(
            f"i{number}",
            0,
            1,
            1,
            "default",
            "w",
            1,
            NULL,
            NULL,
            (),
            tuple(Order(f"#.t[{n}]", n, 1, NULL) for n in range(size)),
        )
        for number, size in enumerate(sizes)
    ]
    return delivery, [Hold(message, held, 0) for message in messages]


class TestHolding:
    @given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
    def test_a_delivery_is_acknowledged_once_when_all_is_settled_in_any_order(
        self, sizes: list[int], chance: Any
    ) -> None:
        line: Any = Line
        delivery, holds = holds_of(sizes, line(None))
        every = [(hold, order.command) for hold in holds for order in hold.message.orders]
        chance.shuffle(every)
        for number, (hold, command) in enumerate(every, 1):
            assert delivery.acknowledged == 0
            hold.settle(command)
            hold.settle(command)
            assert delivery.acknowledged == (number == len(every))

    def test_what_is_due_is_told_once_and_never_too_early(self) -> None:
        any_line: Any = Line
        _, (first, second) = holds_of([1, 1], any_line(None))
        holding = Holding()
        holding.add(first)
        second.taken = 50
        holding.add(second)
        assert holding.due(REPORT_AFTER - 1) == []
        assert holding.due(REPORT_AFTER) == [first]
        assert holding.due(REPORT_AFTER + 50) == [second]
        assert not holding
        holding.again(second)
        assert holding.due(REPORT_AFTER + 50) == [second]

    def test_what_is_settled_or_lost_is_not_due(self) -> None:
        any_line: Any = Line
        line = any_line(None)
        _, (first, second) = holds_of([1, 1], line)
        holding = Holding()
        holding.add(first)
        holding.add(second)
        first.settle(0)
        assert second.keeps(0)
        line.lost = True
        assert first.keeps(0)
        assert not second.keeps(0)
        assert holding.due(REPORT_AFTER) == []


def test_questions_are_asked_by_instance_and_epoch() -> None:
    known = [
        (0, ("i1", 1, 1), "#.a"),
        (0, ("i2", 1, 2), "#.b"),
        (0, ("i1", 1, 3), "#.c"),
        (0, ("i1", 2, 1), "#.a"),
    ]
    assert by_instance(known) == {
        (0, "i1", 1): [("#.a", 1), ("#.c", 3)],
        (0, "i2", 1): [("#.b", 2)],
        (0, "i1", 2): [("#.a", 1)],
    }


class TestReports:
    @given(st.lists(st.sampled_from(["report", "lose", "restore", "pass"]), max_size=40))
    def test_every_report_arrives_in_order_and_is_confirmed_once(self, steps: list[str]) -> None:
        async def play() -> None:
            bus, clock = DurableBus(), ManualClock()
            reports = Reports(bus, clock)
            await reports.start()
            arrived: list[int] = []
            confirmed: list[int] = []
            sent = 0

            async def collect() -> None:
                inbox = await bus.consume(topology.scheduler_mailbox(0))
                while await bus.depth(topology.scheduler_mailbox(0)):
                    delivery = await inbox.take()
                    arrived.extend(one.command for one in delivery.messages if isinstance(one, TaskStarted))
                    delivery.ack()
                await inbox.close()

            for step in [*steps, "restore"]:
                if step == "report":
                    sent += 1
                    report = TaskStarted("i", 1, sent, "#.t", 0, "e")
                    reports.send(0, report, partial(confirmed.append, sent))
                elif step == "lose":
                    await bus.lose()
                elif step == "restore":
                    bus.restore()
                else:
                    clock.move(1.0)
                await turns(3)
            for _ in range(10):
                clock.move(1.0)
                await turns(3)
            await collect()
            assert confirmed == list(range(1, sent + 1))
            assert list(dict.fromkeys(arrived)) == confirmed
            await reports.stop()
            await bus.stop()

        asyncio.run(play())

    async def test_what_need_not_be_sent_again_is_told_instead(self) -> None:
        bus, clock = DurableBus(), ManualClock()
        reports = Reports(bus, clock)
        await reports.start()
        told: list[str] = []
        await bus.lose()
        progress = TaskProgressed("i", 1, 1, "#.t", 0.5)
        reports.send(0, progress, instead=lambda: told.append("first"))
        await turns()
        reports.send(0, progress, instead=lambda: told.append("second"))
        assert told == ["first", "second"]
        bus.restore()
        clock.move(1.0)
        await turns()
        assert await bus.depth(topology.scheduler_mailbox(0)) == 0
        await reports.stop()
        await bus.stop()
