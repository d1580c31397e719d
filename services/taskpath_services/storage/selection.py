"""Which tasks a read of an instance is about.

Paths sort as text, and everything at or below a path lies in three spans of that order; so a selection is a
list of spans to be read, and a test for what was read. The items of a long foreach are left out without being
looked at.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Final, TypeAlias

from taskpath.inputs import Place, way_to
from taskpath_proto import paths
from taskpath_proto.paths import Pattern
from taskpath_proto.plan import Plan, TaskSpec

Span: TypeAlias = tuple[str, str]
"""Paths from the first (included) to the second (excluded), in the order of their bytes."""

EVERYTHING: Final[Span] = ("#", "$")
"""All paths there are."""

Foreach: TypeAlias = tuple[str, TaskSpec]


def items_of(path: str) -> Span:
    """The items of a foreach and all below them."""
    return (path + "[", path + "\\")


def at_or_under(path: str) -> tuple[Span, Span, Span]:
    """A path and all below it. Names have no control characters, so the first span holds the path alone."""
    return ((path, path + "\x01"), (path + ".", path + "/"), items_of(path))


def without_items(plan: Plan, path: str) -> list[Span]:
    """A path and all below it, but for what is inside items of foreaches there. A foreach is by itself."""
    way = way_to(plan, path)
    if not way or way[-1].is_foreach:
        return [at_or_under(path)[0]]
    spans = [(paths.ROOT, "$")] if path == paths.ROOT else _merged(at_or_under(path))
    return _without(spans, [items_of(found) for found, _ in foreaches_at(way[-1])])


def foreaches_at(place: Place) -> list[Foreach]:
    """The foreaches at and below a task that are not inside another."""
    if place.is_foreach:
        return [(place.path, place.spec)]
    return _foreaches(place.spec.subtasks or (), place.path)


def literal_prefix(pattern: Pattern) -> str:
    """The path at or under which everything lies that a pattern covers."""
    prefix = paths.ROOT
    for step in pattern.steps:
        if step in ("*", "**", "[*]"):
            break
        prefix += step if step.startswith("[") else f".{step}"
    return prefix


class Selection:
    """The tasks that a read is about.

    Args:
        since: only tasks that changed after this revision.
        patterns: only tasks that one of them covers; all if there are none.
        items: the items of a foreach with more than so many are left out, unless a pattern names items and
            covers them.

    Raises:
        TaskpathError: INVALID_PATH, a pattern is none.
    """

    def __init__(self, since: int = 0, patterns: Sequence[str] = (), items: int = 1000) -> None:
        self.since = since
        self._items = items
        self._patterns = [Pattern(text) for text in patterns]
        self._naming = [pattern for pattern in self._patterns if pattern.names_items]

    def spans(self, plan: Plan) -> Generator[list[str], dict[str, int], list[Span]]:
        """The spans to be read. Asks on the way for the counts of foreaches: yields paths, is sent counts."""
        folded: list[str] = []
        frontier = _foreaches(plan.tasks, paths.ROOT)
        while frontier:
            counts = yield [path for path, _ in frontier]
            below: list[Foreach] = []
            for path, spec in frontier:
                count = counts.get(path, 0)
                if count > self._items:
                    folded.append(path)
                elif spec.subtasks:
                    for index in range(count):
                        below.extend(_foreaches(spec.subtasks, paths.item(path, index)))
            frontier = below
        wanted: list[Span] = []
        if not self._patterns:
            wanted.append((paths.ROOT, "$"))
        for pattern in self._patterns:
            wanted.extend(at_or_under(literal_prefix(pattern)))
        spans = _without(_merged(wanted), [items_of(path) for path in folded])
        for pattern in self._naming:
            prefix = literal_prefix(pattern)
            for path in folded:
                if paths.is_under(path, prefix):
                    spans.append(items_of(path))
                elif paths.is_under(prefix, path):
                    spans.extend(at_or_under(prefix))
        self._folded = [path + "[" for path in folded]
        return _merged(spans)

    def wants(self, path: str) -> bool:
        """Whether a task in one of the spans belongs to the selection."""
        if not self._patterns:
            return True
        if any(pattern.covers(path) for pattern in self._naming):
            return True
        if any(path.startswith(start) for start in self._folded):
            return False
        return any(pattern.covers(path) for pattern in self._patterns)


def _foreaches(specs: Iterable[TaskSpec], above: str) -> list[Foreach]:
    """The foreaches below a path that are not inside another."""
    found: list[Foreach] = []
    for spec in specs:
        path = paths.child(above, spec.name)
        if spec.foreach is not None:
            found.append((path, spec))
        elif spec.subtasks:
            found.extend(_foreaches(spec.subtasks, path))
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _without(spans: list[Span], gaps: Iterable[Span]) -> list[Span]:
    """Sorted, disjoint spans less some others."""
    left: list[Span] = []
    holes = sorted(gaps)
    for low, high in spans:
        for hole_low, hole_high in holes:
            if hole_high <= low or hole_low >= high:
                continue
            if low < hole_low:
                left.append((low, hole_low))
            low = max(low, hole_high)
        if low < high:
            left.append((low, high))
    return left
