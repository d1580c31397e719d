"""Task paths and path patterns.

A path names one task of an instance's tree: ``#`` is the root, ``.name`` a named child, ``[3]`` the
fourth item of a ``foreach``: ``#.import.resize[17]``. A pattern is a path in which ``*`` stands for one
name, ``[*]`` for any one item and ``**`` for any depth below (never for the task itself).

Paths travel as plain text. This module is the only one that takes them apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, TypeAlias

from taskpath_proto.errors import ErrorCode, TaskpathError

ROOT: Final = "#"
MAX_PATH_BYTES: Final = 1_000
MAX_LEVELS: Final = 64
MAX_NAME: Final = 200

Segment: TypeAlias = str | int
"""A step of a path: a child's name, or an item's index."""

_NAME = re.compile(r"[^.\[\]*#\x00-\x1f\x7f-\x9f]{1,200}")
_INDEX = re.compile(r"\[\d+\]")
_TOKEN = re.compile(r"\.([^.\[\]#]+)|\[(0|[1-9][0-9]{0,6}|\*)\]")


def name_error(name: str) -> str | None:
    """Says in one clause what is wrong with the name of a workflow, task or queue; None if it is fine."""
    if not name:
        return "it is empty; a name has 1 to 200 characters"
    if len(name) > MAX_NAME:
        return f"it has {len(name)} characters; a name has at most {MAX_NAME}"
    if name != name.strip():
        return "it begins or ends with a blank"
    if not _NAME.fullmatch(name):
        return "it contains one of . [ ] * # or a control character"
    return None


def child(parent: str, name: str) -> str:
    """The path of the child ``name`` of ``parent``."""
    return f"{parent}.{name}"


def item(parent: str, index: int) -> str:
    """The path of the item ``index`` of the foreach at ``parent``."""
    return f"{parent}[{index}]"


@lru_cache(maxsize=4096)
def split(path: str) -> tuple[Segment, ...]:
    """The steps of a path below the root.

    Raises:
        TaskpathError: INVALID_PATH, if the text is no path.
    """
    segments: list[Segment] = []
    for text in _tokens(path, "path"):
        if text in ("*", "**", "[*]"):
            raise _invalid(path, f"{text} stands for several tasks, and one task is expected")
        segments.append(int(text[1:-1]) if text.startswith("[") else text)
    return tuple(segments)


def join(segments: tuple[Segment, ...]) -> str:
    """The path made of these steps."""
    return ROOT + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in segments)


def parent(path: str) -> str | None:
    """The path of the task above, or None for the root. The path is taken to be well formed."""
    cut = max(path.rfind("."), path.rfind("["))
    return path[:cut] if cut > 0 else None


def alike(path: str) -> str:
    """The path that all tasks have in common that differ only in their items: ``#.resize[*]``."""
    start = path.find("[")
    if start < 0:
        return path
    end = path.find("]", start)
    if path.find("[", end) < 0:
        return f"{path[:start]}[*]{path[end + 1 :]}"  # as most are, and much quicker
    return _INDEX.sub("[*]", path)


def is_under(path: str, ancestor: str) -> bool:
    """Whether ``path`` is ``ancestor`` or stands below it."""
    return path == ancestor or (path.startswith(ancestor) and path[len(ancestor)] in ".[")


class Pattern:
    """A compiled path pattern.

    Args:
        text: a path, or a path with ``*``, ``[*]`` or ``**``.

    Raises:
        TaskpathError: INVALID_PATH, if the text is no pattern.
    """

    __slots__ = ("_regex", "steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps: tuple[str, ...] = tuple(_tokens(text, "pattern"))
        self._regex = re.compile("#" + _regex(self.steps))

    @property
    def is_path(self) -> bool:
        """Whether the pattern names exactly one task."""
        return not any(step in ("*", "**", "[*]") for step in self.steps)

    @property
    def names_items(self) -> bool:
        """Whether the pattern names items of a foreach, by ``[*]`` or by an index."""
        return any(step.startswith("[") for step in self.steps)

    def matches(self, path: str) -> bool:
        """Whether the pattern stands for the task at ``path``."""
        return self._regex.fullmatch(path) is not None

    def covers(self, path: str) -> bool:
        """Whether the pattern stands for the task at ``path`` or for one above it."""
        match = self._regex.match(path)
        while match is not None:
            end = match.end()
            if end == len(path) or path[end] in ".[":
                return True
            above = parent(path[:end])
            if above is None:
                return False
            match = self._regex.fullmatch(above)
        return False

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


_ANY_DEPTH: Final = r"(?:\.[^.\[\]]+(?![^.\[])|\[\d+\])+"


def _regex(steps: tuple[str, ...]) -> str:
    """The pattern as a regular expression that takes no longer for many ``**``.

    Of several ``**`` all but the last may take as little as will do, for those after them can take the rest:
    so what stands between two of them is looked for once, and never again (an atomic group).
    """
    blocks: list[str] = [""]
    for step in steps:
        if step == "**":
            blocks.append("")
        else:
            blocks[-1] += _step_regex(step)
    first, *others = blocks
    inner = "".join(f"(?>{_ANY_DEPTH}?{block})" for block in others[:-1])
    return first + inner + (_ANY_DEPTH + others[-1] if others else "")


def _step_regex(step: str) -> str:
    if step == "*":
        return r"\.[^.\[\]]+(?![^.\[])"
    if step == "[*]":
        return r"\[\d+\]"
    return re.escape(step) if step.startswith("[") else re.escape("." + step) + r"(?![^.\[])"


def _tokens(text: str, what: str) -> list[str]:
    """Steps as text, an item with its brackets."""
    if not text.startswith(ROOT):
        raise _invalid(text, f"a {what} begins with #, as in #.import.resize[17]")
    if len(text.encode()) > MAX_PATH_BYTES:
        raise _invalid(text[:80] + "…", f"a {what} has at most {MAX_PATH_BYTES} bytes")
    steps: list[str] = []
    position, after_item = 1, True
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(text, f"after {text[:position]!r} a .name or an [index] is expected")
        name, index = match.groups()
        if name is not None:
            if name not in ("*", "**") and (wrong := name_error(name)):
                raise _invalid(text, f"the name {name!r} is wrong: {wrong}")
            steps.append(name)
            after_item = False
        elif after_item:
            raise _invalid(text, "an [index] follows the name of a foreach")
        else:
            steps.append(f"[{index}]")
            after_item = True
        position = match.end()
    if len(steps) > MAX_LEVELS:
        raise _invalid(text[:80] + "…", f"a {what} has at most {MAX_LEVELS} levels")
    return steps


def _invalid(text: str, why: str) -> TaskpathError:
    return TaskpathError(ErrorCode.INVALID_PATH, f"{text!r} is not a path: {why}.")
