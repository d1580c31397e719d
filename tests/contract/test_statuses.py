"""What statuses mean, and what runs beside what, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskpath import Task
from tests.contract.conftest import Start
from tests.contract.world import World
from tests.support.authors import app_of, serving

ECHO = {"name": "a", "do": "echo"}
FAIL = {"name": "bad", "do": "fail"}


def statuses(instance: Any) -> dict[str, str]:
    """The status of each task."""
    return {path: state["status"] for path, state in instance["statuses"].items()}


@pytest.mark.contract("status.working", "status.done")
async def test_working_then_done(system: World) -> None:
    id = (await system.create([system.hold("wait"), {"name": "no", "do": "echo", "condition": False}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        await system.held(socket, "#.wait")
        assert (await system.call("GET", f"/instances/{id}"))["status"] == "working"
        system.go()
    done = await system.ended(id)
    assert (done["status"], statuses(done)) == ("done", {"#.wait": "ok", "#.no": "skipped"})


@pytest.mark.contract("status.failed")
async def test_failed_goes_before_what_never_ran(system: World) -> None:
    done = await system.run([FAIL, ECHO])
    assert (done["status"], statuses(done)) == ("failed", {"#.bad": "failed", "#.a": "inactive"})


@pytest.mark.contract("status.cancelled", "status.cancel-stops")
async def test_cancelled_stops_what_follows(system: World) -> None:
    id = (await system.create([system.hold("wait"), ECHO], execute=True))["id"]
    await system.call("POST", f"/instances/{id}/cancel", 202)
    done = await system.ended(id)
    assert (done["status"], statuses(done)) == ("cancelled", {"#.wait": "cancelled", "#.a": "inactive"})


@pytest.mark.contract("status.inactive", "status.stale")
async def test_a_part_leaves_it_inactive_and_staleness_changes_nothing(system: World) -> None:
    id = (await system.create([ECHO, {"name": "b", "do": "echo"}]))["id"]
    assert (await system.execute(id, "#.a"))["status"] == "inactive"
    assert (await system.execute(id, "#.b"))["status"] == "done"
    again = await system.execute(id, "#.a")
    assert again["statuses"]["#.b"]["stale"]
    assert again["status"] == "done"


@pytest.mark.contract("status.group")
async def test_a_group_shows_failed_before_cancelled(system: World) -> None:
    group = {"name": "group", "subtasks": [system.hold("wait"), FAIL, ECHO]}
    id = (await system.create([group, {"name": "after", "do": "echo"}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        seen = dict[str, str]()
        while (seen.get("#.group.bad"), seen.get("#.group.wait")) != ("failed", "running"):
            packet = await socket.until("setTasksStatuses")
            seen |= {path: state["status"] for path, state in packet["statuses"].items()}
        query = f"?minRevision={packet['revision']}"
        now = statuses(await system.call("GET", f"/instances/{id}{query}"))
        assert (now["#.group"], now["#.group.wait"]) == ("running", "running")
    await system.call("POST", f"/instances/{id}/cancel", 202, {"path": "#.group.wait"})
    done = await system.ended(id)
    assert done["status"] == "failed"
    assert statuses(done) == {
        "#.group": "failed",
        "#.group.wait": "cancelled",
        "#.group.bad": "failed",
        "#.group.a": "ok",
        "#.after": "inactive",
    }


@pytest.mark.contract("status.mode-failed", "rest.execute-modes")
async def test_mode_failed_goes_on_with_what_the_failure_held_up(system: World) -> None:
    flaky = {"name": "flaky", "do": "fail-first"}
    tasks = [
        ECHO,
        {"name": "group", "sequential": True, "subtasks": [flaky, {"name": "next", "do": "echo"}]},
        {"name": "last", "do": "echo"},
    ]
    id = (await system.run(tasks))["id"]
    done = await system.execute(id, "#.group.flaky", mode="failed")
    assert done["status"] == "done"
    attempts = {path: state["attempt"] for path, state in done["statuses"].items()}
    assert attempts == {"#.a": 1, "#.group": 0, "#.group.flaky": 2, "#.group.next": 1, "#.last": 1}


@pytest.mark.contract("status.disjoint")
async def test_disjoint_parts_run_side_by_side(system: World) -> None:
    tasks = [{"name": "group", "subtasks": [system.hold("one"), system.hold("two"), ECHO]}]
    id = (await system.create(tasks))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id, "#.group.one")
        await system.held(socket, "#.group.one")
        await system.start(id, "#.group.two")
        await system.held(socket, "#.group.two")
    for path, busy in (("#.group.one", "#.group.one"), ("#.group", "#.group.one"), ("#", "#.group.one")):
        error = await system.refused(
            "POST", f"/instances/{id}/execute", 409, "ALREADY_RUNNING", {"path": path}
        )
        assert error["path"] == busy
    system.go()
    assert statuses(await system.ended(id))["#.group.two"] == "ok"


@pytest.mark.contract("status.shorter-list")
async def test_items_beyond_a_shorter_list_are_removed(system: World) -> None:
    def listing(count: int) -> dict[str, Any]:
        return {"name": "list", "do": "range", "count": count, "context_var": "them"}

    each = {"name": "each", "do": "echo", "foreach": "them"}
    id = (await system.run([listing(4), each]))["id"]
    await system.call("PATCH", f"/instances/{id}", 200, {"data": {"0": {"count": {"$set": 2}}}})
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        removed = set[str]()
        while removed != {"#.each[2]", "#.each[3]"}:
            removed |= set((await socket.until("setTasksStatuses")).get("removed", ()))
    done = await system.ended(id)
    assert set(done["statuses"]) == {"#.list", "#.each", "#.each[0]", "#.each[1]"}
    await system.refused("GET", f"/instances/{id}/tasks/%23.each%5B2%5D", 404, "CANNOT_FIND_TASK")


@pytest.mark.contract("status.item-to-come")
async def test_an_item_that_is_not_there_yet(system: World) -> None:
    tasks = [
        {"name": "list", "do": "range", "count": 3, "context_var": "them"},
        {"name": "each", "do": "echo", "foreach": "them"},
    ]
    id = (await system.create(tasks))["id"]
    body = {"path": "#.each[2]"}
    await system.refused("POST", f"/instances/{id}/execute", 404, "CANNOT_FIND_TASK", body)
    done = await system.execute(id, "#.each[2]", upstream="run")
    assert statuses(done)["#.each[2]"] == "ok"
    assert statuses(done)["#.each[0]"] == "inactive"
    body = {"path": "#.each[3]"}
    await system.refused("POST", f"/instances/{id}/execute", 404, "CANNOT_FIND_TASK", body)


@pytest.mark.contract("settings.queues")
async def test_an_executor_serves_the_queues_that_it_is_told_to(start: Start) -> None:
    system = await start(queues="default,images")
    (executor,) = (await system.call("GET", "/executors"))["items"]
    assert sorted(executor["queues"]) == ["default", "images"]
    id = (await system.create([ECHO, {"name": "far", "do": "echo", "queue": "elsewhere"}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        await socket.statuses("#.far", "queued")
    assert (await system.call("GET", f"/instances/{id}"))["status"] == "working"
    await system.call("POST", f"/instances/{id}/cancel", 202)
    assert statuses(await system.ended(id))["#.far"] == "cancelled"


@pytest.mark.contract("status.queue-unserved")
async def test_a_task_whose_queue_nobody_serves_says_so(tmp_path: Path) -> None:
    app = app_of(Task("a", lambda: 1, queue="gpu"))
    async with serving(app, tmp_path, queues="default") as client:
        instance = await client.create("w", execute=True)
        async for _ in client.watch(instance.id):
            task = await client.task(instance.id, "#.a")
            if task.reason is not None:
                break
        assert (task.status, task.reason) == ("queued", "No executor serves the queue gpu.")
        await client.cancel(instance.id)
        task = await client.task(instance.id, "#.a")
        assert (task.status, task.reason) == ("cancelled", None)
