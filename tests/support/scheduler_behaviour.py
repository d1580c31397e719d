"""What the functions of a simulated workflow do: pure, so that whoever calls them gets the same.

A result is made from everything that the function saw (argument, context, number of the attempt). So two runs
agree in their results only if every task before saw the same, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec

from taskpath_proto.plan import TaskSpec

JSON: TypeAlias = Any

_encode = msgspec.json.Encoder(order="deterministic").encode
EVER = 1 << 30
"""As ``fails``: every attempt does."""


@dataclass
class Behaviour:
    """What one task of the plan does, whichever item it is for.

    Attributes:
        fails: how many of its first attempts fail.
        fails_from: attempts from this number on fail, too.
        retryable: whether its failures may be tried again.
        hangs: failing attempts do so by never ending, which their timeout ends.
        items: it returns a list, of so many entries at the first attempt, at the second …
        padding: how many characters its results have beyond the needed.
        updates: it leaves updaters in the context.
        clashes: they do not fit together with those of another task that clashes.
        skips: of sixteen possible contexts, in how many its condition is false.
        raises: in how many its condition raises.
        kills: whoever runs it ends.
    """

    fails: int = 0
    fails_from: int = EVER
    retryable: bool = True
    hangs: bool = False
    items: tuple[int, ...] | None = None
    padding: int = 0
    updates: bool = False
    clashes: bool = False
    skips: int = 0
    raises: int = 0
    kills: bool = False


@dataclass
class Behaviours:
    """The behaviours of a workflow's tasks, by the path of the plan (items have that of the foreach).

    Attributes:
        by_path: as they are.
        killers: the tasks that have ever ended who ran them.
    """

    by_path: dict[str, Behaviour] = field(default_factory=dict)
    killers: set[str] = field(default_factory=set)

    def put(self, path: str, behaviour: Behaviour) -> None:
        """Gives a task its behaviour, or another one."""
        self.by_path[path] = behaviour
        if behaviour.kills:
            self.killers.add(path)

    def of(self, path: str) -> Behaviour:
        """The behaviour of the task at a path, or of the foreach that it is an item of."""
        return self.by_path.get(plain(path), _USUAL)


_USUAL = Behaviour()


def plain(path: str) -> str:
    """A path without the indices of items."""
    if "[" not in path:
        return path
    return "".join(part.partition("]")[2] if number else part for number, part in enumerate(path.split("[")))


def digest(*seen: JSON) -> str:
    """A short text that stands for everything that was seen."""
    return blake2b(_encode(seen), digest_size=6).hexdigest()


def condition(does: Behaviour, path: str, context: dict[str, JSON]) -> bool | None:
    """What a condition says; None if it raises."""
    if does.skips + does.raises == 0:
        return True
    number = int(digest("condition", path, context)[:1], 16)
    return None if number >= 16 - does.raises else number >= does.skips


def fails(does: Behaviour, attempt: int) -> bool:
    """Whether an attempt fails."""
    return attempt <= does.fails or attempt >= does.fails_from


def result(
    spec: TaskSpec, does: Behaviour, path: str, attempt: int, argument: JSON, context: dict[str, JSON]
) -> JSON:
    """What a function returns."""
    seen = digest(path, attempt, argument, context)
    if does.items is not None:
        count = does.items[min(attempt, len(does.items)) - 1]
        return [f"{seen}{index}" + "." * does.padding for index in range(count)]
    returned = {"seen": seen + "." * does.padding}
    returned.update((key, f"{key} {seen}") for key in spec.context_vars)
    return returned


def updaters(does: Behaviour, path: str, returned: JSON, context: dict[str, JSON]) -> list[JSON] | None:
    """The updaters that a function leaves: they fit what it saw, but two that clash do not fit together."""
    if does.clashes and isinstance(context.get("slot"), list):
        return [{"slot": {"$push": [path]}}, {"slot": {"$set": path}}]
    if not does.updates:
        return None
    mark = f"{path} {digest(returned)}"
    return [{"trail": {"$push": [mark]}}, {"last": {"$set": mark}}]
