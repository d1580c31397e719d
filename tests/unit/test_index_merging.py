"""What a group of steps makes of the rows that an index has."""

from __future__ import annotations

from taskpath_proto.records import InstanceChange, InstanceStatus
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion
from taskpath_services.storage.index.merging import Merge, merged

DONE = InstanceChange(status=InstanceStatus.DONE)


def named(name: str) -> InstanceChange:
    return InstanceChange(name=name)


def test_a_deletion_that_is_older_than_the_row_takes_nothing() -> None:
    result = merged([IndexDeletion("a", 4), IndexChange("a", 6, DONE)], {"a": 5})
    assert (result.gone, result.merges) == ([], [Merge("a", 6, False, DONE)])


def test_a_deletion_takes_what_came_before_it_along() -> None:
    steps: list[IndexChange | IndexDeletion] = [
        IndexChange("a", 6, DONE),
        IndexDeletion("a", 6),
        IndexChange("a", 7, DONE),
    ]
    assert merged(steps, {"a": 5}).gone == ["a"]
    assert merged(steps, {"a": 5}).merges == []
    # What the index has not cannot be taken out of it.
    begun: list[IndexChange | IndexDeletion] = [IndexChange("a", 1, DONE, new=True), IndexDeletion("a", 2)]
    assert (merged(begun, {}).gone, merged(begun, {}).merges) == ([], [])


def test_what_comes_after_a_deletion_begins_anew() -> None:
    steps: list[IndexChange | IndexDeletion] = [
        IndexDeletion("a", 6),
        IndexChange("a", 1, named("n"), new=True),
        IndexChange("a", 2, DONE),
    ]
    both = InstanceChange(name="n", status=InstanceStatus.DONE)
    result = merged(steps, {"a": 5})
    assert (result.gone, result.merges) == (["a"], [Merge("a", 2, True, both)])


def test_older_steps_are_left_out_each_by_itself() -> None:
    steps: list[IndexChange | IndexDeletion] = [
        IndexChange("a", 4, named("old")),
        IndexChange("a", 6, DONE),
        IndexChange("a", 6, named("again")),
    ]
    assert merged(steps, {"a": 5}).merges == [Merge("a", 6, False, DONE)]


def test_what_is_given_is_not_changed() -> None:
    known, change = {"a": 1}, InstanceChange()
    merged([IndexChange("a", 2, change), IndexChange("a", 3, DONE), IndexDeletion("a", 3)], known)
    assert (known, change) == ({"a": 1}, InstanceChange())
