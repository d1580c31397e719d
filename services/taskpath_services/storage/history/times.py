"""What many durations come to: a mean and a spread that one odd run does not move. Pure.

Durations are counted by octaves (1 ms, 2 to 3 ms, 4 to 7 ms, ...), each with its count, sum and sum of
squares. So two that were gathered by different replicas are added, in whatever order; what is told leaves out
the quickest and the slowest; and it is exact where all durations are alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import msgspec

WINDOW: Final = 30.0
"""More durations than so many do not weigh more: the older ones count for less with each that comes."""

LONGEST: Final = 2**42
"""In ms; what lasted longer (139 years) counts as this."""

_OUTSIDE: Final = 0.25
"""The mean is that of the middle half."""

_TAIL: Final = 0.1
"""The spread is that without the quickest and the slowest tenth."""

Octave: TypeAlias = list[float]
"""How many, their sum in ms, and the sum of their squares."""


_NONE: Final[Octave] = [0.0, 0.0, 0.0]


class Expected(NamedTuple):
    """How long a task usually takes.

    Attributes:
        duration: in ms.
        spread: the usual distance from that, in ms; None as long as it was seen only once.
        tasks: how many tasks there were below it on the average, if it is a foreach; otherwise 0.
    """

    duration: float
    spread: float | None
    tasks: float


class Times(msgspec.Struct, array_like=True):
    """Durations that were seen.

    Attributes:
        octaves: the durations, by the number of binary digits of their ms.
        tasks: the sum of how many tasks each had below it, of a foreach.
    """

    octaves: dict[int, Octave] = {}
    tasks: float = 0.0

    def add(self, duration: int, tasks: int = 0) -> None:
        """Takes in a duration in ms."""
        ms = min(max(duration, 0), LONGEST)
        number = ms.bit_length()
        octave = self.octaves.get(number)
        if octave is None:
            octave = self.octaves[number] = [0.0, 0.0, 0.0]
        octave[0] += 1
        octave[1] += ms
        octave[2] += ms * ms
        if tasks:
            self.tasks += tasks

    @property
    def weight(self) -> float:
        """How many durations these are."""
        return sum(octave[0] for octave in self.octaves.values())


def joined(one: Times, other: Times, window: float = WINDOW) -> Times:
    """The durations of both; if those are more than the window holds, all count for less.

    It does not matter which is which. In which order several are joined matters only when the window is full:
    then the last weigh most.
    """
    octaves = dict(one.octaves)
    for number, octave in other.octaves.items():
        before = octaves.get(number, _NONE)
        octaves[number] = [there + more for there, more in zip(before, octave, strict=True)]
    both = Times(octaves, one.tasks + other.tasks)
    weight = both.weight
    if weight <= window:
        return both
    share = window / weight
    # What is left of less than a hundredth of a duration is forgotten.
    kept = {
        number: [value * share for value in octave]
        for number, octave in octaves.items()
        if octave[0] * share >= 0.01
    }
    return Times(kept, both.tasks * share)


def expected(times: Times) -> Expected | None:
    """What is to be expected after such durations; None if there were none."""
    weight = times.weight
    if weight <= 0:
        return None
    mean, _ = _middle(times.octaves, weight, _OUTSIDE)
    spread: float | None = None
    if weight > 1:
        around, square = _middle(times.octaves, weight, _TAIL)
        spread = sqrt(max(0.0, square - 2 * around * mean + mean * mean))
    return Expected(mean, spread, times.tasks / weight)


def _middle(octaves: dict[int, Octave], weight: float, outside: float) -> tuple[float, float]:
    """The mean, and the mean of the squares, without a share at each end."""
    low, high = weight * outside, weight * (1 - outside)
    passed = kept = total = squares = 0.0
    for count, summed, squared in _in_order(octaves):
        inside = min(passed + count, high) - max(passed, low)
        passed += count
        if inside > 0:
            kept += inside
            total += inside * (summed / count)
            squares += inside * (squared / count)
    return total / kept, squares / kept


def _in_order(octaves: dict[int, Octave]) -> Iterable[Octave]:
    return (octaves[number] for number in sorted(octaves))
