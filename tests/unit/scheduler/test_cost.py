"""What a report costs does not grow with the tree: counted in calls, not in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.commands import CreateInstance, Execute
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceStatus, TaskStatus
from taskpath_proto.work import ExpandPlan, Order, OrderKind, PlanExpanded, RunTasks, TaskFinished
from taskpath_services.scheduler.effects import Outcome
from taskpath_services.scheduler.partition import Partition
from tests.support.scheduler_functions import inline

PARCEL = 20


def finished(message: RunTasks, order: Order, size: int) -> TaskFinished:
    result, count = inline(1), None
    if order.kind is OrderKind.FOREACH:
        result, count = inline(list(range(size))), size
    return TaskFinished(
        message.id,
        message.epoch,
        order.command,
        order.path,
        TaskStatus.OK,
        1,
        1,
        "e",
        result=result,
        count=count,
    )


class Counting:
    """An owner whose decisions are counted."""

    def __init__(self, plan: Plan, size: int) -> None:
        self.size = size
        self.calls = self.reports = 0
        self.status: InstanceStatus | None = None
        self._partition = Partition(0, 1)
        create = CreateInstance("i", "w", "default", "default", inline(None), inline({"list": []}))
        (expand,) = self._decide([Call(create, "r", 1, 1 << 60)]).commands
        assert isinstance(expand[1], ExpandPlan)
        self._decide([PlanExpanded("i", 1, expand[1].command, plan)])

    def run(self, path: str = "#") -> None:
        """One execute, to its end; what it takes to accept it is not counted."""
        orders = self._orders(self._decide([Call(Execute("i", path), "r", 2, 1 << 60)]))
        self.calls = self.reports = 0
        while orders:
            batch, orders = orders[:PARCEL], orders[PARCEL:]
            reports: list[Message] = [finished(message, order, self.size) for message, order in batch]
            outcome = self._counted(partial(self._decide, reports))
            self.reports += len(reports)
            orders += self._orders(outcome)

    @staticmethod
    def _orders(outcome: Outcome) -> list[tuple[RunTasks, Order]]:
        return [
            (message, order)
            for _, message in outcome.commands
            if isinstance(message, RunTasks)
            for order in message.orders
        ]

    def _counted(self, decide: Callable[[], Outcome]) -> Outcome:
        calls = 0

        def count(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            return decide()
        finally:
            sys.setprofile(None)
            self.calls += calls

    def _decide(self, messages: list[Message]) -> Outcome:
        outcome = self._partition.decide(messages, (), 1_000)
        for event in outcome.events:
            instance = getattr(event, "instance", None)
            if instance is not None and isinstance(instance.status, InstanceStatus):
                self.status = instance.status
        return outcome


def foreach(**fields: Any) -> TaskSpec:
    return TaskSpec("all", foreach="list", **fields)


PLANS = {
    "plain items": Plan((TaskSpec("list"), foreach(), TaskSpec("end"))),
    "items at most 10 at once": Plan((TaskSpec("list"), foreach(max_parallel=10), TaskSpec("end"))),
    "items that leave their list": Plan((foreach(context_var="results"), TaskSpec("end"))),
    "items of two steps": Plan(
        (foreach(run=False, sequential=True, subtasks=(TaskSpec("a"), TaskSpec("b"))), TaskSpec("end"))
    ),
    "items of two at once": Plan((foreach(subtasks=(TaskSpec("a"), TaskSpec("b"))), TaskSpec("end"))),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_report_costs_the_same_in_a_tree_of_a_thousand_and_of_ten_thousand_items(name: str) -> None:
    means = []
    for size in (1_000, 10_000):
        counting = Counting(PLANS[name], size)
        counting.run()
        assert counting.status is InstanceStatus.DONE
        assert counting.reports >= size
        means.append(counting.calls / counting.reports)
    assert means[1] == pytest.approx(means[0], rel=0.10)


def test_running_one_item_again_costs_the_same_in_both() -> None:
    calls = []
    for size in (1_000, 10_000):
        counting = Counting(Plan((foreach(), TaskSpec("end"))), size)
        counting.run()
        counting.run(f"#.all[{size // 2}]")
        assert counting.reports == 1
        calls.append(counting.calls)
    assert calls[1] == pytest.approx(calls[0], rel=0.10)


def test_a_step_of_a_chain_costs_the_same_in_one_of_a_hundred_and_of_a_thousand() -> None:
    means = []
    for size in (100, 1_000):
        counting = Counting(Plan(tuple(TaskSpec(f"t{number}") for number in range(size))), size)
        counting.run()
        assert counting.status is InstanceStatus.DONE
        means.append(counting.calls / counting.reports)
    assert means[1] == pytest.approx(means[0], rel=0.10)
