"""What comes while a group is under way makes up the next one."""

from __future__ import annotations

import asyncio

import pytest

from taskpath_services.storage.gathering import Gathering


class Work:
    """Doubles numbers when it is let through."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun: asyncio.Queue[list[int]] = asyncio.Queue()
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, group: list[int]) -> list[int]:
        self.groups.append(group)
        self.begun.put_nowait(group)
        await self.gate.acquire()
        if 13 in group:
            raise ValueError("13")
        return [number * 2 for number in group]


async def test_batches_gather_and_each_gets_its_own_results() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work, most=10)
    first = asyncio.create_task(gathering.do([1]))
    await work.begun.get()
    others = [asyncio.create_task(gathering.do(batch)) for batch in ([2, 3], [], [4])]
    for _ in range(2):
        work.gate.release()
    assert await first == [2]
    assert await asyncio.gather(*others) == [[4, 6], [], [8]]
    assert work.groups == [[1], [2, 3, 4]]


async def test_a_group_is_bounded_and_a_batch_is_not_cut() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work, most=3)
    batches = [asyncio.create_task(gathering.do(batch)) for batch in ([1, 2], [3, 4, 5], [6])]
    for _ in range(2):
        work.gate.release()
    await asyncio.gather(*batches)
    assert work.groups == [[1, 2, 3, 4, 5], [6]]


async def test_a_failure_is_that_of_its_group_only() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work, most=1)
    bad, good = asyncio.create_task(gathering.do([13])), asyncio.create_task(gathering.do([1]))
    for _ in range(2):
        work.gate.release()
    with pytest.raises(ValueError, match="13"):
        await bad
    assert await good == [2]


async def test_close_gives_up_what_is_under_way_and_what_waits() -> None:
    work = Work()
    gathering: Gathering[int, int] = Gathering(work, most=10)
    first = asyncio.create_task(gathering.do([1]))
    await work.begun.get()
    second = asyncio.create_task(gathering.do([2]))
    third = asyncio.create_task(gathering.do([3]))
    await gathering.close()
    results = await asyncio.gather(first, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    for task in (second, third):
        task.cancel()
    await asyncio.wait([second, third])
