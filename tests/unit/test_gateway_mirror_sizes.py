"""What a mirror tells in frames of a bounded size."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from taskpath_proto.events import LogLine
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import (
    InstanceRecord,
    TaskChange,
    TaskRecord,
)
from taskpath_services.gateway import frames, tree
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.parts import parts
from tests.support.mirrors import PLAN, Reader, event, extend, mirror

names = st.integers(0, 30).map(lambda number: f"task{number}")

trees: st.SearchStrategy[tuple[TaskSpec, ...]] = st.recursive(
    st.lists(names, max_size=4, unique=True).map(
        lambda found: tuple(TaskSpec(name=name, description="d" * 60) for name in found)
    ),
    lambda below: st.lists(st.tuples(names, below), max_size=4, unique_by=lambda pair: pair[0]).map(
        lambda pairs: tuple(TaskSpec(name=name, subtasks=specs) for name, specs in pairs)
    ),
    max_leaves=40,
)


def test_large_states_are_split_and_only_the_last_frame_ends_the_revision() -> None:
    mirrored = mirror(TaskRecord(path="#.resize", count=1_000))
    made = list(frames.catch_up(mirrored, Lens(None), None, whole=True))
    assert len(made) > 3
    assert max(map(len, made)) < 2 * frames.FRAME_BYTES
    reader = Reader()
    reader.read(made)
    assert len(reader.statuses) == 5 + 2_000


@given(specs=trees, most=st.integers(1, 2_000))
def test_the_parts_of_a_description_are_small_and_together_the_whole(
    specs: tuple[TaskSpec, ...], most: int
) -> None:
    described = tree.describe(Plan(tasks=specs), {})
    made = list(parts(described, most))
    together: list[Any] = []
    for part in made:
        extend(together, msgspec.to_builtins(part))
    assert together == msgspec.to_builtins(described)
    if len(made) > 1 and most > 1_500:
        assert max(len(msgspec.json.encode(part)) for part in made) < most + 1_000


def test_ten_thousand_tasks_are_described_in_packets_of_a_bounded_size() -> None:
    wide = tuple(TaskSpec(name=f"task{number}", description="what it is for") for number in range(20_000))
    plan = Plan(tasks=(TaskSpec(name="group", run=False, subtasks=wide), TaskSpec(name="last")))
    mirrored = Mirror(InstanceRecord(id="i", epoch=1, revision=10, plan=plan), ())
    made = list(frames.catch_up(mirrored, Lens(None), None, whole=True))
    assert max(map(len, made)) < 2 * frames.FRAME_BYTES
    reader = Reader()
    reader.read(made)
    assert [task["name"] for task in reader.tasks] == ["group", "last"]
    assert len(reader.tasks[0]["children"]) == 20_000
    assert len(reader.statuses) == 20_002


def test_many_removed_items_are_told_in_frames_of_a_bounded_size() -> None:
    mirrored, reader = mirror(TaskRecord(path="#.resize", count=100_000)), Reader()
    gone = tuple(f"#.resize[{number}]" for number in range(100_000))
    mirrored.apply(event(11, TaskChange(path="#.resize", count=0), removed=gone))
    lens = Lens(("#.resize[*]",))
    pending = mirrored.take_pending()
    pending.removed = list(gone)
    made = frames.change(mirrored, pending, lens, frames.States(mirrored), 10)
    assert max(map(len, made)) < 2 * frames.FRAME_BYTES
    assert sum(len(msgspec.json.decode(frame).get("removed", ())) for frame in made) == 100_000
    reader.revision = 10
    reader.read(made)
    assert reader.revision == 11


def test_many_log_lines_are_sent_in_frames_of_a_bounded_size() -> None:
    lines = [LogLine(5, "info", "\0" * 16_000, 1, number) for number in range(1, 31)]
    made = frames.log_frames("i", "#.list", lines, 130)
    packets = [msgspec.json.decode(frame) for frame in made]
    assert max(map(len, made)) < 1024 * 1024
    assert sum(len(packet["lines"]) for packet in packets) == 30
    assert packets[-1]["next"] == 130
    reached = 100
    for packet in packets:
        reached += len(packet["lines"])
        assert packet["next"] == reached


def test_what_cannot_be_told_is_known_to_be_so() -> None:
    instance = InstanceRecord(id="i", epoch=1, revision=10, plan=PLAN)
    mirrored = Mirror(instance, [TaskRecord(path="#.resize", count=3, revision=7)], removed_at=6)
    assert mirrored.can_tell(10)
    assert mirrored.can_tell(6)
    assert not mirrored.can_tell(5), "an item was removed since, and nobody knows which"
    assert not mirrored.can_tell(11)
