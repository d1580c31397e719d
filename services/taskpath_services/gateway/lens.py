"""A lens: which tasks of an instance a client wants to see. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, TypeAlias

from taskpath_proto import paths
from taskpath_proto.paths import ROOT, Pattern

Key: TypeAlias = tuple[str, ...] | None
"""What tells lenses apart: their patterns in order, None for everything."""


def key_of(patterns: Iterable[str] | None) -> Key:
    """The key of the lens with these patterns; clients with the same key are served together."""
    return None if patterns is None else tuple(sorted(set(patterns)))


class Lens:
    """Tells what is seen.

    Args:
        key: the patterns. The root by itself stands for the instance's own status, and for no task.

    Raises:
        TaskpathError: INVALID_PATH.
    """

    def __init__(self, key: Key) -> None:
        self.key: Final = key
        self.patterns: Final = tuple(Pattern(text) for text in key or ())
        self._tasks = tuple(pattern for pattern in self.patterns if pattern.text != ROOT)
        self._items = tuple(pattern for pattern in self._tasks if pattern.names_items)

    @property
    def shows_tasks(self) -> bool:
        """Whether any task may be seen."""
        return self.key is None or bool(self._tasks)

    @property
    def item_patterns(self) -> tuple[str, ...]:
        """The patterns that name items: what they name is seen though its foreach is collapsed."""
        return tuple(pattern.text for pattern in self._items)

    def shows(self, path: str, collapsed: Collection[str]) -> bool:
        """Whether the task is seen.

        Args:
            path: the task.
            collapsed: the paths of the collapsed foreaches.
        """
        if collapsed and "[" in path and (foreach := collapsed_above(path, collapsed)) is not None:
            return any(_reaches(pattern, path, foreach) for pattern in self._items)
        return self.key is None or any(pattern.covers(path) for pattern in self._tasks)

    def items(self, foreach: str, count: int) -> Iterator[int]:
        """Which items of a collapsed foreach patterns may name, of ``count``."""
        depth = len(paths.split(foreach))
        named: set[int] = set()
        for pattern in self._items:
            steps = pattern.steps
            if "**" in steps[: depth + 1]:
                yield from range(count)
                return
            if len(steps) > depth and (step := steps[depth]).startswith("["):
                if step == "[*]":
                    yield from range(count)
                    return
                named.add(int(step[1:-1]))
        yield from sorted(index for index in named if index < count)


def collapsed_above(path: str, collapsed: Collection[str]) -> str | None:
    """The innermost collapsed foreach that the task is below, None if there is none."""
    end = path.rfind("[")
    while end > 0:
        if path[:end] in collapsed:
            return path[:end]
        end = path.rfind("[", 0, end)
    return None


def _reaches(pattern: Pattern, path: str, foreach: str) -> bool:
    """Whether the pattern stands for the task, or for one above it that is below the foreach."""
    above: str | None = path
    while above is not None and len(above) > len(foreach):
        if pattern.matches(above):
            return True
        above = paths.parent(above)
    return False
