"""REST of a real gateway: what it answers, and what it refuses, with one clear sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from taskpath_proto.commands import Cancel, CreateInstance, Delete, Execute
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.queries import ListInstances, PutBlob, ReadInstance, ReadTask
from taskpath_proto.records import (
    AttemptRecord,
    AttemptStatus,
    InstanceStatus,
    Mode,
    Rollup,
    TaskChange,
    TaskStatus,
    Upstream,
)
from taskpath_proto.values import Blob, Inline
from taskpath_services.gateway.pages import PAGE
from tests.support.gateway import Running

OK, FAILED = TaskStatus.OK, TaskStatus.FAILED


async def test_create_sends_what_came_as_it_came(gateway: Running) -> None:
    data = b'{"b": 1.50, "a": "\\u00e9"}'
    text = b'{"workflow":"album","data":' + data + b',"baseContext":{"x":[]},"realm":"r","name":"n"}'
    async with gateway.http.post(
        "/api/v1/instances", data=text, headers={"Content-Type": "application/json"}
    ) as response:
        assert response.status == 201
        body = await response.json()
        assert response.headers["Location"] == f"/api/v1/instances/{body['id']}"
    (create,) = await gateway.system.heard(CreateInstance)
    assert create == CreateInstance(
        id=body["id"],
        workflow="album",
        queue="default",
        realm="r",
        data=Inline('{"b": 1.50, "a": "\\u00e9"}'),
        base_context=Inline('{"x":[]}'),
        name="n",
    )
    assert body["data"] == {"b": 1.5, "a": "é"}
    assert set(body) == {
        "id", "workflow", "realm", "name", "data", "baseContext", "ephemeral", "revision", "status",
        "progress", "createdAt", "updatedAt", "startedAt", "finishedAt", "tasks", "statuses",
    }  # fmt: skip


async def test_what_is_absent_is_null_and_an_empty_context(gateway: Running) -> None:
    body = await gateway.call("POST", "/instances", 201, workflow="album", execute=True, argument=None)
    (create,) = await gateway.system.heard(CreateInstance)
    assert (create.data, create.base_context) == (Inline("null"), Inline("{}"))
    assert (create.execute, create.argument) == (True, Inline("null"))
    assert (body["data"], body["baseContext"]) == (None, {})


async def test_a_large_value_is_stored_first_and_shown_again(gateway: Running) -> None:
    data = {"text": "ü" * 70_000}
    body = await gateway.call("POST", "/instances", 201, workflow="album", data=data)
    (put,) = await gateway.system.heard(PutBlob)
    (create,) = await gateway.system.heard(CreateInstance)
    assert isinstance(create.data, Blob)
    assert (put.id, put.path, put.name) == (create.id, "#", "data")
    assert body["data"] == data


async def test_the_same_key_and_body_give_the_same_instance(
    gateway: Running,
) -> None:
    key = {"Idempotency-Key": "k 1"}
    first = await gateway.call("POST", "/instances", 201, key, workflow="album", data={"a": 1, "b": 2})
    again = await gateway.call("POST", "/instances", 201, key, workflow="album", data={"b": 2, "a": 1})
    other_realm = await gateway.call("POST", "/instances", 201, key, workflow="album", realm="r")
    assert first["id"] == again["id"] != other_realm["id"]
    refused = await gateway.call("POST", "/instances", 409, key, workflow="album", data={"a": 2})
    assert refused["error"]["code"] == "CONFLICT"


async def test_workflows_are_those_that_executors_announce(gateway: Running) -> None:
    gateway.system.announce("e1", "album", "report")
    gateway.system.announce("e2", "album")
    await gateway.settle()
    found = await gateway.call("GET", "/workflows")
    assert found["items"] == [
        {"name": "album", "description": "", "queue": "default", "schema": None, "executors": ["e1", "e2"]},
        {"name": "report", "description": "", "queue": "default", "schema": None, "executors": ["e1"]},
    ]
    gateway.system.announce("e2", "album", leaving=True)
    await gateway.settle()
    assert [item["status"] for item in (await gateway.call("GET", "/executors"))["items"]] == [
        "serving",
        "leaving",
    ]
    gateway.clock.move(15)
    found = await gateway.call("GET", "/workflows")
    assert [item["executors"] for item in found["items"]] == [[], []]
    away = await gateway.call("POST", "/instances", 503, workflow="album")
    assert away["error"]["code"] == "NO_EXECUTOR"
    unknown = await gateway.call("POST", "/instances", 404, workflow="nothing")
    assert unknown["error"]["code"] == "UNKNOWN_WORKFLOW"


async def test_an_instance_is_shown_with_its_tree_and_statuses(gateway: Running) -> None:
    gateway.system.create("i", name="n")
    items = [TaskChange(path=f"#.resize[{n}]", status=OK, bound=1, left=2) for n in range(1_200)]
    gateway.system.change(
        "i",
        TaskChange(
            path="#.resize",
            status=FAILED,
            count=1_200,
            rollup=Rollup(total=1_200, ok=1_200),
            bounds=((1, 7),),
        ),
        *items,
    )
    shown = await gateway.call("GET", "/instances/i?minRevision=2")
    assert gateway.system.asked[-1] == ReadInstance(id="i", min_revision=2)
    assert shown["tasks"][1]["count"] == 1_200
    assert set(shown["statuses"]) == {"#.list", "#.resize", "#.publish", "#.publish.cdn", "#.publish.mail"}
    assert shown["statuses"]["#.resize"]["rollup"]["stale"] == 7
    named = await gateway.call(
        "GET", "/instances/i?paths=%23.resize%5B3%5D,%23.list&paths=%23.resize%5B1199%5D"
    )
    assert set(named["statuses"]) == {"#.list", "#.resize[3]", "#.resize[1199]"}
    assert named["statuses"]["#.resize[3]"]["stale"]
    nowhere = await gateway.call("GET", "/instances/i?paths=%23.nowhere", 404)
    assert nowhere["error"]["code"] == "CANNOT_FIND_TASK"
    assert nowhere["error"]["path"] == "#.nowhere"


async def test_instances_are_listed_by_filter_and_page(gateway: Running) -> None:
    gateway.system.create("i", status=InstanceStatus.WORKING, created_at=5)
    gateway.system.create("j")
    assert await gateway.call("GET", "/instances?status=working&createdAfter=4") == {
        "items": [
            {
                "id": "i",
                "workflow": "album",
                "realm": "default",
                "name": None,
                "status": "working",
                "progress": {"total": 0, "done": 0, "failed": 0, "running": 0, "fraction": 0.0},
                "createdAt": 5,
                "updatedAt": 5,
            }
        ],
        "nextCursor": None,
    }
    await gateway.call("GET", "/instances?realm=r&workflow=w&name=n&createdBefore=9&limit=200&cursor=c")
    assert gateway.system.asked[-1] == ListInstances(
        realm="r", workflow="w", name="n", created_before=9, limit=200, cursor="c"
    )


async def test_execute_cancel_and_delete_go_to_the_owner(gateway: Running) -> None:
    gateway.system.create("i")
    assert await gateway.call("POST", "/instances/i/execute", 202) == {"revision": 1}
    await gateway.call(
        "POST",
        "/instances/i/execute",
        202,
        path="#.list",
        mode="failed",
        upstream="ignore",
        argument={"x": [1]},
    )
    async with gateway.http.post("/api/v1/instances/i/cancel", headers={"Idempotency-Key": "k"}) as response:
        assert response.status == 202
    await gateway.call("DELETE", "/instances/i", 204)
    first, second = await gateway.system.heard(Execute, 2)
    assert first == Execute(id="i")
    assert second == Execute(
        id="i", path="#.list", mode=Mode.FAILED, upstream=Upstream.IGNORE, argument=Inline('{"x": [1]}')
    )
    (cancel,) = await gateway.system.heard(Cancel)
    assert (cancel.path, cancel.key) == ("#", "k")
    assert await gateway.system.heard(Delete) == [Delete(id="i")]


async def test_a_task_is_shown_with_its_values_and_attempts(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.change(
        "i",
        TaskChange(
            path="#.list",
            status=OK,
            bound=1,
            left=2,
            attempt=2,
            execution_time=1_000,
            duration=20,
            executor="e1",
            body=Inline('{"n": 1.0}'),
            argument=Inline("[1]"),
            attempts=(
                AttemptRecord(
                    1, AttemptStatus.FAILED, 900, 10, "e1", ErrorInfo(ErrorCode.EXECUTION_FAILED, "x")
                ),
            ),
        ),
    )
    shown = await gateway.call("GET", "/instances/i/tasks/%23.list?minRevision=2")
    assert next(query for query in gateway.system.asked if isinstance(query, ReadTask)).min_revision == 2
    assert shown == {
        "path": "#.list",
        "revision": 2,
        "status": "ok",
        "stale": False,
        "executionTime": 1_000,
        "duration": 20,
        "attempt": 2,
        "contextUpdaters": [],
        "attempts": [
            {
                "attempt": 1,
                "status": "failed",
                "executionTime": 900,
                "duration": 10,
                "executor": "e1",
                "error": {"code": "EXECUTION_FAILED", "message": "x"},
            },
            {"attempt": 2, "status": "ok", "executionTime": 1_000, "duration": 20, "executor": "e1"},
        ],
        "body": {"n": 1.0},
        "argument": [1],
        "executor": "e1",
    }
    untouched = await gateway.call("GET", "/instances/i/tasks/%23.publish.cdn")
    assert (untouched["status"], untouched["attempts"]) == ("inactive", [])
    assert "body" not in untouched


async def test_a_large_result_is_a_reference_and_can_be_had_as_it_is(gateway: Running) -> None:
    text = '{"a":"' + "ü" * 2_000_000 + '"}'
    body = Blob("#.list", "body", 1, len(text.encode()))
    gateway.system.blobs[body] = text
    gateway.system.create("i")
    gateway.system.change("i", TaskChange(path="#.list", status=OK, body=body))
    shown = await gateway.call("GET", "/instances/i/tasks/%23.list")
    assert shown["body"] == {"ref": "/api/v1/instances/i/tasks/%23.list/result", "size": len(text.encode())}
    async with gateway.http.get(shown["body"]["ref"]) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert (await response.read()).decode() == text
    async with gateway.http.get("/api/v1/instances/i/tasks/%23.publish.cdn/result") as response:
        assert response.status == 404


async def test_log_lines_are_read_on_from_where_one_was(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.write("i", "#.list", "one", "two", "three")
    read = "/instances/i/tasks/%23.list/logs"
    assert await gateway.call("GET", f"{read}?limit=2") == {
        "lines": [
            {"time": 5, "level": "info", "text": "one", "attempt": 1},
            {"time": 5, "level": "info", "text": "two", "attempt": 1},
        ],
        "next": 2,
    }
    rest = await gateway.call("GET", f"{read}?after=2&minRevision=1")
    assert ([line["text"] for line in rest["lines"]], rest["next"]) == (["three"], 3)
    assert await gateway.call("GET", "/instances/i/tasks/%23.publish/logs") == {"lines": [], "next": 0}
    assert (await gateway.call("GET", "/instances/i/tasks/%23.no/logs", 404))["error"][
        "code"
    ] == "CANNOT_FIND_TASK"
    assert (await gateway.call("GET", "/instances/j/tasks/%23.list/logs", 404))["error"][
        "code"
    ] == "UNKNOWN_INSTANCE"


async def test_a_name_may_hold_whatever_a_name_may_hold(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.write("i", "#.a/b %2F,ü", "line")
    found = await gateway.call("GET", "/instances/i/tasks/%23.a%2Fb%20%252F%2C%C3%BC/logs")
    assert found["next"] == 1


async def test_health_and_metrics(gateway: Running) -> None:
    for path in ("/healthz", "/readyz"):
        async with gateway.http.get(path) as response:
            assert response.status == 200
    async with gateway.http.get("/metrics") as response:
        assert (
            'taskpath_gateway_requests_total{method="GET",route="/readyz",status="200"} 1.0'
            in await response.text()
        )

    async def fails(query: Any) -> None:
        raise TaskpathError(ErrorCode.UNAVAILABLE, "Storage is away.")

    gateway.system.reading = fails
    async with gateway.http.get("/readyz") as response:
        assert response.status == 503
    async with gateway.http.get("/healthz") as response:
        assert response.status == 200


async def test_the_page_is_served_and_nothing_beside_it(gateway: Running) -> None:
    async with gateway.http.get("/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    async with gateway.http.get("/", headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    script = next(path.name for path in PAGE.glob("*.js"))
    async with gateway.http.get(f"/{script}") as response:
        assert response.content_type == "text/javascript"
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    for path in (
        "/../service.py",
        "/..%2Fservice.py",
        "/%2e%2e/service.py",
        "/service.py",
        f"/{Path(PAGE).name}/",
        "/x.js",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        assert b" 404 " in status, (path, status)
        writer.close()


async def test_who_looks_for_a_page_gets_it_where_there_is_nothing(gateway: Running) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/nope", "/i/x/tasks", "/apiary"):
        async with gateway.http.get(path, headers=browser) as response:
            assert (response.status, response.content_type) == (404, "text/html")
            assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        async with gateway.http.get(path) as response:
            assert (response.status, response.content_type) == (404, "application/json")
    for path in ("/api/v1/nope", "/api", "/ws/x", "/metrics/x", "/healthz/x", "/readyz/x"):
        async with gateway.http.get(path, headers=browser) as response:
            assert (response.status, response.content_type) == (404, "application/json")
    async with gateway.http.post("/nope", headers=browser) as response:
        assert (response.status, response.content_type) == (405, "application/json")


async def test_answers_are_json_of_the_contract(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.http.get("/api/v1/instances/i") as response:
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.headers["Cache-Control"] == "no-store"
        assert msgspec.json.decode(await response.read())["id"] == "i"
