"""REST, row by row: running tasks, and what is known of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.world import World, task_url

CHAIN = [{"name": name, "do": "echo"} for name in "abc"]
FAN = [
    {"name": "list", "do": "range", "count": 3, "context_var": "them"},
    {"name": "each", "do": "echo", "foreach": "them"},
    {"name": "both", "subtasks": [{"name": "x", "do": "value", "value": 1}, {"name": "y", "do": "echo"}]},
]


def statuses(instance: Any) -> dict[str, str]:
    """The status of each task."""
    return {path: state["status"] for path, state in instance["statuses"].items()}


def stale(instance: Any) -> list[str]:
    """The tasks that are stale."""
    return [path for path, state in instance["statuses"].items() if state["stale"]]


@pytest.mark.contract("rest.execute", "patterns.root")
async def test_tasks_are_executed(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    answer = await system.call("POST", f"/instances/{id}/execute", 202)
    assert set(answer) == {"revision"}
    seen = await system.call("GET", f"/instances/{id}?minRevision={answer['revision']}")
    assert seen["status"] in ("working", "done")
    assert seen["startedAt"] is not None
    assert statuses(await system.ended(id)) == {"#.a": "ok", "#.b": "ok", "#.c": "ok"}
    again = await system.execute(id, "#.b", mode="all", upstream="require", argument={"x": 1})
    assert again["statuses"]["#.b"]["attempt"] == 2
    assert (await system.task(id, "#.b"))["body"] == {"x": 1}


@pytest.mark.contract("rest.execute-modes", "errors.cannot-start-task")
async def test_modes_and_upstream(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    body = {"path": "#.c"}
    refused = await system.refused("POST", f"/instances/{id}/execute", 409, "CANNOT_START_TASK", body)
    assert refused["path"] == "#.a"
    ignored = await system.execute(id, "#.c", upstream="ignore")
    assert statuses(ignored) == {"#.a": "inactive", "#.b": "inactive", "#.c": "ok"}
    run = await system.execute(id, "#.c", upstream="run")
    assert statuses(run) == {"#.a": "ok", "#.b": "ok", "#.c": "ok"}
    assert stale(await system.execute(id, "#.a")) == ["#.b", "#.c"]
    rebuilt = await system.execute(id, mode="stale")
    assert stale(rebuilt) == []
    assert rebuilt["statuses"]["#.a"]["attempt"] == run["statuses"]["#.a"]["attempt"] + 1


@pytest.mark.contract("rest.execute-key")
async def test_an_execute_with_a_key_is_carried_out_once(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    address, key = f"/instances/{id}/execute", {"Idempotency-Key": "k"}
    first = await system.call("POST", address, 202, {"argument": 1}, headers=key)
    await system.ended(id)
    assert await system.call("POST", address, 202, {"argument": 1}, headers=key) == first
    assert (await system.ended(id))["statuses"]["#.a"]["attempt"] == 1
    refused = await system.call("POST", address, 409, {"argument": 2}, headers=key)
    assert refused["error"]["code"] == "CONFLICT"


@pytest.mark.contract("rest.cancel")
async def test_what_runs_is_cancelled_and_what_does_not_stays(system: World) -> None:
    id = (await system.create([CHAIN[0], system.hold("wait"), CHAIN[2]]))["id"]
    assert await system.call("POST", f"/instances/{id}/cancel", 202) == {"revision": 1}
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        await system.held(socket, "#.wait")
    await system.call("POST", f"/instances/{id}/cancel", 202, {"path": "#.wait"})
    done = await system.ended(id)
    assert statuses(done) == {"#.a": "ok", "#.wait": "cancelled", "#.c": "inactive"}
    again = await system.call("POST", f"/instances/{id}/cancel", 202, {"path": "#"})
    assert (await system.call("GET", f"/instances/{id}"))["revision"] == again["revision"] == done["revision"]


@pytest.mark.contract("rest.task")
async def test_the_record_of_a_task(system: World) -> None:
    tasks = [
        {"name": "first", "do": "value", "value": [1], "context_var": "one"},
        {"name": "second", "do": "context", "update": [{"two": {"$set": 2}}]},
        {"name": "bad", "do": "fail"},
    ]
    before = time.time() * 1000
    id = (await system.run(tasks))["id"]
    record = await system.task(id, "#.second")
    assert {name: record[name] for name in ("status", "stale", "attempt", "argument", "body")} == {
        "status": "ok", "stale": False, "attempt": 1, "argument": [1], "body": {"one": [1], "two": 2},
    }  # fmt: skip
    assert record["context"] == {"one": [1]}
    assert record["contextUpdaters"] == [{"two": {"$set": 2}}]
    assert abs(record["executionTime"] - before) < 60_000
    assert 0 <= record["duration"] < 60_000
    bad = await system.task(id, "#.bad")
    assert bad["status"] == "failed"
    assert "body" not in bad
    assert (bad["error"]["code"], bad["error"]["type"]) == ("EXECUTION_FAILED", "ValueError")
    assert bad["error"]["message"] == "out of paper"
    assert "out of paper" in bad["error"]["traceback"]
    assert bad["context"] == {"one": [1], "two": 2}


@pytest.mark.contract("rest.task-attempts")
async def test_the_attempts_of_a_task(system: World) -> None:
    retry = {"attempts": 3, "backoff": 0.01, "jitter": 0.0}
    id = (await system.run([{"name": "flaky", "do": "fail-first", "retry": retry}]))["id"]
    first, second = (await system.task(id, "#.flaky"))["attempts"]
    assert (first["attempt"], first["status"], first["error"]["type"]) == (1, "failed", "ConnectionError")
    assert (second["attempt"], second["status"]) == (2, "ok")
    assert "error" not in second
    assert first["executionTime"] <= second["executionTime"]
    for attempt in (first, second):
        assert attempt["duration"] >= 0
        assert attempt["executor"]


@pytest.mark.contract("rest.task-expected", "ws.statuses-expected")
async def test_it_is_told_how_long_a_task_usually_takes(system: World) -> None:
    each = {"name": "each", "do": "echo", "foreach": "them"}
    first = await system.run([FAN[0], each, {"name": "bad", "do": "fail"}])
    assert "expectedDuration" not in first["statuses"]["#.bad"]
    took = first["statuses"]["#.list"]["duration"]
    # A foreach as a whole is what is learnt last: it takes no less than any of its items.
    whole = await system.learnt(first["id"], "#.each")
    assert whole["expectedDuration"] >= 0
    learnt = await system.learnt(first["id"], "#.list")
    assert learnt["expectedDuration"] == took
    # Another instance of the workflow, before it has run, and its record.
    created = await system.create(FAN)
    assert created["statuses"]["#.list"]["expectedDuration"] == took
    assert (await system.task(created["id"], "#.list"))["expectedDuration"] == took
    for path in ("#.both", "#.both.x"):
        assert "expectedDuration" not in created["statuses"][path]
    async with system.socket() as socket:
        _, statuses, _ = await socket.watch(created["id"])
        assert statuses["statuses"]["#.list"]["expectedDuration"] == took
        await system.start(created["id"])
        state = await socket.statuses("#.each[2]", "ok")
    # Items of one foreach share what is expected; what failed tells nothing.
    items = [first["statuses"][f"#.each[{number}]"]["duration"] for number in range(3)]
    assert min(items) <= state["expectedDuration"] <= max(items)
    bad = await system.create([{"name": "bad", "do": "echo"}])
    assert "expectedDuration" not in bad["statuses"]["#.bad"]
    # So is a group, with what is below it.
    assert "expectedDuration" in await system.learnt(created["id"], "#.both")
    # It stays when the instances go, and is another realm's no business.
    await system.call("DELETE", f"/instances/{first['id']}", 204)
    assert "expectedDuration" in (await system.create(FAN))["statuses"]["#.list"]
    assert "expectedDuration" not in (await system.create(FAN, realm="other"))["statuses"]["#.list"]


@pytest.mark.contract("rest.task-large", "rest.result")
async def test_a_large_result_is_a_reference_and_streamed_as_it_is(system: World) -> None:
    size = 3 * 1024 * 1024
    id = (await system.run([{"name": "large", "do": "large", "size": size}]))["id"]
    body = (await system.task(id, "#.large"))["body"]
    assert set(body) == {"ref", "size"}
    assert body["size"] == size + 2
    async with system.http.get(f"/api/v1{task_url(id, '#.large', '/result')}") as response:
        assert response.content_type == "application/json"
        assert await response.read() == b'"' + b"x" * size + b'"'


@pytest.mark.contract("rest.result", "python.groups")
async def test_the_result_of_a_foreach_or_a_group_is_the_joined_one(system: World) -> None:
    id = (await system.run(FAN))["id"]
    for path, result in (("#.each", [0, 1, 2]), ("#.each[1]", 1), ("#.both", {"x": 1, "y": [0, 1, 2]})):
        assert await system.call("GET", task_url(id, path, "/result")) == result
        assert (await system.task(id, path))["body"] == result
    failed = (await system.run([{"name": "bad", "do": "fail"}]))["id"]
    await system.refused("GET", task_url(failed, "#.bad", "/result"), 404, "CANNOT_FIND_TASK")


@pytest.mark.contract("rest.updaters")
async def test_what_a_task_left_in_the_context_is_replaced(system: World) -> None:
    tasks = [
        {"name": "leave", "do": "value", "value": 1, "update": [{"x": {"$set": 1}}]},
        {"name": "see", "do": "context"},
    ]
    id = (await system.run(tasks))["id"]
    updaters = [{"x": {"$set": 5}}, {"y": {"$set": [1]}}, {"y": {"$push": [2]}}]
    answer = await system.call(
        "PUT", task_url(id, "#.leave", "/contextUpdaters"), 200, {"updaters": updaters}
    )
    now = await system.call("GET", f"/instances/{id}?minRevision={answer['revision']}")
    assert stale(now) == ["#.see"]
    assert (await system.task(id, "#.leave"))["contextUpdaters"] == updaters
    await system.execute(id, mode="stale")
    assert (await system.task(id, "#.see"))["body"] == {"x": 5, "y": [1, 2]}
    for wrong in ({"x": 1}, [{"x": {"$pish": 1}}]):
        await system.refused(
            "PUT", task_url(id, "#.leave", "/contextUpdaters"), 400, "INVALID_REQUEST", {"updaters": wrong}
        )


@pytest.mark.contract("rest.logs", "names.log-line")
async def test_the_log_of_a_task(system: World) -> None:
    lines = ["one", "two", "ü" * 20_000]
    id = (await system.run([{"name": "talk", "do": "echo", "log": lines}, {"name": "mute", "do": "echo"}]))[
        "id"
    ]
    address = task_url(id, "#.talk", "/logs")
    first = await system.call("GET", f"{address}?limit=2")
    assert [(line["text"], line["level"], line["attempt"]) for line in first["lines"]] == [
        ("one", "info", 1), ("two", "info", 1),
    ]  # fmt: skip
    assert abs(first["lines"][0]["time"] - time.time() * 1000) < 60_000
    rest = await system.call("GET", f"{address}?after={first['next']}")
    (long,) = rest["lines"]
    assert len(long["text"].encode()) <= 16 * 1024
    end = await system.call("GET", f"{address}?after={rest['next']}")
    assert end == {"lines": [], "next": rest["next"]}
    assert await system.call("GET", task_url(id, "#.mute", "/logs")) == {"lines": [], "next": 0}
    await system.refused("GET", task_url(id, "#.none", "/logs"), 404, "CANNOT_FIND_TASK")
    await system.refused("GET", task_url("none", "#.talk", "/logs"), 404, "UNKNOWN_INSTANCE")


@pytest.mark.contract("names.log-lines")
async def test_the_oldest_lines_of_a_long_log_go(system: World) -> None:
    lines = [f"line {number}" for number in range(7_000)]
    retry = {"attempts": 2, "backoff": 0.01}
    id = (await system.run([{"name": "talk", "do": "fail-first", "log": lines, "retry": retry}]))["id"]
    found, after = list[str](), 0
    while True:
        page = await system.call("GET", task_url(id, "#.talk", f"/logs?after={after}"))
        if not page["lines"]:
            break
        found += [line["text"] for line in page["lines"]]
        after = page["next"]
    assert found == (lines + lines)[-len(found) :]
    assert 10_000 <= len(found) <= 11_000
    assert after == 14_000, "those that went are counted"


@pytest.mark.contract("rest.min-revision", "rest.accepted-is-read")
async def test_reads_wait_for_the_revision_that_is_asked_for(system: World) -> None:
    id = (await system.create(CHAIN))["id"]
    for _ in range(5):
        revision = await system.start(id)
        seen = await system.call("GET", f"/instances/{id}?minRevision={revision}")
        assert seen["revision"] >= revision
        task = await system.call("GET", task_url(id, "#.a", f"?minRevision={revision}"))
        assert task["status"] != "inactive"
        await system.call("GET", task_url(id, "#.a", f"/logs?minRevision={revision}"))
        await system.ended(id)


@pytest.mark.contract("names.url-encoding")
async def test_paths_in_addresses_are_percent_encoded(system: World) -> None:
    names = ["a b", "ü/{x}", "50%", "q?&=", "#no"[1:], "日本"]
    id = (await system.run([{"name": name, "do": "value", "value": name} for name in names]))["id"]
    for name in names:
        assert (await system.task(id, f"#.{name}"))["body"] == name
