"""Suspects: what may have run before is asked about, and what may have ended an executor runs alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taskpath import App, Task
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath_proto.work import TaskFinished, TasksHeld, TasksReturned, TaskStarted
from taskpath_services.executor import suspects
from tests.integration.test_executor_holding import Gate
from tests.support.clocks import moving
from tests.support.executors import DurableBus, executor_of, items_of, send_again, turns, until
from tests.support.owner import Owner, executing, result_of


def started(owner: Owner) -> list[TaskStarted]:
    return [one for one in owner.reports if isinstance(one, TaskStarted)]


class TestQuestions:
    async def test_what_came_back_and_is_not_wanted_is_dropped(self) -> None:
        calls: list[Any] = []
        bus = DurableBus()
        owner = Owner(bus)
        await owner.start()
        unwanted, wanted = owner.order("#.t[0]", "unwanted"), owner.order("#.t[1]", "wanted")
        owner.unwanted.add(unwanted.command)
        await send_again(owner, bus, unwanted, wanted)
        async with executing(items_of(calls.append), bus=bus) as (_, executor):
            await owner.finished(wanted)
            assert calls == ["wanted"]
            about_all, about_one = owner.questions
            assert (about_all.id, about_all.epoch, about_all.executor) == ("i1", 1, executor.id)
            assert set(about_all.orders) == {(o.path, o.command) for o in (unwanted, wanted)}
            assert about_one.orders == ((wanted.path, wanted.command),)
        assert await bus.depth("executor.default") == 0
        await bus.stop()
        await owner.stop()

    async def test_the_owner_is_asked_until_it_answers(self) -> None:
        clock = ManualClock()
        bus = DurableBus()
        owner = Owner(bus)
        await owner.start()
        owner.away = 3
        order = owner.order("#.t[0]", 1)
        await send_again(owner, bus, order)
        async with executing(items_of(lambda arg: arg), bus=bus, clock=clock):
            assert result_of(await moving(clock, owner.finished(order))) == 1
            assert len(owner.questions) == 3 + 2  # the last when its turn comes
            # That it is here was reported meanwhile.
            assert any(isinstance(one, TasksHeld) for one in owner.reports)
        await bus.stop()
        await owner.stop()

    async def test_orders_of_an_older_epoch_are_asked_about_and_run_like_others(self) -> None:
        calls: list[Any] = []
        async with executor_of(items_of(calls.append)) as (owner, _):
            new, old, unwanted = (owner.order(f"#.t[{n}]", n) for n in range(3))
            await owner.run("w", new, epoch=2)
            assert owner.questions == []
            owner.unwanted.add(unwanted.command)
            await owner.send("w", old, unwanted, epoch=1)
            await owner.finished(old)
            assert calls == [0, 1]
            assert len(owner.questions) == 1
            assert owner.questions[0].epoch == 1
            assert started(owner) == []

    async def test_nobody_else_has_had_what_a_bus_of_one_process_brings_back(self) -> None:
        bus = MemoryBus()
        owner = Owner(bus)
        await owner.start()
        order = owner.order("#.t[0]", 1)
        await send_again(owner, bus, order)
        async with executing(items_of(lambda arg: arg), bus=bus):
            await owner.finished(order)
            assert owner.questions == []
        await bus.stop()
        await owner.stop()


class TestAlone:
    async def test_it_is_reported_started_before_it_begins(self) -> None:
        known: list[int] = []
        bus = DurableBus()
        owner = Owner(bus)
        await owner.start()

        async def run(arg: Any) -> Any:
            # A report is in the owner's mailbox when it is confirmed.
            await turns(5)
            known.extend(one.command for one in started(owner))
            return arg

        order = owner.order("#.t[0]", 1)
        await send_again(owner, bus, order)
        async with executing(items_of(run), bus=bus):
            assert result_of(await owner.finished(order)) == 1
            (report,) = started(owner)
            assert report.alone
            assert known == [order.command]
        await bus.stop()
        await owner.stop()

    async def test_also_before_its_tree_is_generated(self) -> None:
        seen: list[int] = []
        bus = DurableBus()
        owner = Owner(bus)
        await owner.start()
        app = App()

        @app.workflow("w")
        async def w() -> list[Task]:
            await turns(5)
            seen.append(len(started(owner)))
            return [Task("t", lambda: 1)]

        await send_again(owner, bus, order := owner.order("#.t"))
        async with executing(app, bus=bus):
            await owner.finished(order)
            assert seen == [1]
        await bus.stop()
        await owner.stop()

    async def test_suspects_run_one_after_the_other_and_nothing_beside_them(self) -> None:
        running, most = 0, 0

        async def run(arg: Any) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await turns(5)
            running -= 1

        async with executor_of(items_of(run)) as (owner, _):
            marked = [owner.order(f"#.t[{n}]", n, suspect=True) for n in range(5)]
            await owner.send("w", *marked)
            await until(lambda: started(owner))
            plain = [owner.order(f"#.t[{n}]", n) for n in range(5, 8)]
            for order in plain:
                await owner.send("w", order)
            for order in (*marked, *plain):
                await owner.finished(order)
            first = {o.command for o in marked}
            assert {one.command for one in started(owner)} == first
            assert all(one.alone for one in started(owner))
            ends = [one.command for one in owner.reports if isinstance(one, TaskFinished)]
            assert set(ends[:5]) == first
        assert most <= 3

    async def test_one_that_was_done_elsewhere_while_it_waited_does_not_run(self) -> None:
        gate = Gate()
        async with executor_of(items_of(gate)) as (owner, executor):
            marked = [owner.order(f"#.t[{n}]", n, suspect=True) for n in range(3)]
            await owner.send("w", *marked)
            await until(lambda: gate.begun)
            (first,) = gate.begun
            done, other = (order for n, order in enumerate(marked) if n != first)
            owner.unwanted.add(done.command)
            gate.go.set()
            await owner.finished(other)
            await until(lambda: not len(executor._suspects))
            assert set(gate.begun) == {first, marked.index(other)}
            assert await owner.bus.depth("executor.default") == 0

    async def test_one_that_is_given_back_while_its_owner_is_asked_again_does_not_run(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, grace=1_000.0) as (owner, executor):
            other, suspect = owner.order("#.t[0]", "other"), owner.order("#.t[1]", "suspect", suspect=True)
            await owner.send("w", other)
            await until(lambda: gate.begun)
            await owner.send("w", suspect)
            await until(lambda: len(executor._suspects) == 1)
            await turns()
            asked = len(owner.questions)
            owner.away = 1_000  # when its turn comes, nobody answers
            await until(lambda: len(owner.questions) > asked, clock, step=0.5)
            stopping = asyncio.ensure_future(executor.stop())
            (report,) = await owner.heard(TasksReturned)
            assert report.orders == ((suspect.path, suspect.command),)
            asked, owner.away = len(owner.questions), 0
            await until(lambda: len(owner.questions) > asked, clock, step=0.5)
            await turns()
            assert executor._suspects.ready
            gate.go.set()
            await moving(clock, stopping)
            assert gate.begun == ["other"]

    async def test_it_waits_for_what_runs_and_nothing_new_begins_meanwhile(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock) as (owner, _):
            other = owner.order("#.t[0]", "other")
            await owner.send("w", other)
            await until(lambda: gate.begun)
            suspect, fresh = owner.order("#.t[1]", "suspect", suspect=True), owner.order("#.t[2]", "fresh")
            await owner.send("w", suspect)
            await until(lambda: owner.questions)
            await turns()
            await owner.send("w", fresh)
            await turns()
            assert gate.begun == ["other"]
            gate.go.set()
            for order in (other, suspect, fresh):
                await moving(clock, owner.finished(order))
            assert gate.begun == ["other", "suspect", "fresh"]
            (report,) = [one for one in started(owner) if one.command == suspect.command]
            assert report.alone

    async def test_it_does_not_wait_for_ever_and_the_next_not_at_all(self) -> None:
        clock, gate, quick = ManualClock(), Gate(), asyncio.Event()

        async def run(arg: Any) -> Any:
            if arg == "other":
                await gate(arg)
            quick.set()
            return arg

        async with executor_of(items_of(run), clock=clock) as (owner, _):
            other, *marked = (
                owner.order("#.t[0]", "other"),
                *(owner.order(f"#.t[{n}]", n, suspect=True) for n in (1, 2)),
            )
            await owner.send("w", other)
            await until(lambda: gate.begun)
            began = clock.now()
            await owner.send("w", *marked)
            for order in marked:
                await moving(clock, owner.finished(order))
            waited = (clock.now() - began) / 1000
            assert suspects.QUIET_SECONDS <= waited < suspects.QUIET_SECONDS + 5
            mine = [one for one in started(owner) if one.command != other.command]
            assert [one.alone for one in mine] == [False, False]
            gate.go.set()
            await owner.finished(other)

    async def test_one_that_takes_long_gets_company_and_its_owner_is_told(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock) as (owner, _):
            suspect, fresh = owner.order("#.t[0]", "suspect", suspect=True), owner.order("#.t[1]", "fresh")
            await owner.send("w", suspect)
            await until(lambda: gate.begun)
            await owner.send("w", fresh)
            await turns()
            assert gate.begun == ["suspect"]
            assert [one.alone for one in started(owner)] == [True]
            began = clock.now()
            await until(lambda: len(gate.begun) == 2, clock, step=0.5)
            assert (clock.now() - began) / 1000 >= suspects.ALONE_SECONDS
            assert [one.alone for one in started(owner) if one.command == suspect.command] == [True, False]
            gate.go.set()
            await owner.finished(fresh)

    async def test_one_that_is_cancelled_while_it_waits_does_not_begin(self) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock) as (owner, executor):
            other, suspect = owner.order("#.t[0]", "other"), owner.order("#.t[1]", "suspect", suspect=True)
            await owner.send("w", other)
            await until(lambda: gate.begun)
            await owner.send("w", suspect)
            await until(lambda: len(executor._suspects) == 1 and owner.questions)
            await owner.cancel(suspect)
            await turns()
            gate.go.set()
            await owner.finished(other)
            await moving(clock, owner.task("w", "#.t[2]", "after"))
            assert gate.begun == ["other", "after"]

    @pytest.mark.parametrize("grace", [0.0, 30.0])
    async def test_those_that_wait_are_returned_by_a_drain(self, grace: float) -> None:
        clock, gate = ManualClock(), Gate()
        async with executor_of(items_of(gate), clock=clock, grace=grace) as (owner, executor):
            other, suspect = owner.order("#.t[0]", "other"), owner.order("#.t[1]", "suspect", suspect=True)
            await owner.send("w", other)
            await until(lambda: gate.begun)
            await owner.send("w", suspect)
            await until(lambda: len(executor._suspects) == 1)
            stopping = asyncio.ensure_future(executor.stop())
            await turns()
            gate.go.set()
            await moving(clock, stopping)
            await until(lambda: any(type(one).__name__ == "TasksReturned" for one in owner.reports))
            assert gate.begun == ["other"]
