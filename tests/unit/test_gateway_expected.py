"""What is to be expected of one task, and what a mirror makes of it."""

from __future__ import annotations

from taskpath_proto import paths
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import ExpectedTime
from taskpath_proto.records import InstanceRecord, Rollup, TaskRecord, TaskStatus
from taskpath_services.gateway.expected import NOTHING, UNKNOWN, Expected, Usual
from taskpath_services.gateway.mirror import Mirror

PLAN = Plan(
    tasks=(
        TaskSpec(name="list"),
        TaskSpec(name="each", foreach="them"),
        TaskSpec(name="both", subtasks=(TaskSpec(name="x"), TaskSpec(name="y"))),
    )
)
EXPECTED = Expected(
    {
        "#.list": ExpectedTime(100, 10),
        "#.each": ExpectedTime(2_000, 400, tasks=20),
        "#.each[*]": ExpectedTime(90),
        "#.both": ExpectedTime(500, 0),
    }
)


def mirror(*records: TaskRecord, expected: Expected = EXPECTED) -> Mirror:
    return Mirror(InstanceRecord(id="i", epoch=1, revision=1, plan=PLAN), records, expected=expected)


def test_items_are_alike() -> None:
    assert paths.alike("#.a") == "#.a"
    assert paths.alike("#.a[0].b[17].c") == "#.a[*].b[*].c"
    assert paths.alike("#.a[*]") == "#.a[*]"


def test_what_was_never_seen_is_not_expected() -> None:
    assert EXPECTED.of("#.other") is UNKNOWN
    assert NOTHING.of("#.list") is UNKNOWN
    state = mirror(expected=NOTHING).state("#.list")
    assert (state.expected_duration, state.expected_spread) == (None, None)


def test_a_foreach_takes_longer_the_more_there_is_below_it() -> None:
    read = TaskRecord(path="#.each", count=5, rollup=Rollup(5, inactive=5))
    assert EXPECTED.of("#.each", read) == Usual(500, 100)
    assert EXPECTED.of("#.each", TaskRecord(path="#.each")) == Usual(2_000, 400)
    assert EXPECTED.of("#.each") == Usual(2_000, 400)


def test_states_say_what_is_expected_also_of_what_has_no_record() -> None:
    shown = mirror(TaskRecord(path="#.each", count=2, rollup=Rollup(2), revision=1))
    assert (shown.state("#.list").status, shown.state("#.list").expected_duration) == (
        TaskStatus.INACTIVE,
        100,
    )
    assert shown.state("#.list").expected_spread == 10
    assert (shown.state("#.each[1]").expected_duration, shown.state("#.each[1]").expected_spread) == (
        90,
        None,
    )
    assert shown.state("#.both").expected_duration == 500
    assert shown.state("#.both.x").expected_duration is None


def test_what_is_known_better_later_is_pending_where_it_makes_a_difference() -> None:
    shown = mirror(TaskRecord(path="#.each", count=2, rollup=Rollup(2), revision=1))
    shown.take_pending()
    more = {"#.list": ExpectedTime(105, 10), "#.each[*]": ExpectedTime(200), "#.both.x": ExpectedTime(0, 0)}
    shown.expect(Expected(more))
    assert list(shown.take_pending().tasks) == ["#.each", "#.each[0]", "#.each[1]", "#.both", "#.both.x"]
    assert shown.state("#.both.x").expected_duration == 0
    assert shown.state("#.both").expected_duration is None
    shown.expect(Expected(more))
    assert not shown.changed_unsent
