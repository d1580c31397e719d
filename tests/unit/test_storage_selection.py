"""A selection reads what its definition says, whatever the plan, the patterns and the counts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from taskpath_proto import paths
from taskpath_proto.paths import Pattern
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_services.storage.selection import Selection, Span

names = st.sampled_from(["a", "a b", "a-", "aé", "b"])
specs = st.recursive(
    st.builds(TaskSpec, name=names, foreach=st.none() | st.just(True)),
    lambda inner: st.builds(
        TaskSpec,
        name=names,
        foreach=st.none() | st.just(True),
        subtasks=st.lists(inner, min_size=1, max_size=2, unique_by=lambda spec: spec.name).map(tuple),
    ),
    max_leaves=4,
)
plans = st.builds(
    Plan, tasks=st.lists(specs, min_size=1, max_size=3, unique_by=lambda spec: spec.name).map(tuple)
)
patterns = st.lists(
    st.sampled_from(
        [
            "#",
            "#.a",
            "#.*",
            "#.**",
            "#.a[*]",
            "#.a[1]",
            "#.a[1].**",
            "#.*[*].b",
            "#.b",
            "#.a b[0].a",
            "#.a.a[0]",
        ]
    ),
    max_size=3,
)


def grow(plan: Plan, counts: list[int]) -> tuple[dict[str, int], list[str]]:
    """A tree with so many items, and the counts of its foreaches."""
    known: dict[str, int] = {}
    found: list[str] = []

    def add(spec: TaskSpec, path: str, item: bool = False) -> None:
        found.append(path)
        if spec.foreach is not None and not item:
            known[path] = counts[len(known) % len(counts)]
            for index in range(known[path]):
                add(spec, paths.item(path, index), item=True)
            return
        for sub in spec.subtasks or ():
            add(sub, paths.child(path, sub.name))

    for spec in plan.tasks:
        add(spec, paths.child("#", spec.name))
    return known, found


def belongs(path: str, texts: list[str], items: int, counts: dict[str, int]) -> bool:
    """The definition, word for word."""
    compiled = [Pattern(text) for text in texts]
    folded = any(path.startswith(foreach + "[") and count > items for foreach, count in counts.items())
    if folded:
        return any(pattern.names_items and pattern.covers(path) for pattern in compiled)
    return not compiled or any(pattern.covers(path) for pattern in compiled)


def spans(selection: Selection, plan: Plan, counts: dict[str, int]) -> list[Span]:
    steps = selection.spans(plan)
    try:
        asked = next(steps)
        while True:
            asked = steps.send({path: counts[path] for path in asked if path in counts})
    except StopIteration as done:
        found: list[Span] = done.value
        return found


@given(
    plan=plans,
    texts=patterns,
    counts=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    items=st.integers(0, 3),
)
def test_a_selection_is_its_definition(plan: Plan, texts: list[str], counts: list[int], items: int) -> None:
    known, found = grow(plan, counts)
    selection = Selection(patterns=texts, items=items)
    read = spans(selection, plan, known)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(read))
    selected = {
        path for path in found if any(low <= path < high for low, high in read) and selection.wants(path)
    }
    assert selected == {path for path in found if belongs(path, texts, items, known)}


def test_the_items_of_a_long_foreach_are_not_read() -> None:
    plan = Plan(tasks=(TaskSpec(name="fan", foreach=True),))
    read = spans(Selection(items=10), plan, {"#.fan": 11})
    assert not any(low <= "#.fan[5]" < high for low, high in read)
    assert any(low <= "#.fan" < high for low, high in read)
