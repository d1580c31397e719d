"""How a process is set up that serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from taskpath_services.cli.serving import collect_seldom, run_loop


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # as Python has it, whatever other tests have served
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_who_serves_looks_for_cycles_seldom_and_not_at_what_was_imported() -> None:
    usual = gc.get_threshold()

    async def serve() -> tuple[tuple[int, int, int], int]:
        return gc.get_threshold(), gc.get_freeze_count()

    (young, *older), frozen = run_loop(serve())
    assert young > 10 * usual[0]
    assert tuple(older) == usual[1:]
    assert frozen > 10_000
    assert gc.isenabled()


@pytest.mark.usefixtures("collector")
def test_cycles_are_found_all_the_same() -> None:
    class Cycle:
        def __init__(self, found: list[None]) -> None:
            self.me, self._found = self, found

        def __del__(self) -> None:
            self._found.append(None)

    collect_seldom()
    found: list[None] = []
    for _ in range(20_000):
        Cycle(found)
    assert found
