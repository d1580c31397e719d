"""The mirror of an instance and its frames: whatever is missed, a client ends where the instance is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan
from taskpath_proto.records import (
    InstanceChange,
    InstanceProgress,
    InstanceStatus,
    Rollup,
    TaskChange,
    TaskRecord,
    TaskStatus,
)
from taskpath_services.gateway import frames
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.pending import Outcome
from tests.support.mirrors import FAILED, OK, PLAN, QUEUED, RUNNING, Reader, event, mirror, whole


def test_everything_is_sent_at_first_untouched_tasks_included() -> None:
    reader = whole(
        mirror(TaskRecord(path="#.list", status=OK, bound=1, left=2, revision=9, attempt=1)), Lens(None)
    )
    assert list(reader.statuses) == ["#.list", "#.resize", "#.zip", "#.zip.a", "#.zip.b"]
    assert reader.statuses["#.list"]["status"] == "ok"
    assert reader.statuses["#.zip.b"] == {
        "status": "inactive",
        "stale": False,
        "executionTime": None,
        "duration": None,
        "attempt": 0,
    }
    assert [task["path"] for task in reader.tasks] == ["#.list", "#.resize", "#.zip"]
    assert (reader.revision, reader.status) == (10, "inactive")


def test_the_record_of_the_root_is_not_shown() -> None:
    mirrored = mirror(TaskRecord(path="#", status=QUEUED, revision=9))
    mirrored.apply(event(11, TaskChange(path="#", status=OK)))
    assert not mirrored.take_pending().tasks
    assert "#" not in whole(mirrored, Lens(None)).statuses
    assert mirrored.changed(0, Lens(None)) == []


def test_the_root_alone_shows_the_status_and_no_task() -> None:
    assert whole(mirror(), Lens(("#",))).statuses == {}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (event(11), Outcome.APPLIED),
        (event(10), Outcome.OLD),
        (event(9), Outcome.OLD),
        (event(12), Outcome.GAP),
        (event(12, base=9), Outcome.APPLIED),
        (event(11, epoch=0), Outcome.OLD),
        (event(11, epoch=2), Outcome.APPLIED),
        (event(10, epoch=2), Outcome.GAP),
        (event(12, epoch=2, base=11), Outcome.GAP),
    ],
)
def test_only_what_continues_is_applied(change: InstanceChanged, outcome: Outcome) -> None:
    assert mirror().apply(change) is outcome


def test_after_a_new_owner_the_old_one_is_not_heard() -> None:
    mirrored = mirror()
    assert mirrored.apply(event(11, epoch=2)) is Outcome.APPLIED
    assert mirrored.apply(event(12, epoch=1)) is Outcome.OLD


def test_another_plan_has_to_be_read() -> None:
    other = InstanceChange(plan=Plan(tasks=()))
    assert mirror().apply(event(11, instance=other)) is Outcome.REPLANTED
    assert mirror().apply(event(11, instance=InstanceChange(plan=PLAN))) is Outcome.APPLIED


def test_items_of_a_long_foreach_are_not_held_and_its_rollup_is_shown() -> None:
    mirrored = mirror()
    mirrored.apply(event(11, TaskChange(path="#.resize", status=QUEUED, count=100_000)))
    for number in range(500):
        items = [
            TaskChange(path=f"#.resize[{number}]", status=OK),
            TaskChange(path=f"#.resize[{number}].small"),
        ]
        total = TaskChange(
            path="#.resize", rollup=Rollup(total=100_000, inactive=99_999 - number, ok=number + 1)
        )
        mirrored.apply(event(12 + number, *items, total))
    assert set(mirrored.tasks) == {"#.resize"}
    assert not mirrored.items
    assert set(mirrored.take_pending().tasks) == {"#.resize"}
    shown = whole(mirrored, Lens(None)).statuses
    assert shown["#.resize"]["rollup"] == {
        "total": 100_000,
        "inactive": 99_500,
        "queued": 0,
        "running": 0,
        "ok": 500,
        "failed": 0,
        "skipped": 0,
        "cancelled": 0,
        "stale": 0,
    }
    assert not [path for path in shown if "[" in path]


def test_a_foreach_that_grows_long_collapses_and_one_that_shrinks_has_to_be_read() -> None:
    mirrored = mirror(TaskRecord(path="#.resize", count=2), TaskRecord(path="#.resize[0]", status=OK))
    assert mirrored.apply(event(11, TaskChange(path="#.resize", count=2_000))) is Outcome.APPLIED
    assert set(mirrored.tasks) == {"#.resize"}
    assert mirrored.take_pending().expanded
    assert mirrored.apply(event(12, TaskChange(path="#.resize", count=3))) is Outcome.UNHELD


def test_named_items_are_shown_though_the_foreach_is_collapsed() -> None:
    lens = Lens(("#.resize[7]", "#.resize"))
    mirrored = mirror(
        TaskRecord(path="#.resize", count=5_000),
        lenses=(lens,),
        items=(
            TaskRecord(path="#.resize[7]", status=OK, revision=4),
            TaskRecord(path="#.resize[8]", revision=4),
        ),
    )
    assert set(mirrored.items) == {"#.resize[7]"}
    assert set(whole(mirrored, lens).statuses) == {"#.resize", "#.resize[7]", "#.resize[7].small"}
    mirrored.apply(event(11, *[TaskChange(path=f"#.resize[{n}].small", status=OK) for n in range(20)]))
    pending = mirrored.take_pending()
    assert set(pending.tasks) == {"#.resize[7].small"}
    hidden = list(frames.change(mirrored, pending, Lens(None), frames.States(mirrored), 10))
    assert [msgspec.json.decode(frame)["type"] for frame in hidden] == ["setWorkflowStatus"]
    mirrored.drop(lens)
    assert not mirrored.items


def test_a_further_lens_gets_its_items_as_they_are_after_the_events_since() -> None:
    lens = Lens(("#.resize[*]",))
    mirrored = mirror(TaskRecord(path="#.resize", count=5_000))
    late = event(11, TaskChange(path="#.resize[3]", status=OK, duration=5))
    mirrored.apply(late)
    read = TaskRecord(path="#.resize[3]", status=RUNNING, attempt=2, revision=9)
    mirrored.keep(lens, [read], [late])
    state = mirrored.state("#.resize[3]")
    assert (state.status, state.attempt, state.duration) == (OK, 2, 5)


def test_expansion_tells_of_items_that_nothing_has_happened_to() -> None:
    mirrored, reader = mirror(), Reader()
    reader.read(frames.catch_up(mirrored, Lens(None), None, whole=True))
    mirrored.apply(
        event(11, TaskChange(path="#.resize", count=3), TaskChange(path="#.resize[0]", status=QUEUED))
    )
    reader.read(frames.change(mirrored, mirrored.take_pending(), Lens(None), frames.States(mirrored), 10))
    assert reader.statuses["#.resize[2].small"]["status"] == "inactive"
    assert reader.statuses["#.resize[0]"]["status"] == "queued"
    assert reader.tasks[1]["count"] == 3


def test_what_a_rerun_makes_stale_is_sent() -> None:
    mirrored = mirror(
        TaskRecord(path="#.list", status=OK, bound=1, left=2, revision=8),
        TaskRecord(path="#.resize", status=OK, bound=3, left=4, own=OK, own_left=4, count=0, revision=9),
        TaskRecord(path="#.zip", status=OK, bound=5, left=9, own=OK, own_left=6, revision=9),
        TaskRecord(path="#.zip.a", status=OK, bound=7, left=8, revision=9),
    )
    reader = whole(mirrored, Lens(None))
    assert not any(state["stale"] for state in reader.statuses.values())
    mirrored.apply(event(11, TaskChange(path="#.list", status=OK, bound=20, left=21)))
    reader.read(frames.change(mirrored, mirrored.take_pending(), Lens(None), frames.States(mirrored), 10))
    assert reader.statuses["#.zip.a"]["stale"]
    assert reader.statuses["#.zip"]["stale"]
    assert not reader.statuses["#.list"]["stale"]


def test_what_has_become_stale_is_found_out_when_somebody_sees_it() -> None:
    mirrored = mirror(
        TaskRecord(path="#.list", status=OK, bound=1, left=2, revision=8),
        TaskRecord(path="#.resize", status=OK, bound=3, left=4, own=OK, own_left=4, count=0, revision=9),
        TaskRecord(path="#.zip", status=OK, bound=5, left=9, own=OK, own_left=6, revision=9),
        TaskRecord(path="#.zip.a", status=OK, bound=7, left=8, revision=9),
    )
    mirrored.apply(event(11, TaskChange(path="#.list", status=OK, bound=20, left=21)))
    pending = mirrored.take_pending(stale=Lens(("#",)).shows_tasks)
    assert set(pending.tasks) == {"#.list"}
    assert not mirrored.changed_unsent
    assert whole(mirrored, Lens(None)).statuses["#.zip.a"]["stale"]
    pending = mirrored.take_pending(stale=Lens(("#", "#.zip")).shows_tasks)
    assert "#.zip.a" in pending.tasks


def test_after_the_end_the_status_is_said_with_every_revision() -> None:
    mirrored, reader = mirror(), Reader()
    mirrored.apply(event(11, instance=InstanceChange(status=InstanceStatus.DONE)))
    mirrored.take_pending()
    mirrored.apply(event(12, TaskChange(path="#.list", left=7)))
    for lens in (Lens(None), Lens(("#",))):
        reader.revision = 11
        reader.read(frames.change(mirrored, mirrored.pending, lens, frames.States(mirrored), 11))
        assert (reader.revision, reader.status) == (12, "done")


def test_a_final_failure_is_told_once_and_only_to_those_who_see_the_task() -> None:
    mirrored = mirror()
    error = ErrorInfo(ErrorCode.EXECUTION_FAILED, "no disk", path="#.list", type="OSError", traceback="…")
    mirrored.apply(event(11, TaskChange(path="#.list", status=QUEUED, error=error)))
    mirrored.apply(event(12, TaskChange(path="#.list", status=FAILED, error=error)))
    pending, states = mirrored.take_pending(), frames.States(mirrored)
    told = [msgspec.json.decode(frame) for frame in frames.change(mirrored, pending, Lens(None), states, 10)]
    assert [packet["taskPath"] for packet in told if packet["type"] == "executionError"] == ["#.list"]
    other = frames.change(mirrored, pending, Lens(("#.zip",)), states, 10)
    assert not any(b"executionError" in frame for frame in other)


def test_what_is_sent_while_the_instance_moves_on_says_what_was_so_at_its_revision() -> None:
    mirrored = mirror(TaskRecord(path="#.resize", count=1_000))
    mirrored.status = InstanceStatus.WORKING
    sending = frames.catch_up(mirrored, Lens(None), None, whole=True)
    made = [next(sending)]
    ended = InstanceChange(status=InstanceStatus.DONE, progress=InstanceProgress(total=3, done=3))
    mirrored.apply(event(11, TaskChange(path="#.zip.b", status=OK), instance=ended))
    made.extend(sending)
    reader = Reader()
    reader.read(made)
    assert (reader.revision, reader.status) == (10, "working")
    assert msgspec.json.decode(made[-1])["progress"]["done"] == 0
    reader.read(frames.catch_up(mirrored, Lens(None), 10, whole=False))
    assert (reader.revision, reader.status) == (11, "done")
    assert reader.statuses["#.zip.b"]["status"] == "ok"


def test_an_instance_that_rests_with_a_part_of_it_run_says_its_status_with_every_revision() -> None:
    mirrored, reader = mirror(), Reader()
    mirrored.apply(event(11, instance=InstanceChange(status=InstanceStatus.WORKING, started_at=1)))
    mirrored.apply(event(12, instance=InstanceChange(status=InstanceStatus.INACTIVE)))
    assert mirrored.take_pending().rests
    mirrored.apply(event(13, TaskChange(path="#.list", status=OK)))
    reader.revision = 12
    reader.read(frames.change(mirrored, mirrored.pending, Lens(None), frames.States(mirrored), 12))
    assert (reader.revision, reader.status) == (13, "inactive")


def test_items_that_may_have_come_since_are_told_though_nothing_happened_to_them() -> None:
    mirrored = mirror(
        TaskRecord(path="#.resize", count=2, revision=7),
        TaskRecord(path="#.resize[0]", status=OK, revision=8),
    )
    items = {"#.resize[0]", "#.resize[0].small", "#.resize[1]", "#.resize[1].small"}
    assert set(mirrored.changed(6, Lens(None))) == {"#.resize", *items}
    assert set(mirrored.changed(6, Lens(("#.resize[1]",)))) == {"#.resize[1]", "#.resize[1].small"}
    assert mirrored.changed(7, Lens(None)) == ["#.resize[0]"]
    assert mirrored.changed(8, Lens(None)) == []


PATHS = ("#.list", "#.resize", "#.zip", "#.zip.a", "#.zip.b")


LENSES = (Lens(None), Lens(("#.zip",)), Lens(("#.resize[1]", "#.list")), Lens(("#",)))


counts = st.integers(0, 4)


changes = st.lists(
    st.one_of(
        st.builds(
            TaskChange,
            path=st.sampled_from(PATHS[:1] + PATHS[2:]),
            status=st.sampled_from(TaskStatus),
            bound=st.one_of(st.just(UNSET), st.integers(1, 60)),
            left=st.one_of(st.just(UNSET), st.integers(1, 60)),
        ),
        st.tuples(st.integers(0, 3), st.sampled_from(TaskStatus)),
        counts,
    ),
    max_size=4,
)


steps = st.lists(st.tuples(changes, st.sampled_from(InstanceStatus), st.sets(st.integers(0, 3))), max_size=12)


@given(steps=steps, flushes=st.sets(st.integers(0, 12)))
def test_whoever_is_sent_whatever_in_between_ends_where_the_instance_is(
    steps: list[tuple[list[Any], InstanceStatus, set[int]]], flushes: set[int]
) -> None:
    mirrored, count = mirror(), 0
    current = [whole(mirrored, lens) for lens in LENSES]
    slow = [whole(mirrored, lens) for lens in LENSES]
    sent = [10] * len(LENSES)
    for number, (step, status, readers) in enumerate(steps):
        tasks: list[TaskChange] = []
        removed: list[str] = []
        for part in step:
            match part:
                case int():
                    if any(task.path == "#.resize" for task in tasks):
                        continue
                    removed.extend(f"#.resize[{index}]" for index in range(part, count))
                    tasks = [task for task in tasks if not task.path.startswith("#.resize[")]
                    count = part
                    tasks.append(TaskChange(path="#.resize", count=count, status=QUEUED))
                case (index, item_status):
                    if index < count:
                        tasks.append(TaskChange(path=f"#.resize[{index}]", status=item_status))
                case TaskChange():
                    tasks.append(part)
        instance = InstanceChange(status=status, progress=InstanceProgress(total=number))
        assert (
            mirrored.apply(event(11 + number, *tasks, removed=tuple(removed), instance=instance))
            is Outcome.APPLIED
        )
        if number in flushes:
            pending, states = mirrored.take_pending(), frames.States(mirrored)
            for place, lens in enumerate(LENSES):
                if made := frames.change(mirrored, pending, lens, states, sent[place]):
                    sent[place] = mirrored.revision
                    current[place].read(made)
        for place in readers:
            if mirrored.can_tell(slow[place].revision):
                slow[place].read(frames.catch_up(mirrored, LENSES[place], slow[place].revision, whole=False))
    pending, states = mirrored.take_pending(), frames.States(mirrored)
    for place, lens in enumerate(LENSES):
        current[place].read(frames.change(mirrored, pending, lens, states, sent[place]))
        slow[place].read(frames.catch_up(mirrored, lens, slow[place].revision, whole=False))
        there = whole(mirrored, lens)
        assert current[place].statuses == there.statuses
        assert slow[place].statuses == there.statuses
        assert current[place].status == slow[place].status == there.status
        assert current[place].tasks == slow[place].tasks == there.tasks
