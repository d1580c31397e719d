"""The whole system in one process, through its public doors: the client, REST and the WebSocket behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from taskpath.client import Client, SetTasksStatuses
from taskpath.runtime.settings import SettingsError
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.embedded import Embedded
from tests.support.system import embedded, settings_for
from tests.support.workflows import Gate, build


class World:
    """A running system, a client of it, and the hand on its tasks."""

    def __init__(self, system: Embedded, client: Client, gate: Gate, calls: list[str]) -> None:
        self.system = system
        self.client = client
        self.gate = gate
        self.calls = calls

    async def run(self, workflow: str, data: Any = None, **more: Any) -> Any:
        instance = await self.client.create(workflow, data, execute=True, **more)
        return await self.client.wait(instance.id)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    gate, calls = Gate(), list[str]()
    async with embedded(build(gate, calls), tmp_path) as system, Client(system.url) as client:
        yield World(system, client, gate, calls)


async def test_a_foreach_runs_each_item_and_joins_in_order(world: World) -> None:
    done = await world.run("fan", {"count": 300})
    assert done.status == "done"
    assert await world.client.result(done.id, "#.total") == sum(2 * n for n in range(300))
    assert await world.client.result(done.id, "#.double[17]") == 34
    assert len(world.calls) == 302
    assert done.progress.fraction == 1.0


async def test_a_foreach_of_many_items_is_a_rollup(world: World) -> None:
    done = await world.run("fan", {"count": 2500})
    assert done.status == "done"
    assert await world.client.result(done.id, "#.total") == sum(2 * n for n in range(2500))
    status = done.statuses["#.double"]
    assert (status.rollup.total, status.rollup.ok) == (2500, 2500)
    assert "#.double[0]" not in done.statuses
    some = await world.client.get(done.id, paths=["#.double[*]"])
    assert some.statuses["#.double[2499]"].status == "ok"


async def test_an_empty_list(world: World) -> None:
    done = await world.run("fan", {"count": 0})
    assert done.status == "done"
    assert done.statuses["#.double"].status == "ok"
    assert await world.client.result(done.id, "#.total") == 0


async def test_a_chain_hands_its_argument_on(world: World) -> None:
    done = await world.run("chain", {"length": 5})
    assert done.status == "done"
    assert await world.client.result(done.id, "#.step4") == {"length": 5}
    assert world.calls == [f"#.step{n}" for n in range(5)]


async def test_context_variables_dest_and_conditions(world: World) -> None:
    done = await world.run("context", {"x": 1}, base_context={"base": True})
    assert done.status == "done"
    seen = await world.client.result(done.id, "#.read")
    before = {"base": True, "first": {"x": 1}, "a": 1, "b": 2}
    inside = {**before, "own": "bound"}
    assert await world.client.result(done.id, "#.group.left") == inside
    assert await world.client.result(done.id, "#.group.right") == inside
    assert seen == {**before, "left": inside}
    assert done.statuses["#.group.skipped"].status == "skipped"
    assert "#.group.skipped" not in world.calls


async def test_a_failure_stops_what_follows_and_spares_what_is_parallel(world: World) -> None:
    done = await world.run("failing", 1)
    assert done.status == "failed"
    statuses = {path: status.status for path, status in done.statuses.items()}
    assert statuses == {
        "#.first": "ok",
        "#.both": "failed",
        "#.both.bad": "failed",
        "#.both.good": "ok",
        "#.never": "inactive",
    }
    error = done.statuses["#.both.bad"].error
    assert error is not None
    assert (error.code, error.type, error.message) == ("EXECUTION_FAILED", "ValueError", "out of paper")
    task = await world.client.task(done.id, "#.both.bad")
    assert task.error is not None
    assert "out of paper" in (task.error.traceback or "")


async def test_a_retry_succeeds_and_keeps_its_history(world: World) -> None:
    done = await world.run("retrying", 1)
    assert done.status == "done"
    assert await world.client.result(done.id, "#.flaky") == "attempt 2"
    task = await world.client.task(done.id, "#.flaky")
    assert [(one.attempt, one.status) for one in task.attempts] == [(1, "failed"), (2, "ok")]


async def test_a_timeout_fails_the_task(world: World) -> None:
    done = await world.run("slow", 1)
    assert done.status == "failed"
    assert done.statuses["#.slow"].error.type == "TimeoutError"


async def test_a_plain_function_logs_and_reports_progress_from_its_thread(world: World) -> None:
    done = await world.run("threads", {"n": 1})
    assert done.status == "done"
    logs = await world.client.logs(done.id, "#.plain")
    assert [line.text for line in logs.lines] == ['in a thread {"arg":{"n":1}}']


async def test_cancel_stops_what_runs_and_what_follows(world: World) -> None:
    instance = await world.client.create("gated", 1, execute=True)
    assert await world.gate.reached.get() == "#.wait"
    await world.client.cancel(instance.id)
    done = await world.client.wait(instance.id)
    assert done.status == "cancelled"
    assert {path: one.status for path, one in done.statuses.items()} == {
        "#.before": "ok",
        "#.wait": "cancelled",
        "#.after": "inactive",
    }
    world.gate.opened.set()
    assert await world.client.execute(instance.id, "#.wait") > 0
    again = await world.client.wait(instance.id)
    assert again.statuses["#.wait"].status == "ok"
    assert again.statuses["#.wait"].attempt == 2


async def test_max_parallel_bounds_what_runs_at_once(world: World) -> None:
    instance = await world.client.create("gated-fan", {"count": 10, "parallel": 3}, execute=True)
    reached = {await world.gate.reached.get() for _ in range(3)}
    assert reached == {"#.work[0]", "#.work[1]", "#.work[2]"}
    now = await world.client.get(instance.id)
    active = [
        path for path, one in now.statuses.items() if "[" in path and one.status in ("queued", "running")
    ]
    assert len(active) == 3
    world.gate.opened.set()
    assert (await world.client.wait(instance.id)).status == "done"


async def test_a_watcher_sees_every_task_end(world: World) -> None:
    instance = await world.client.create("chain", {"length": 10})
    await world.client.execute(instance.id)
    last: dict[str, str] = {}
    async for change in world.client.watch(instance.id):
        if isinstance(change, SetTasksStatuses):
            last |= {path: status.status for path, status in change.statuses.items()}
    assert last == {f"#.step{n}": "ok" for n in range(10)}


async def test_re_running_a_task_makes_what_follows_stale(world: World) -> None:
    done = await world.run("chain", {"length": 3})
    await world.client.execute(done.id, "#.step1")
    again = await world.client.wait(done.id)
    assert {path: one.stale for path, one in again.statuses.items()} == {
        "#.step0": False,
        "#.step1": False,
        "#.step2": True,
    }
    await world.client.execute(done.id, mode="stale")
    fresh = await world.client.wait(done.id)
    assert not any(one.stale for one in fresh.statuses.values())
    assert world.calls == ["#.step0", "#.step1", "#.step2", "#.step1", "#.step2"]


async def test_running_what_runs_is_refused_with_its_path(world: World) -> None:
    instance = await world.client.create("gated", 1, execute=True)
    await world.gate.reached.get()
    with pytest.raises(TaskpathError) as refused:
        await world.client.execute(instance.id, "#.wait")
    assert refused.value.code is ErrorCode.ALREADY_RUNNING
    assert refused.value.info.path == "#.wait"
    world.gate.opened.set()
    assert (await world.client.wait(instance.id)).status == "done"


async def test_a_task_whose_predecessor_never_ran_cannot_start(world: World) -> None:
    instance = await world.client.create("chain", {"length": 3})
    with pytest.raises(TaskpathError) as refused:
        await world.client.execute(instance.id, "#.step2")
    assert refused.value.code is ErrorCode.CANNOT_START_TASK
    assert refused.value.info.path == "#.step0"
    await world.client.execute(instance.id, "#.step2", upstream="run")
    done = await world.client.wait(instance.id)
    assert done.status == "done"
    assert world.calls == ["#.step0", "#.step1", "#.step2"]


async def test_a_generator_that_fails_stores_nothing(world: World) -> None:
    with pytest.raises(TaskpathError) as refused:
        await world.client.create("broken", 1)
    assert refused.value.code is ErrorCode.SCHEDULER_ERROR
    assert "the generator is broken" in str(refused.value)
    assert (await world.client.list()).items == []


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda client: client.create("nobody"), ErrorCode.UNKNOWN_WORKFLOW),
        (lambda client: client.get("nothing"), ErrorCode.UNKNOWN_INSTANCE),
        (lambda client: client.execute("nothing"), ErrorCode.UNKNOWN_INSTANCE),
        (lambda client: client.cancel("nothing"), ErrorCode.UNKNOWN_INSTANCE),
    ],
)
async def test_unknown_things_are_refused(world: World, call: Any, code: ErrorCode) -> None:
    with pytest.raises(TaskpathError) as refused:
        await call(world.client)
    assert refused.value.code is code


async def test_the_same_idempotency_key_gives_the_same_instance(world: World) -> None:
    one = await world.client.create("chain", {"length": 1}, execute=True, idempotency_key="k")
    other = await world.client.create("chain", {"length": 1}, execute=True, idempotency_key="k")
    assert one.id == other.id
    with pytest.raises(TaskpathError) as refused:
        await world.client.create("chain", {"length": 2}, execute=True, idempotency_key="k")
    assert refused.value.code is ErrorCode.CONFLICT
    await world.client.wait(one.id)
    assert world.calls == ["#.step0"]


async def test_the_list_shows_what_was_created_newest_first(world: World) -> None:
    ids = [(await world.client.create("chain", {"length": 1}, name=f"n{n}")).id for n in range(5)]
    first = await world.client.list(limit=3)
    rest = await world.client.list(limit=3, cursor=first.next_cursor)
    assert [item.id for item in [*first.items, *rest.items]] == ids[::-1]
    assert rest.next_cursor is None


async def test_a_deleted_instance_is_gone(world: World) -> None:
    done = await world.run("chain", {"length": 1})
    await world.client.delete(done.id)
    with pytest.raises(TaskpathError) as refused:
        await world.client.get(done.id)
    assert refused.value.code is ErrorCode.UNKNOWN_INSTANCE


async def test_a_stopped_system_goes_on_where_it_was(tmp_path: Path) -> None:
    gate, calls = Gate(), list[str]()
    async with embedded(build(gate, calls), tmp_path, grace=0) as system, Client(system.url) as client:
        instance = await client.create("gated", 1, execute=True)
        await gate.reached.get()
    gate.opened.set()
    async with embedded(build(gate, calls), tmp_path) as system, Client(system.url) as client:
        done = await client.wait(instance.id)
    assert done.status == "done"
    assert calls == ["#.before", "#.wait", "#.wait", "#.after"]
    assert done.statuses["#.wait"].attempt == 1


async def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    gate = Gate()
    async with embedded(build(gate, []), tmp_path):
        with pytest.raises(SettingsError, match="TASKPATH_DATA"):
            await Embedded(build(gate, []), settings_for(tmp_path)).start()
