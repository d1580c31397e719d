"""REST, row by row: instances and lists of them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator

from tests.contract.world import World, task_url

ONE = [{"name": "a", "do": "value", "value": 1}]
CHAIN = [{"name": name, "do": "echo"} for name in "abc"]


@pytest.mark.contract("rest.workflows")
async def test_the_known_workflows(system: World) -> None:
    found = {item["name"]: item for item in (await system.call("GET", "/workflows"))["items"]}
    assert set(found) >= {"tree", "numbers", "typed", "broken"}
    tree, typed = found["tree"], found["typed"]
    assert (tree["description"], tree["queue"], tree["schema"]) == (
        "Whatever the data describes", "default", None,
    )  # fmt: skip
    assert len(tree["executors"]) == 1
    schema = Draft202012Validator(typed["schema"])
    assert schema.is_valid({"title": "Sea"})
    assert not schema.is_valid({"width": 5})


@pytest.mark.contract("rest.executors")
async def test_the_executors(system: World) -> None:
    (executor,) = (await system.call("GET", "/executors"))["items"]
    assert executor["status"] == "serving"
    assert "default" in executor["queues"]
    assert "tree" in executor["workflows"]
    assert executor["running"] == 0
    assert executor["concurrency"] > 0
    assert 0 < executor["startedAt"] <= executor["lastHeartbeat"]
    assert abs(executor["lastHeartbeat"] - time.time() * 1000) < 60_000


@pytest.mark.contract("rest.create", "rest.json", "names.ids")
async def test_an_instance_is_created(system: World) -> None:
    before = time.time() * 1000
    body = {"workflow": "tree", "data": ONE}
    async with system.http.post("/api/v1/instances", json=body) as response:
        created = await response.json()
        assert response.status == 201
        assert response.content_type == "application/json"
        assert response.headers["Location"] == f"/api/v1/instances/{created['id']}"
        assert (await system.call("GET", f"/instances/{created['id']}"))["id"] == created["id"]
    assert quote(created["id"], safe="") == created["id"]
    assert (created["status"], created["startedAt"]) == ("inactive", None)
    assert abs(created["createdAt"] - before) < 60_000


@pytest.mark.contract("rest.create-fields", "names.realm")
async def test_what_a_create_takes(system: World) -> None:
    plain = await system.create(ONE)
    assert (plain["realm"], plain["name"], plain["baseContext"], plain["ephemeral"]) == (
        "default", None, {}, False,
    )  # fmt: skip
    realm = "Ünser/Reich " + "r" * 188
    tasks = [{"name": "see", "do": "context"}, {"name": "got", "do": "echo"}]
    full = await system.call(
        "POST", "/instances", 201,
        {
            "workflow": "tree", "data": tasks, "realm": realm, "name": "the name",
            "baseContext": {"base": 1}, "ephemeral": False, "execute": True, "argument": None,
        },
    )  # fmt: skip
    done = await system.ended(full["id"])
    assert (done["realm"], done["name"], done["data"], done["baseContext"]) == (
        realm, "the name", tasks, {"base": 1},
    )  # fmt: skip
    assert (await system.task(full["id"], "#.see"))["argument"] is None
    assert (await system.task(full["id"], "#.got"))["body"] == {"base": 1}
    for realm in ("", "r" * 201):
        await system.refused(
            "POST", "/instances", 400, "INVALID_REQUEST", {"workflow": "tree", "realm": realm}
        )


@pytest.mark.contract("rest.create-key")
async def test_the_same_key_gives_the_same_instance(system: World) -> None:
    key = {"Idempotency-Key": "order 17"}
    body: dict[str, Any] = {"workflow": "tree", "data": ONE}
    first = await system.call("POST", "/instances", 201, body, headers=key)
    again = await system.call("POST", "/instances", 201, dict(reversed(body.items())), headers=key)
    assert first["id"] == again["id"]
    other = await system.call("POST", "/instances", 201, {**body, "realm": "other"}, headers=key)
    assert other["id"] != first["id"]
    refused = await system.call("POST", "/instances", 409, {**body, "name": "n"}, headers=key)
    assert refused["error"]["code"] == "CONFLICT"
    assert len((await system.call("GET", "/instances"))["items"]) == 2


@pytest.mark.contract("rest.list", "rest.accepted-is-read")
async def test_the_list_shows_what_was_created_newest_first(system: World) -> None:
    ids = []
    for number in range(3):
        ids.append((await system.create(ONE, name=f"n{number}"))["id"])
        page = await system.call("GET", "/instances")
        assert [item["id"] for item in page["items"]] == ids[::-1], "a create is in the list at once"
    assert page["nextCursor"] is None
    assert page["items"][0] == {
        "id": ids[2],
        "workflow": "tree",
        "realm": "default",
        "name": "n2",
        "status": "inactive",
        "progress": {"total": 1, "done": 0, "failed": 0, "running": 0, "fraction": 0.0},
        "createdAt": page["items"][0]["createdAt"],
        "updatedAt": page["items"][0]["updatedAt"],
    }


@pytest.mark.contract("rest.list-filters")
async def test_the_list_is_filtered(system: World) -> None:
    one = await system.create(ONE, name="Alpha", realm="r")
    two = await system.call("POST", "/instances", 201, {"workflow": "wide", "data": {"count": 1}})
    three = await system.run(ONE, name="alpha 2")

    async def found(query: str) -> list[str]:
        return [item["id"] for item in (await system.call("GET", f"/instances?{query}"))["items"]]

    assert await found("realm=r") == [one["id"]]
    assert await found("status=done") == [three["id"]]
    assert await found("workflow=wide") == [two["id"]]
    assert await found("name=alpha") == [three["id"]]
    assert await found("name=A") == [one["id"]]
    assert await found("name=lpha") == []
    assert await found("name=%25") == []
    at = three["createdAt"]
    assert three["id"] not in await found(f"createdAfter={at}")
    assert three["id"] in await found(f"createdAfter={at - 1}")
    assert three["id"] not in await found(f"createdBefore={at}")
    assert await found(f"createdAfter={at - 1}&status=done&workflow=tree") == [three["id"]]


@pytest.mark.contract("rest.list-pages")
async def test_the_list_comes_in_pages(system: World) -> None:
    ids = [(await system.create(ONE))["id"] for _ in range(7)]
    seen, cursor = list[str](), ""
    while True:
        page = await system.call("GET", f"/instances?limit=3{cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = "&cursor=" + quote(page["nextCursor"], safe="")
        await system.create(ONE)
    assert seen == ids[::-1], "neither twice nor missing, though others were created meanwhile"
    assert len((await system.call("GET", "/instances?limit=200"))["items"]) > 7
    for query in ("limit=201", "limit=0", "cursor=nonsense", f"createdBefore={10**20}"):
        await system.refused("GET", f"/instances?{query}", 400, "INVALID_REQUEST")


@pytest.mark.contract("rest.instance")
async def test_an_instance_shows_everything(system: World) -> None:
    tasks = [
        {"name": "list", "do": "range", "count": 2, "description": "Find them", "context_var": "them"},
        {"name": "each", "do": "echo", "foreach": "them", "subtasks": [{"name": "sub", "do": "echo"}]},
    ]
    done = await system.run(tasks, baseContext={"b": 1})
    assert set(done) == {
        "id", "workflow", "realm", "name", "data", "baseContext", "ephemeral", "revision", "status",
        "progress", "createdAt", "updatedAt", "startedAt", "finishedAt", "tasks", "statuses",
    }  # fmt: skip
    assert done["createdAt"] <= done["startedAt"] <= done["finishedAt"] <= done["updatedAt"]
    assert done["tasks"] == [
        {"name": "list", "description": "Find them", "path": "#.list", "children": []},
        {
            "name": "each",
            "description": "",
            "path": "#.each",
            "children": [
                {"name": "sub", "description": "", "path": "#.each[*].sub", "children": []},
            ],
            "foreach": True,
            "count": 2,
        },
    ]
    assert set(done["statuses"]) == {
        "#.list", "#.each", "#.each[0]", "#.each[0].sub", "#.each[1]", "#.each[1].sub",
    }  # fmt: skip
    assert done["progress"]["fraction"] == 1.0


@pytest.mark.contract("rest.instance-paths", "patterns.wildcards")
async def test_statuses_are_chosen_by_patterns(system: World) -> None:
    tasks = [
        {"name": "a", "do": "range", "count": 2, "context_var": "them"},
        {
            "name": "each",
            "foreach": "them",
            "subtasks": [{"name": "x", "do": "echo"}, {"name": "y", "do": "echo"}],
        },
    ]
    id = (await system.run(tasks))["id"]

    async def shown(*patterns: str) -> set[str]:
        query = "&".join(f"paths={quote(pattern)}" for pattern in patterns)
        return set((await system.call("GET", f"/instances/{id}?{query}"))["statuses"])

    assert await shown("#.a") == {"#.a"}
    assert await shown("#.each[0]") == {"#.each[0]", "#.each[0].x", "#.each[0].y"}
    assert await shown("#.each[*].x") == {"#.each[0].x", "#.each[1].x"}
    assert await shown("#.*", "#.a") == {
        "#.a", "#.each", "#.each[0]", "#.each[0].x", "#.each[0].y", "#.each[1]", "#.each[1].x", "#.each[1].y",
    }  # fmt: skip
    assert await shown("#.each.**") == await shown("#.each[*]")
    assert await shown("#.**.y") == {"#.each[0].y", "#.each[1].y"}
    assert await shown("#") == set()


@pytest.mark.contract("rest.rollup")
async def test_a_long_foreach_is_a_rollup_unless_its_items_are_named(system: World) -> None:
    body = {"workflow": "numbers", "data": {"count": 1_001}, "execute": True}
    id = (await system.call("POST", "/instances", 201, body))["id"]
    done = await system.ended(id)
    assert set(done["statuses"]) == {"#.list", "#.double", "#.total"}
    assert done["statuses"]["#.double"]["rollup"] == {
        "total": 1_001, "inactive": 0, "queued": 0, "running": 0, "ok": 1_001, "failed": 0, "skipped": 0,
        "cancelled": 0, "stale": 0,
    }  # fmt: skip
    named = await system.call("GET", f"/instances/{id}?paths=%23.double%5B7%5D")
    assert set(named["statuses"]) == {"#.double[7]"}
    named = await system.call("GET", f"/instances/{id}?paths=%23.double%5B*%5D")
    assert len(named["statuses"]) == 1_001


@pytest.mark.contract("rest.patch-data")
async def test_new_data_keeps_what_stays_and_makes_stale_what_follows_an_inserted_task(system: World) -> None:
    id = (await system.run(CHAIN, argument=5))["id"]
    inserted = {"name": "new", "do": "echo"}
    answer = await system.call("PATCH", f"/instances/{id}", 200, {"data": {"$splice": [[1, 0, inserted]]}})
    now = await system.call("GET", f"/instances/{id}?minRevision={answer['revision']}")
    assert now["data"] == [CHAIN[0], inserted, *CHAIN[1:]]
    assert [task["name"] for task in now["tasks"]] == ["a", "new", "b", "c"]
    states = {path: (one["status"], one["stale"]) for path, one in now["statuses"].items()}
    assert states == {
        "#.a": ("ok", False), "#.new": ("inactive", False), "#.b": ("ok", True), "#.c": ("ok", True),
    }  # fmt: skip
    assert (await system.task(id, "#.b"))["body"] == 5
    again = await system.execute(id, mode="stale")
    assert [one["attempt"] for one in again["statuses"].values()] == [1, 1, 2, 2]
    answer = await system.call("PATCH", f"/instances/{id}", 200, {"data": {"$splice": [[1, 2]]}})
    now = await system.call("GET", f"/instances/{id}?minRevision={answer['revision']}")
    assert set(now["statuses"]) == {"#.a", "#.c"}


@pytest.mark.contract("rest.patch-name")
async def test_a_name_is_changed(system: World) -> None:
    id = (await system.create(ONE, name="old"))["id"]
    for name in ("new", None):
        answer = await system.call("PATCH", f"/instances/{id}", 200, {"name": name})
        now = await system.call("GET", f"/instances/{id}?minRevision={answer['revision']}")
        assert now["name"] == name
    await system.refused("PATCH", f"/instances/{id}", 400, "INVALID_REQUEST", {})
    refused = await system.refused(
        "PATCH", f"/instances/{id}", 400, "INVALID_REQUEST", {"data": {"$push": 1}}
    )
    assert "$push" in refused["message"]


@pytest.mark.contract("rest.patch-running", "rest.updaters-running", "errors.conflict")
async def test_what_runs_is_not_changed(system: World) -> None:
    id = (await system.create([system.hold("wait")], execute=True))["id"]
    await system.refused("PATCH", f"/instances/{id}", 409, "CONFLICT", {"data": {"$set": []}})
    await system.refused("PUT", task_url(id, "#.wait", "/contextUpdaters"), 409, "CONFLICT", {"updaters": []})
    system.go()
    assert (await system.ended(id))["status"] == "done"


@pytest.mark.contract("rest.delete", "errors.unknown-instance")
async def test_a_deleted_instance_is_gone(system: World) -> None:
    id = (await system.run(ONE))["id"]
    await system.call("DELETE", f"/instances/{id}", 204)
    for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/tasks/%23.a"), ("POST", "/execute")):
        refused = await system.refused(method, f"/instances/{id}{below}", 404, "UNKNOWN_INSTANCE")
        assert id in refused["message"]
    assert (await system.call("GET", "/instances"))["items"] == []


@pytest.mark.contract("rest.delete-realm")
async def test_a_realm_is_deleted_with_all_it_has(system: World) -> None:
    held = await system.create([system.hold("wait")], realm="a/ö", execute=True)
    for _ in range(4):
        await system.create(ONE, realm="a/ö")
    other = await system.create(ONE)
    assert await system.call("DELETE", "/realms/a%2F%C3%B6/instances") == {"deleted": 5}
    assert await system.call("DELETE", "/realms/a%2F%C3%B6/instances") == {"deleted": 0}
    await system.refused("GET", f"/instances/{held['id']}", 404, "UNKNOWN_INSTANCE")
    assert [item["id"] for item in (await system.call("GET", "/instances"))["items"]] == [other["id"]]


@pytest.mark.contract("rest.tombstone")
async def test_an_ephemeral_instance_leaves_a_tombstone(system: World) -> None:
    for tasks, status in ((ONE, "done"), ([{"name": "a", "do": "fail"}], "failed")):
        created = await system.create(tasks, ephemeral=True, execute=True)
        await system.client.wait(created["id"], timeout=30)
        gone = await system.call("GET", f"/instances/{created['id']}")
        assert gone == {"id": created["id"], "status": status, "deleted": True}
        await system.refused("GET", f"/instances/{created['id']}/tasks/%23.a", 404, "UNKNOWN_INSTANCE")
    assert (await system.call("GET", "/instances"))["items"] == []


@pytest.mark.contract("rest.health")
async def test_it_says_how_it_is(system: World) -> None:
    assert await system.call("GET", "//healthz") == {"status": "ok"}
    assert await system.call("GET", "//readyz") == {"status": "ready"}


@pytest.mark.contract("rest.metrics")
async def test_it_counts_for_prometheus(system: World) -> None:
    await system.call("GET", "/instances")
    async with system.http.get("/metrics") as response:
        assert response.content_type == "text/plain"
        text = await response.text()
    assert 'route="/api/v1/instances",status="200"} 1.0' in text


@pytest.mark.contract("rest.page")
async def test_it_serves_the_web_page(system: World) -> None:
    async with system.http.get("/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "<script" in await response.text()
