"""Changes through a real gateway: data, name, updaters, whole realms, and what is left of what is gone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from taskpath_proto.commands import Delete, SetContextUpdaters, UpdateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import PutBlob
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_proto.values import Blob, Inline, Joined
from taskpath_services.gateway.watches import LINGER
from tests.support.gateway import Running

DONE, WORKING = InstanceStatus.DONE, InstanceStatus.WORKING


async def test_data_is_changed_by_an_updater_and_a_name_by_a_name(gateway: Running) -> None:
    gateway.system.create("i")
    assert await gateway.call("PATCH", "/instances/i", data={"a": {"$set": 2}}) == {"revision": 1}
    await gateway.call("PATCH", "/instances/i", name="n")
    await gateway.call("PATCH", "/instances/i", name=None)
    await gateway.call("PATCH", "/instances/i", data={"$set": None}, name="m")
    assert await gateway.system.heard(UpdateInstance, 4) == [
        UpdateInstance(id="i", data=Inline('{"a": {"$set": 2}}'), name=UNSET),
        UpdateInstance(id="i", name="n"),
        UpdateInstance(id="i", name=None),
        UpdateInstance(id="i", data=Inline('{"$set": null}'), name="m"),
    ]
    large = {"text": {"$set": "x" * 70_000}}
    await gateway.call("PATCH", "/instances/i", data=large)
    (put,) = await gateway.system.heard(PutBlob)
    assert (put.id, put.name) == ("i", "update")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "`data` or `name` is expected"),
        ({"data": 5}, "`data` is no updater: The updater at # must be an object"),
        ({"data": None}, "`data` is no updater"),
        ({"data": {"a": {"$pish": [1]}}}, "$pish at #.a is no command"),
        ({"data": {"$push": 1}}, "takes an array"),
        ({"name": 7}, "`$.name`"),
        ({"name": "n" * 201}, "200"),
        ({"status": "done"}, "unknown field"),
    ],
)
async def test_a_bad_change_is_refused_in_one_sentence(gateway: Running, body: Any, says: str) -> None:
    gateway.system.create("i")
    refused = await gateway.call("PATCH", "/instances/i", 400, **body)
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert says in refused["error"]["message"]
    assert not [asked for asked in gateway.system.asked if isinstance(asked, UpdateInstance)]


async def test_what_the_owner_says_of_a_change_is_answered(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.refusal = TaskpathError(ErrorCode.CONFLICT, "The instance is running.")
    for method, path, body in (
        ("PATCH", "/instances/i", {"name": "n"}),
        ("PUT", "/instances/i/tasks/%23.list/contextUpdaters", {"updaters": []}),
    ):
        refused = await gateway.call(method, path, 409, **body)
        assert refused["error"] == {"code": "CONFLICT", "message": "The instance is running."}
    unknown = await gateway.call("PATCH", "/instances/none", 409, name="n")
    assert unknown["error"]["code"] == "CONFLICT"


async def test_context_updaters_are_replaced_over_both_doors(gateway: Running) -> None:
    gateway.system.create("i")
    address = "/instances/i/tasks/%23.list/contextUpdaters"
    assert await gateway.call("PUT", address, updaters=[{"a": {"$set": 1}}]) == {"revision": 1}
    async with gateway.client() as client:
        await client.send(
            "setContextUpdaters", id="i", taskPath="#.list", updaters=[], idempotencyKey="k", requestId=1
        )
        assert await client.next() == {"type": "ack", "requestId": 1, "revision": 1}
        await client.send("setContextUpdaters", id="i", taskPath="#.list", updaters=[{"$x": 1}], requestId=2)
        refused = await client.next()
    assert (refused["type"], refused["requestId"]) == ("appError", 2)
    assert "`updaters[0]` is no updater: $x at # is no command" in refused["error"]["message"]
    first, second = await gateway.system.heard(SetContextUpdaters, 2)
    assert first == SetContextUpdaters(id="i", path="#.list", updaters=Inline('[{"a": {"$set": 1}}]'))
    assert (second.updaters, second.key) == (Inline("[]"), "k")
    assert second.digest


@pytest.mark.parametrize(
    ("path", "updaters", "code", "says"),
    [
        ("%23.list", {"$set": 1}, "INVALID_REQUEST", "a list of updaters is expected"),
        ("%23.list", None, "INVALID_REQUEST", "a list of updaters is expected"),
        ("%23.list", [{}, 5], "INVALID_REQUEST", "`updaters[1]` is no updater"),
        ("%23.resize%5B*%5D", [], "INVALID_PATH", "one task is expected"),
        ("list", [], "INVALID_PATH", "begins with #"),
    ],
)
async def test_bad_updaters_are_refused(
    gateway: Running, path: str, updaters: Any, code: str, says: str
) -> None:
    gateway.system.create("i")
    refused = await gateway.call("PUT", f"/instances/i/tasks/{path}/contextUpdaters", 400, updaters=updaters)
    assert refused["error"]["code"] == code
    assert says in refused["error"]["message"]


async def test_a_realm_is_deleted_page_by_page_and_nothing_else(gateway: Running) -> None:
    for number in range(450):
        gateway.system.create(f"i{number}", realm="a/b c", created_at=number)
    gateway.system.create("other")
    assert await gateway.call("DELETE", "/realms/nobody/instances") == {"deleted": 0}
    assert await gateway.call("DELETE", "/realms/a%2Fb%20c/instances") == {"deleted": 450}
    assert list(gateway.system.instances) == ["other"]
    assert len(await gateway.system.heard(Delete, 450)) == 450
    refused = await gateway.call("DELETE", f"/realms/{'r' * 201}/instances", 400)
    assert "201 characters" in refused["error"]["message"]


async def test_a_tombstone_tells_how_an_ephemeral_instance_ended(gateway: Running) -> None:
    gateway.system.create("i", ephemeral=True)
    gateway.system.delete("i", DONE)
    assert await gateway.call("GET", "/instances/i?minRevision=3&paths=%23.list") == {
        "id": "i",
        "status": "done",
        "deleted": True,
    }
    refused = await gateway.call("GET", "/instances/i/tasks/%23.list", 404)
    assert refused["error"]["code"] == "UNKNOWN_INSTANCE"
    assert "ended done" in refused["error"]["message"]
    async with gateway.client() as client:
        await client.send("watchWorkflowInstance", id="i", requestId=1)
        assert await client.next() == {"type": "ack", "requestId": 1}
        assert await client.next() == {"type": "instanceDeleted", "id": "i", "status": "done"}


async def test_a_watcher_sees_how_an_ephemeral_instance_ends_even_if_it_is_gone_at_once(
    gateway: Running,
) -> None:
    gateway.system.create("i", ephemeral=True, status=WORKING)
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.change("i", TaskChange(path="#.list", status=TaskStatus.OK), status=DONE)
        gateway.system.delete("i", DONE)
        _, status, gone = await client.of("setTasksStatuses", "setWorkflowStatus", "instanceDeleted")
        assert (status["status"], gone["status"]) == ("done", "done")
        await client.silent()


async def test_a_change_of_the_tree_shows_as_a_new_description(gateway: Running) -> None:
    gateway.system.create("i")
    plan = Plan(tasks=(TaskSpec(name="list"), TaskSpec(name="new")))
    async with gateway.client() as client:
        await client.watch("i")
        gateway.system.change("i", removed=("#.resize", "#.publish"), plan=plan)
        resync, described, statuses, status = await client.of(
            "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"
        )
        assert resync["reason"] == "the tree has changed"
        assert [task["name"] for task in described["tasks"]] == ["list", "new"]
        assert set(statuses["statuses"]) == {"#.list", "#.new"}
        assert status["revision"] == 2
    gateway.clock.move(LINGER + 20)
    await gateway.pass_time(0.1)
    async with gateway.client() as client:
        await client.send("watchWorkflowInstance", id="i", since=1)
        await client.of("ack", "resync", "workflowDescription", "setTasksStatuses", "setWorkflowStatus")
        _, statuses, _ = await client.watch("i", since=2)
        assert statuses["statuses"] == {}


async def test_a_task_shows_the_context_that_it_sees_and_a_joined_result(gateway: Running) -> None:
    gateway.system.create("i")
    joined = Joined("#.publish", "dict", 2, version=3)
    gateway.system.blobs[joined] = '{"cdn":1,"mail":[2]}'
    gateway.system.contexts["i", "#.publish"] = Inline('{"x": 1}')
    gateway.system.change("i", TaskChange(path="#.publish", status=TaskStatus.OK, body=joined))
    shown = await gateway.call("GET", "/instances/i/tasks/%23.publish")
    assert (shown["context"], shown["body"]) == ({"x": 1}, {"cdn": 1, "mail": [2]})
    async with gateway.http.get("/api/v1/instances/i/tasks/%23.publish/result") as response:
        assert await response.text() == '{"cdn":1,"mail":[2]}'
    large = Blob("#.list", "context", 1, 2_000_000)
    gateway.system.contexts["i", "#.list"] = large
    shown = await gateway.call("GET", "/instances/i/tasks/%23.list")
    assert shown["context"]["size"] == 2_000_000


async def test_names_with_braces_and_slashes_are_names(gateway: Running) -> None:
    gateway.system.create("i", Plan(tasks=(TaskSpec(name="a{b}/c%"),)))
    shown = await gateway.call("GET", "/instances/i/tasks/%23.a%7Bb%7D%2Fc%25")
    assert shown["path"] == "#.a{b}/c%"
