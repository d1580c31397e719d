"""Random lives, compared with the model; ``python -m tests.support.scheduler_chaos`` lives many more."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.scheduler_chaos import live

MESSAGES = 25_000


@pytest.mark.parametrize("first", [1, 2, 3])
def test_whatever_happens_everything_ends_as_the_model_says(first: int) -> None:
    messages, seed = 0, first * 1_000_000
    while messages < MESSAGES:
        try:
            messages += live(random.Random(seed)).messages
        except BaseException:
            print(f"python -m tests.support.scheduler_chaos --life {seed}")
            raise
        seed += 1


@settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.randoms(use_true_random=False))
def test_whatever_happens_everything_ends_as_the_model_says_and_a_failure_shrinks(
    source: random.Random,
) -> None:
    live(source)
