"""What many durations come to, whatever they are and in whatever order they come."""

from __future__ import annotations

import math
import random
from statistics import mean, pstdev

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskpath_services.storage.history.answer import MOST_BYTES, expected_times
from taskpath_services.storage.history.times import LONGEST, WINDOW, Times, expected, joined

durations = st.lists(st.integers(min_value=0, max_value=10**9), max_size=60)


def times_of(seen: list[int], tasks: int = 0) -> Times:
    times = Times()
    for duration in seen:
        times.add(duration, tasks)
    return times


def close(one: Times, other: Times) -> bool:
    return one.octaves.keys() == other.octaves.keys() and all(
        math.isclose(a, b, rel_tol=1e-9)
        for number in one.octaves
        for a, b in zip(one.octaves[number], other.octaves[number], strict=True)
    )


def test_nothing_is_expected_of_what_was_never_seen() -> None:
    assert expected(Times()) is None
    assert expected_times({"#.a": Times()}).paths == {}


def test_what_always_takes_the_same_is_expected_exactly() -> None:
    assert expected(times_of([1_234])) == (1_234, None, 0)
    assert expected(times_of([1_234] * 7)) == (1_234, 0, 0)
    assert expected(times_of([0, 0])) == (0, 0, 0)


@given(durations, durations)
def test_it_does_not_matter_which_is_added_to_which(one: list[int], other: list[int]) -> None:
    assert close(joined(times_of(one), times_of(other)), joined(times_of(other), times_of(one)))


@given(st.lists(durations.map(lambda seen: seen[:10]), min_size=3, max_size=3))
def test_until_the_window_is_full_it_does_not_matter_in_which_order(parts: list[list[int]]) -> None:
    one, two, three = map(times_of, parts)
    together = joined(joined(one, two), three)
    assert close(together, joined(one, joined(two, three)))
    assert close(together, times_of([duration for part in parts for duration in part]))


@given(durations)
def test_the_mean_lies_among_what_was_seen_and_the_spread_is_no_wider(seen: list[int]) -> None:
    found = expected(times_of(seen))
    if not seen:
        assert found is None
        return
    assert found is not None
    assert min(seen) * (1 - 1e-9) <= found.duration <= max(seen) * (1 + 1e-9)
    assert (found.spread is None) == (len(seen) == 1)
    assert (found.spread or 0) <= (max(seen) - min(seen)) * (1 + 1e-6) + 1


@given(st.integers(min_value=100, max_value=10**6), st.integers(min_value=4, max_value=99), st.booleans())
def test_one_odd_run_moves_it_little(usual: int, count: int, slow: bool) -> None:
    odd = usual * 1_000 if slow else 0
    times = times_of([usual] * count + [odd])
    found = expected(times)
    assert found is not None
    assert usual * 0.8 <= found.duration <= usual * 1.25
    if count >= 10:
        assert found.duration == pytest.approx(usual)
        assert found.spread == pytest.approx(0, abs=usual * 1e-3)


def test_of_many_it_is_about_their_mean_and_deviation() -> None:
    chance = random.Random(1)
    seen = [round(chance.gauss(10_000, 1_000)) for _ in range(90)]
    found = expected(times_of(seen))
    assert found is not None
    assert found.duration == pytest.approx(mean(seen), rel=0.05)
    assert found.spread is not None
    assert found.spread == pytest.approx(pstdev(seen), rel=0.5)


@given(st.lists(durations, max_size=12))
def test_the_window_bounds_what_is_kept(parts: list[list[int]]) -> None:
    times = Times()
    for part in parts:
        times = joined(times, times_of(part * 5))
    assert times.weight <= WINDOW * (1 + 1e-9)
    assert len(msgspec.json.encode(times)) < 4_000


def test_what_has_become_quicker_is_soon_expected_to_be() -> None:
    times = times_of([10_000] * 1_000)
    for _ in range(50):
        times = joined(times, times_of([1_000]))
    found = expected(times)
    assert found is not None
    assert found.duration == pytest.approx(1_000)


def test_a_large_foreach_weighs_no_more_than_the_window() -> None:
    times = joined(times_of([5] * 100_000), times_of([80] * 100))
    assert times.weight == pytest.approx(WINDOW)
    assert joined(Times(), times_of([5] * 100_000)).weight == pytest.approx(WINDOW)


def test_how_many_tasks_there_were_is_a_mean() -> None:
    found = expected(joined(times_of([100], 10), times_of([100], 30)))
    assert found is not None
    assert found.tasks == 20


def test_what_a_clock_says_wrong_is_held_within_bounds() -> None:
    times = times_of([-5, 10**30])
    assert times.octaves == {0: [1, 0, 0], 43: [1, LONGEST, LONGEST**2]}


@given(durations)
def test_it_is_kept_as_text_and_comes_back(seen: list[int]) -> None:
    times = joined(Times(), times_of(seen, 3))
    again = msgspec.json.decode(msgspec.json.encode(times), type=Times)
    assert again == times


def test_an_answer_is_bounded_and_keeps_the_shortest_paths() -> None:
    seen = {f"#.{'x' * 200}{number:05}": times_of([1]) for number in range(10_000)}
    told = expected_times({"#": times_of([7]), **seen})
    assert told.paths["#"].duration == 7
    assert len(told.paths) < 5_000
    assert len(msgspec.msgpack.encode(told)) < MOST_BYTES
