"""Worker threads: everything is run once and handed back, whatever its length."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from functools import partial

import pytest

from taskpath_services.executor.workers.threads import ThreadWorkers


async def test_every_function_runs_once_and_is_delivered_on_the_loop() -> None:
    workers = ThreadWorkers(8)
    delivered: Counter[int] = Counter()
    ran: Counter[int] = Counter()
    done = asyncio.Event()
    total = 20_000

    def deliver(number: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        delivered[number] += 1
        if len(delivered) == total:
            done.set()

    def function(number: int) -> int:
        ran[number] += 1
        return number

    for start in range(0, total, 100):
        for number in range(start, start + 100):
            workers.submit(partial(function, number), deliver)
        if start % 500 == 0:
            await asyncio.sleep(0)  # noqa: TID251
    await done.wait()
    assert set(delivered.values()) == {1}
    assert set(ran.values()) == {1}
    workers.close()


async def test_functions_that_wait_for_each_other_all_run_at_once() -> None:
    workers = ThreadWorkers(10)
    barrier = threading.Barrier(10)
    for _ in range(3):
        await asyncio.gather(*(workers.call(barrier.wait, 10) for _ in range(10)))
    workers.close()


async def test_a_call_returns_and_raises() -> None:
    workers = ThreadWorkers(1)
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    variable.set(7)
    assert await workers.call(variable.get) == 7
    with pytest.raises(ZeroDivisionError):
        await workers.call(divmod, 1, 0)
    with pytest.raises(SystemExit):
        await workers.call(exit)
    assert await workers.call(len, "abc") == 3
    workers.close()


async def test_what_is_done_does_not_wait_for_what_comes_after_it_in_the_same_thread() -> None:
    workers = ThreadWorkers(1)
    begin, go = threading.Event(), threading.Event()
    first = asyncio.ensure_future(workers.call(begin.wait, 10))
    short = asyncio.ensure_future(workers.call(len, "abc"))
    long = asyncio.ensure_future(workers.call(go.wait, 10))
    await asyncio.sleep(0)  # noqa: TID251  (all three are in the line)
    begin.set()
    assert await short == 3
    assert first.done()
    assert not long.done()
    go.set()
    assert await long
    workers.close()


async def test_a_lost_thread_is_replaced_and_leaves_when_it_is_back() -> None:
    workers = ThreadWorkers(1)
    go = threading.Event()
    stuck = asyncio.ensure_future(workers.call(go.wait))
    waiting = asyncio.ensure_future(workers.call(len, "abc"))
    await asyncio.wait([waiting], timeout=0.02)
    assert not waiting.done()
    workers.lose()
    assert await waiting == 3
    go.set()
    assert await stuck
    workers.regain()
    # Both threads look whether they are one too many before they rest.
    assert [await workers.call(len, "x" * number) for number in range(20)] == list(range(20))
    workers.close()


async def test_who_waits_no_longer_gives_the_thread_up_until_it_is_back() -> None:
    before = set(threading.enumerate())
    workers = ThreadWorkers(1)
    begun, go, ran = threading.Event(), threading.Event(), list[str]()

    def blocks() -> None:
        begun.set()
        go.wait(10)

    stuck = asyncio.ensure_future(workers.call(blocks))
    late = asyncio.ensure_future(workers.call(ran.append, "late"))
    await asyncio.to_thread(begun.wait, 10)
    late.cancel()
    stuck.cancel()
    await asyncio.wait([stuck, late])
    assert await workers.call(len, "abc") == 3
    go.set()
    assert [await workers.call(len, "x" * number) for number in range(20)] == list(range(20))
    assert ran == []
    workers.close()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("taskpath"):
            thread.join(10)
            assert not thread.is_alive()


async def test_idle_threads_end_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    workers = ThreadWorkers(4)
    barrier = threading.Barrier(4)
    await asyncio.gather(*(workers.call(barrier.wait, 10) for _ in range(4)))
    mine = set(threading.enumerate()) - before
    assert len(mine) == 4
    workers.close()
    for thread in mine:
        thread.join(10)
        assert not thread.is_alive()
