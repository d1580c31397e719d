"""Patterns of paths, against what they mean written down plainly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskpath_proto import paths
from taskpath_proto.paths import Pattern

STEPS = st.sampled_from((".a", ".b", ".ab", "[0]", "[12]", ".*", ".**", "[*]"))


def well_formed(steps: list[str]) -> str:
    """A path or pattern of these steps; an index without a name before it is left out."""
    text = "#"
    for step in steps:
        if not step.startswith("[") or not text.endswith(("#", "]")):
            text += step
    return text


patterns = st.lists(STEPS, max_size=9).map(well_formed)
tasks = st.lists(STEPS.filter(lambda step: "*" not in step), max_size=12).map(well_formed)


def stands_for(pattern: tuple[str, ...], path: tuple[str | int, ...]) -> bool:
    """Whether a pattern stands for a path, step by step."""
    if not pattern:
        return not path
    if not path:
        return False
    step, here = pattern[0], path[0]
    if step == "**":
        return stands_for(pattern[1:], path[1:]) or stands_for(pattern, path[1:])
    fits = (
        (step == "*" and isinstance(here, str))
        or (step == "[*]" and isinstance(here, int))
        or step == (f"[{here}]" if isinstance(here, int) else here)
    )
    return fits and stands_for(pattern[1:], path[1:])


@given(pattern=patterns, path=tasks)
def test_a_pattern_stands_for_what_its_steps_say(pattern: str, path: str) -> None:
    compiled = Pattern(pattern)
    assert compiled.matches(path) == stands_for(compiled.steps, paths.split(path))


@given(pattern=patterns, path=tasks)
def test_a_pattern_covers_what_it_stands_for_and_all_below(pattern: str, path: str) -> None:
    compiled = Pattern(pattern)
    steps = paths.split(path)
    assert compiled.covers(path) == any(
        stands_for(compiled.steps, steps[:end]) for end in range(len(steps) + 1)
    )


def test_many_stars_take_no_time() -> None:
    deep = "#" + ".a" * 64
    for middle in (".**", ".**.a", ".**.*", ".*.**.a"):
        steps = 64 // middle.count(".")
        assert not Pattern("#" + middle * (steps - 1) + ".b").matches(deep)
        assert not Pattern("#" + middle * (steps - 1) + ".b").covers(deep)
