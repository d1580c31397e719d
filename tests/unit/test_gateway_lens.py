"""Which tasks a client sees, and how the tree is walked and described."""

from __future__ import annotations

import pytest

from taskpath_proto.errors import TaskpathError
from taskpath_proto.paths import ROOT, Pattern
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskRecord
from taskpath_services.gateway import tree
from taskpath_services.gateway.lens import Lens, collapsed_above, key_of
from taskpath_services.gateway.tree import could_match

PLAN = Plan(
    tasks=(
        TaskSpec(
            name="a",
            foreach="list",
            subtasks=(TaskSpec(name="b", foreach=True, subtasks=(TaskSpec(name="c"),)), TaskSpec(name="d")),
        ),
        TaskSpec(name="e", description="The end", subtasks=(TaskSpec(name="f"),)),
    )
)


@pytest.mark.parametrize(
    ("patterns", "path", "collapsed", "shown"),
    [
        (None, "#.a", (), True),
        (None, "#.a[3].d", (), True),
        (None, "#.a[3].d", ("#.a",), False),
        (None, "#.a", ("#.a",), True),
        (("#",), "#.e", (), False),
        (("#.e",), "#.e.f", (), True),
        (("#.e.f",), "#.e", (), False),
        (("#.a",), "#.a[3]", (), True),
        (("#.a",), "#.a[3]", ("#.a",), False),
        (("#.a[3]",), "#.a[3]", ("#.a",), True),
        (("#.a[3]",), "#.a[3].d", ("#.a",), True),
        (("#.a[3]",), "#.a[4]", ("#.a",), False),
        (("#.a[*].d",), "#.a[4].d", ("#.a",), True),
        (("#.a[3]",), "#.a[3].b[1]", ("#.a", "#.a[3].b"), False),
        (("#.a[3].b[1]",), "#.a[3].b[1].c", ("#.a", "#.a[3].b"), True),
        (("#.e", "#.a[3]"), "#.a[3]", ("#.a",), True),
        (("#.**",), "#.a[3]", ("#.a",), False),
    ],
)
def test_what_is_seen(
    patterns: tuple[str, ...] | None, path: str, collapsed: tuple[str, ...], shown: bool
) -> None:
    assert Lens(patterns).shows(path, collapsed) is shown


def test_the_same_patterns_are_the_same_lens() -> None:
    assert key_of(["#.b", "#.a", "#.b"]) == key_of(["#.a", "#.b"])
    assert key_of(None) is None
    with pytest.raises(TaskpathError):
        Lens(("a",))


def test_the_items_that_may_be_named() -> None:
    assert list(Lens(("#.a[3]", "#.a[1].d", "#.a[70]")).items("#.a", 10)) == [1, 3]
    assert list(Lens(("#.a[*]",)).items("#.a", 3)) == [0, 1, 2]
    assert list(Lens(("#.a[3].b[2]",)).items("#.a[3].b", 9)) == [2]
    assert list(Lens(("#.a",)).items("#.a", 3)) == []


def test_the_innermost_collapsed_foreach() -> None:
    assert collapsed_above("#.a[3].b[1].c", {"#.a", "#.a[3].b"}) == "#.a[3].b"
    assert collapsed_above("#.a[3].d", {"#.a"}) == "#.a"
    assert collapsed_above("#.a", {"#.a"}) is None


def test_a_foreach_is_described_once() -> None:
    a, e = tree.describe(PLAN, {"#.a": TaskRecord(path="#.a", count=2)})
    assert (a.path, a.foreach, a.count) == ("#.a", True, 2)
    assert [node.path for node in a.children] == ["#.a[*].b", "#.a[*].d"]
    assert a.children[0].children[0].path == "#.a[*].b[*].c"
    assert (e.description, e.foreach, e.count, [node.path for node in e.children]) == (
        "The end", False, None, ["#.e.f"],
    )  # fmt: skip


def test_a_walk_goes_through_items_but_not_through_collapsed_ones() -> None:
    records = {
        "#.a": TaskRecord(path="#.a", count=2),
        "#.a[0].b": TaskRecord(path="#.a[0].b", count=1),
        "#.a[1].b": TaskRecord(path="#.a[1].b", count=1_001),
    }
    assert list(tree.walk(PLAN, records)) == [
        "#.a", "#.a[0]", "#.a[0].b", "#.a[0].b[0]", "#.a[0].b[0].c", "#.a[0].d",
        "#.a[1]", "#.a[1].b", "#.a[1].d", "#.e", "#.e.f",
    ]  # fmt: skip
    found = [path for _, path in tree.foreaches(PLAN.tasks, ROOT, records)]
    assert found == ["#.a", "#.a[0].b", "#.a[1].b"]


@pytest.mark.parametrize(
    ("pattern", "possible"),
    [
        ("#", True),
        ("#.a", True),
        ("#.a[7]", True),
        ("#.a[7].b[2].c", True),
        ("#.a[*].d", True),
        ("#.*", True),
        ("#.**", True),
        ("#.**.c", True),
        ("#.**[*].c", True),
        ("#.**.**.**.f", False),
        ("#.e.*", True),
        ("#.x", False),
        ("#.a.d", False),
        ("#.e[0]", False),
        ("#.e.f.g", False),
        ("#.**.x", False),
        ("#.a[1].d[0]", False),
    ],
)
def test_whether_a_pattern_could_ever_match(pattern: str, possible: bool) -> None:
    assert could_match(PLAN, Pattern(pattern)) is possible


def test_many_wildcards_take_no_time() -> None:
    specs: tuple[TaskSpec, ...] = ()
    for level in range(20):
        specs = (TaskSpec(name=f"l{level}", subtasks=specs), TaskSpec(name="x"))
    assert not could_match(Plan(tasks=specs), Pattern("#" + ".**" * 25 + ".none"))
