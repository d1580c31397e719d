"""Errors, names and patterns, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from taskpath_services.executor import author_calls
from tests.contract.conftest import Start
from tests.contract.world import World, task_url

ONE = [{"name": "a", "do": "echo"}]


@pytest.mark.contract("errors.shape", "errors.invalid-request")
async def test_a_malformed_call_gets_one_sentence(system: World) -> None:
    for raw in (
        b"", b"{", b"[]", b'{"workflow":"tree","data":NaN}', b'{"workflow":"tree","workflow":"tree"}',
        b'{"workflow":"tree","color":"red"}', b'{"workflow":7}', b'{"workflow":"tree","data":"\xff"}',
        b'{"workflow":"tree","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ):  # fmt: skip
        answer = await system.call("POST", "/instances", 400, raw=raw, headers={"Accept": "text/html"})
        assert set(answer) == {"error"}
        assert set(answer["error"]) == {"code", "message"}
        assert answer["error"]["code"] == "INVALID_REQUEST"
        assert answer["error"]["message"].endswith(".")
        assert "Traceback" not in answer["error"]["message"]
    id = (await system.create(ONE))["id"]
    for query in ("minRevision=-1", "minRevision=x", "color=red", "minRevision=1&minRevision=2"):
        await system.refused("GET", f"/instances/{id}?{query}", 400, "INVALID_REQUEST")
    await system.refused("GET", "/nothing", 404, "INVALID_REQUEST")
    await system.refused("POST", "/workflows", 405, "INVALID_REQUEST")


@pytest.mark.contract("errors.invalid-path", "names.path-limits")
async def test_what_is_no_path_is_refused(system: World) -> None:
    id = (await system.create(ONE))["id"]
    for path in ("a", "#.", "#..a", "#.a[x]", "#.a[-1]", "#.a[01]", "#[0]", "#.a]", "#.a[0][1]", "# .a"):
        await system.refused("GET", task_url(id, path), 400, "INVALID_PATH")
        await system.refused("POST", f"/instances/{id}/execute", 400, "INVALID_PATH", {"path": path})
    for path in ("#." + "ü" * 200 + ".x" * 400, "#" + ".a" * 65):
        await system.refused("POST", f"/instances/{id}/cancel", 400, "INVALID_PATH", {"path": path})
    await system.refused("GET", task_url(id, "#" + ".a" * 64), 404, "CANNOT_FIND_TASK")
    await system.refused("GET", task_url(id, "#.*"), 400, "INVALID_PATH")


@pytest.mark.contract("errors.forbidden", "settings.foreign")
async def test_a_foreign_page_is_forbidden(system: World) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        answer = await system.call("GET", "/instances", 403, headers=headers)
        assert answer["error"]["code"] == "FORBIDDEN"
        async with system.http.get("/ws", headers=headers) as response:
            assert response.status == 403
    await system.call("GET", "/instances", headers={"Origin": system.url})


@pytest.mark.contract("errors.unknown-workflow")
async def test_an_unknown_workflow(system: World) -> None:
    error = await system.refused("POST", "/instances", 404, "UNKNOWN_WORKFLOW", {"workflow": "nobody"})
    assert "'nobody'" in error["message"]


@pytest.mark.contract("errors.cannot-find-task", "patterns.no-match")
async def test_a_task_that_is_not_there(system: World) -> None:
    id = (await system.run(ONE))["id"]
    error = await system.refused("GET", task_url(id, "#.b"), 404, "CANNOT_FIND_TASK")
    assert error["path"] == "#.b"
    for path in ("#.b", "#.a.x", "#.a[0]", "#.*.x", "#.**.x", "#.a[*]"):
        for verb in ("execute", "cancel"):
            await system.refused("POST", f"/instances/{id}/{verb}", 404, "CANNOT_FIND_TASK", {"path": path})
    await system.refused("GET", f"/instances/{id}?paths=%23.b", 404, "CANNOT_FIND_TASK")
    await system.refused(
        "PUT", task_url(id, "#.b", "/contextUpdaters"), 404, "CANNOT_FIND_TASK", {"updaters": []}
    )


@pytest.mark.contract("errors.already-running")
async def test_what_runs_is_busy(system: World) -> None:
    id = (await system.create([system.hold("wait"), {"name": "b", "do": "echo"}]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        await system.held(socket, "#.wait")
    error = await system.refused(
        "POST", f"/instances/{id}/execute", 409, "ALREADY_RUNNING", {"path": "#.wait"}
    )
    assert error["path"] == "#.wait"
    await system.refused("POST", f"/instances/{id}/execute", 409, "ALREADY_RUNNING", {"path": "#.b"})
    system.go()
    assert (await system.ended(id))["status"] == "done"


@pytest.mark.contract("errors.too-large", "settings.max-body", "names.value-limit")
async def test_what_is_too_large(start: Start) -> None:
    system = await start(max_body=100_000, max_value=10_000)
    data = ["x" * 200_000]
    body = {"workflow": "tree", "data": data}
    error = await system.refused("POST", "/instances", 413, "TOO_LARGE", body)
    assert "TASKPATH_MAX_BODY" in error["message"]
    body = {"workflow": "tree", "data": ["x" * 20_000]}
    error = await system.refused("POST", "/instances", 413, "TOO_LARGE", body)
    assert "10000" in error["message"]
    done = await system.run([{"name": "large", "do": "large", "size": 20_000}])
    assert done["status"] == "failed"
    assert "at most 10000" in done["statuses"]["#.large"]["error"]["message"]


@pytest.mark.contract("errors.invalid-data")
async def test_data_that_does_not_fit_the_schema(system: World) -> None:
    body: dict[str, Any]
    for data, field in (({}, "title"), ({"title": 7}, "title"), ({"title": "t", "width": "w"}, "width")):
        body = {"workflow": "typed", "data": data}
        error = await system.refused("POST", "/instances", 422, "INVALID_DATA", body)
        assert field in error["message"]
    body = {"workflow": "typed", "data": {"title": "t"}, "execute": True}
    id = (await system.call("POST", "/instances", 201, body))["id"]
    assert (await system.ended(id))["status"] == "done"
    assert (await system.task(id, "#.show"))["argument"] == {"title": "t"}


@pytest.mark.contract("errors.scheduler-error")
async def test_a_generator_that_fails(system: World) -> None:
    error = await system.refused("POST", "/instances", 422, "SCHEDULER_ERROR", {"workflow": "broken"})
    assert "broken" in error["message"]
    assert "the generator is broken" in error["message"]
    bad = [{"name": "a", "do": "echo"}, {"name": "a", "do": "echo"}]
    body = {"workflow": "tree", "data": bad}
    error = await system.refused("POST", "/instances", 422, "SCHEDULER_ERROR", body)
    assert "#.a" in error["message"]
    assert "'tree'" in error["message"]
    assert (await system.call("GET", "/instances"))["items"] == []


@pytest.mark.contract("names.characters")
async def test_names(system: World) -> None:
    longest = "n" * 200
    done = await system.run([{"name": longest, "do": "echo"}, {"name": "ü ☃ {x}/%", "do": "echo"}])
    assert done["status"] == "done"
    for name in ("", "n" * 201, "a.b", "a[0]", "a*", "#a", " a", "a ", "a\n", "a\x00"):
        body: dict[str, Any] = {"workflow": "tree", "data": [{"name": name, "do": "echo"}]}
        await system.refused("POST", "/instances", 422, "SCHEDULER_ERROR", body)
        await system.refused("POST", "/instances", 400, "INVALID_REQUEST", {"workflow": name})


@pytest.mark.contract("names.instance-limit")
async def test_an_instance_of_too_many_tasks(system: World) -> None:
    error = await system.refused("POST", "/instances", 422, "SCHEDULER_ERROR", {"workflow": "endless"})
    assert "1000000" in error["message"].replace(",", "")


@pytest.mark.contract("names.generator-seconds")
async def test_a_generator_that_does_not_come_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert author_calls.SECONDS == 30.0
    # Nobody wants to wait for so long here.
    monkeypatch.setattr(author_calls.AuthorCalls.__init__, "__defaults__", (0.1, author_calls.MOST))
    system = await start()
    error = await system.refused("POST", "/instances", 422, "SCHEDULER_ERROR", {"workflow": "sleepy"})
    assert "0.1 s" in error["message"]
