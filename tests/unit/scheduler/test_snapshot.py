"""Snapshots: a storage that has missed a change is told everything, and is then as it would have been."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from taskpath_proto import codec
from taskpath_proto.events import InstanceChanged, WantSnapshot
from taskpath_proto.plan import RetrySpec, TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_services.scheduler import snapshot as snapshot_module
from tests.support.scheduler_play import Play, always_fails, group
from tests.support.scheduler_storage import Shelf
from tests.support.scheduler_twins import compare

T = TaskSpec


def play_of(**fields: Any) -> Play:
    """A play with something of everything, in the middle of it."""
    play = Play(
        T("list", context_var="list"),
        group("g", T("x"), T("y", retry=RetrySpec(attempts=3, backoff=100.0)), run=True, dest="d"),
        T("all", foreach="list"),
        does={"#.list": [1, 2, 3], "#.g.y": always_fails, **fields},
        updates={"#.g.x": lambda _: [{"n": {"$set": 1}}]},
        lease=30_000,
    )
    play.held.add("#.g.x")
    play.execute()
    play.start("#.g.x")
    play.progress("#.g.x", 0.5, "half way")
    return play


def asked(play: Play) -> list[InstanceChanged]:
    """What the owner says when it is asked for everything."""
    said = len(play.events)
    play.tell(WantSnapshot("i"))
    return play.events[said:]


def test_a_snapshot_makes_an_empty_store_as_it_was() -> None:
    play = play_of()
    before = play.shelf.copy()
    (event,) = asked(play)
    assert event.whole
    fresh = Shelf("i")
    fresh.merge(event)
    compare(play.shelf, fresh, leftovers=False)
    assert fresh.tasks["#.g.y"].retry == before.tasks["#.g.y"].retry
    assert fresh.tasks["#.g.y"].error is not None
    assert fresh.tasks["#.g.x"].progress == before.tasks["#.g.x"].progress
    assert fresh.record.runs == before.record.runs


def test_a_snapshot_arrives() -> None:
    (event,) = asked(play_of())
    messages, wrong = codec.decode_parcel(codec.join_parcel([codec.encode_message(event)]))
    assert (len(messages), wrong) == (1, [])


def test_a_snapshot_follows_the_changes_of_its_batch() -> None:
    play = play_of()
    report, said = play.report("#.g.x"), len(play.events)
    play.tell(report, WantSnapshot("i"))
    change, whole = play.events[said : said + 2]
    assert (change.whole, whole.whole) == (False, True)
    assert (whole.base_revision, whole.revision) == (change.revision, change.revision + 1)


def test_a_large_snapshot_is_said_in_parts_that_take_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_module, "MOST_TASKS", 2)
    play = play_of()
    parts = asked(play)
    assert len(parts) > 2
    assert not any(part.whole for part in parts)
    assert [part.instance is not None for part in parts] == [True] + [False] * (len(parts) - 1)
    assert all(later.base_revision == part.revision for part, later in pairwise(parts))
    fresh = Shelf("i")
    for part in parts:
        fresh.merge(part)
    compare(play.shelf, fresh, leftovers=False)


def test_parts_take_back_what_stood_where_now_another_task_was_never_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot_module, "MOST_TASKS", 1)
    play = Play(T("a"), T("b", foreach="list"), base={"list": [1]})
    play.execute()
    behind = play.shelf.copy()
    play.replant(T("a"), T("b"))
    for part in asked(play):
        assert not part.whole
        behind.merge(part)
    assert (behind.tasks["#.b"].status, behind.tasks["#.b"].own, behind.tasks["#.b"].bounds) == (
        TaskStatus.INACTIVE, None, (),
    )  # fmt: skip


def test_what_became_none_is_said_to_be_none() -> None:
    play = play_of()
    behind = play.shelf.copy()
    play.does["#.g.x"] = "done"
    play.updates.clear()
    play.finish("#.g.x")
    play.cancel()
    (event,) = asked(play)
    behind.merge(event)
    compare(play.shelf, behind, leftovers=False)
    assert behind.tasks["#.g.y"].retry is None


def test_nobody_can_tell_of_an_instance_that_is_gone() -> None:
    play = play_of()
    play.delete()
    assert asked(play) == []


def test_a_larger_value_is_told_as_long_as_it_is_at_hand_and_else_left_as_it_is() -> None:
    play = play_of(**{"#.g": "x" * 5_000})
    (event,) = asked(play)
    body = {change.path: change.body for change in event.tasks}["#.g"]
    assert play.shelf.read(body) == "x" * 5_000  # type: ignore[arg-type]  # it is set
    play.take_over()
    (event,) = asked(play)
    behind = Shelf("i")
    behind.merge(event)
    assert play.result("#.g") == "x" * 5_000


def test_it_is_said_also_by_an_owner_that_has_to_load_the_instance_first() -> None:
    play = play_of()
    play.finish("#.g.x")
    play.cancel()
    play.take_over()
    assert "i" not in play.partition.instances
    (event,) = asked(play)
    assert event.whole
