"""The client against a real HTTP server that behaves as a gateway does, or as a network does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from taskpath.client import Client, SetTasksStatuses, SetWorkflowStatus, TaskLogs, TaskpathError
from taskpath_proto.records import InstanceStatus

PROGRESS = {"total": 1, "done": 0, "failed": 0, "running": 0, "fraction": 0.0}
DOCUMENT: dict[str, Any] = {
    "id": "i1",
    "workflow": "album",
    "realm": "default",
    "name": None,
    "data": {"n": 1},
    "baseContext": {},
    "ephemeral": False,
    "revision": 3,
    "status": "working",
    "progress": PROGRESS,
    "createdAt": 1,
    "updatedAt": 1,
    "startedAt": 1,
    "finishedAt": None,
    "tasks": [],
    "statuses": {},
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """A server whose answers a test writes."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[Any] = []
        self.answers: list[Answer] = []
        self.talks: list[Callable[[web.WebSocketResponse, dict[str, Any]], Awaitable[None]]] = []
        self.watched: list[dict[str, Any]] = []
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        text = await request.text()
        self.bodies.append(json.loads(text) if text else None)
        return await self.answers.pop(0)(request)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("taskpath",))
        await socket.prepare(request)
        await say(socket, type="hello", version=1, session="s")
        frame = await socket.receive()
        if frame.type is WSMsgType.TEXT:
            self.watched.append(json.loads(frame.data))
            await self.talks.pop(0)(socket, self.watched[-1])
        return socket


async def say(socket: web.WebSocketResponse, **packet: Any) -> None:
    await socket.send_str(json.dumps(packet))


async def say_status(
    socket: web.WebSocketResponse, revision: int, status: str, base: int = 0, **more: Any
) -> None:
    await say(
        socket, type="setWorkflowStatus", id="i1", revision=revision, baseRevision=base, status=status,
        progress=PROGRESS, **more,
    )  # fmt: skip


def answer(status: int = 200, body: Any = None, **headers: str) -> Answer:
    async def give(request: web.Request) -> web.Response:
        return web.json_response(
            body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return give


def refuse(status: int, code: str, **more: Any) -> Answer:
    return answer(status, {"error": {"code": code, "message": "No.", **more}})


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{gateway.port}", "secret-token") as client:
        yield client


async def test_what_is_asked_and_what_comes_back(gateway: Gateway, client: Client) -> None:
    gateway.answers = [answer(201, DOCUMENT)]
    instance = await client.create("album", {"n": 1}, name="sea", execute=True, argument=None)
    assert instance.data == {"n": 1}
    assert instance.status is InstanceStatus.WORKING
    assert not instance.deleted
    assert gateway.bodies == [
        {"workflow": "album", "data": {"n": 1}, "name": "sea", "execute": True, "argument": None}
    ]
    assert gateway.asked[0].headers["Authorization"] == "Bearer secret-token"


async def test_a_read_asks_for_what_was_written(gateway: Gateway, client: Client) -> None:
    task = {"path": "#.a[0]", "revision": 7, "status": "ok", "stale": False, "body": [1]}
    gateway.answers = [
        answer(200, DOCUMENT), answer(202, {"revision": 9}), answer(200, DOCUMENT), answer(200, task),
        answer(200, {"lines": [], "next": 4}), answer(200, DOCUMENT),
    ]  # fmt: skip
    await client.get("i1")
    assert await client.execute("i1", "#.a", mode="failed") == 9
    await client.get("i1")
    assert (await client.task("i1", "#.a[0]")).body == [1]
    assert (await client.logs("i1", "#.a[0]", after=2)).next == 4
    await client.get("other")
    assert [request.query.get("minRevision") for request in gateway.asked] == [
        None,
        None,
        "9",
        "9",
        "9",
        None,
    ]
    assert gateway.asked[3].raw_path.startswith("/api/v1/instances/i1/tasks/%23.a%5B0%5D?")
    assert gateway.bodies[1] == {"path": "#.a", "mode": "failed", "upstream": "require"}


async def test_a_create_whose_answer_is_lost_is_repeated_with_the_same_key(
    gateway: Gateway, client: Client
) -> None:
    gateway.answers = [hang_up, answer(201, DOCUMENT), answer(201, DOCUMENT)]
    await client.create("album")
    await client.create("album")
    keys = [request.headers["Idempotency-Key"] for request in gateway.asked]
    assert keys[0] == keys[1] != keys[2]


async def test_a_delete_whose_answer_is_lost_is_done(gateway: Gateway, client: Client) -> None:
    gateway.answers = [hang_up, refuse(404, "UNKNOWN_INSTANCE"), refuse(404, "UNKNOWN_INSTANCE")]
    await client.delete("i1")
    with pytest.raises(TaskpathError, match="No"):
        await client.delete("i1")


async def test_a_gateway_that_is_away_for_a_moment_is_waited_for(gateway: Gateway, client: Client) -> None:
    gateway.answers = [refuse(503, "UNAVAILABLE"), hang_up, answer(200, {"items": [], "nextCursor": None})]
    assert (await client.list(status="done", limit=5)).items == []
    assert dict(gateway.asked[2].query) == {"status": "done", "limit": "5"}


async def test_errors_have_codes(gateway: Gateway, client: Client) -> None:
    gateway.answers = [
        refuse(409, "CANNOT_START_TASK", path="#.a"), refuse(503, "NO_EXECUTOR"), answer(404, "not found"),
    ]  # fmt: skip
    with pytest.raises(TaskpathError) as caught:
        await client.execute("i1")
    assert (caught.value.code, caught.value.info.path) == ("CANNOT_START_TASK", "#.a")
    with pytest.raises(TaskpathError) as caught:
        await client.create("album")
    assert caught.value.code == "NO_EXECUTOR"
    with pytest.raises(TaskpathError, match="is no Taskpath gateway: it answers with 404"):
        await client.get("i1")


async def test_no_gateway_is_said_in_one_sentence(gateway: Gateway) -> None:
    await gateway.stop()
    async with Client(f"http://127.0.0.1:{gateway.port}", patience=0) as client:
        with pytest.raises(
            TaskpathError, match=r"^No gateway answers at http://127.0.0.1:\d+ \(connection refused\)"
        ):
            await client.get("i1")
        with pytest.raises(TaskpathError, match="No gateway answers"):
            await anext(client.watch("i1"))


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http://x:99999"])
def test_what_is_no_address_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKPATH_URL", "nonsense")
    with pytest.raises(TaskpathError, match="is no address"):
        Client(url)


@pytest.mark.parametrize("given", ["http://x/jobs", "http://x/jobs/", "http://x/jobs/api/v1"])
def test_an_address_may_end_in_whatever_people_copy(given: str) -> None:
    assert Client(given).url == "http://x/jobs"


async def test_a_result_is_decoded_to_a_type(gateway: Gateway, client: Client) -> None:
    class Photo(msgspec.Struct):
        id: int

    gateway.answers = [answer(200, {"id": 3}), answer(200, {"id": 3}), answer(200, {"id": "x"})]
    assert await client.result("i1", "#.a") == {"id": 3}
    assert (await client.result("i1", "#.a", Photo)).id == 3
    with pytest.raises(msgspec.ValidationError):
        await client.result("i1", "#.a", Photo)


async def test_a_watch_ends_when_the_instance_has(gateway: Gateway, client: Client) -> None:
    async def talk(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say(socket, type="ack", requestId=asked["requestId"], revision=4)
        await say(socket, type="somethingNew", id="i1")
        await say(socket, type="setTasksStatuses", id="i1", revision=4, baseRevision=0, more=True, statuses={
            "#.a": {"status": "ok", "stale": False, "executionTime": 1, "duration": 2, "attempt": 1}
        })  # fmt: skip
        await say_status(socket, 4, "done", more=True)
        await say(socket, type="setTasksStatuses", id="i1", revision=4, baseRevision=0, statuses={})
        await socket.receive()

    gateway.talks = [talk]
    kinds = [type(change) async for change in client.watch("i1", ["#.a"], since=1)]
    assert kinds == [SetTasksStatuses, SetWorkflowStatus, SetTasksStatuses]
    [asked] = gateway.watched
    assert (asked["since"], asked["paths"]) == (1, ["#.a"])


async def test_an_end_from_before_the_own_write_is_not_the_end(gateway: Gateway, client: Client) -> None:
    async def talk(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        for revision, status in ((8, "done"), (9, "working"), (10, "failed")):
            await say_status(socket, revision, status)
        await socket.receive()

    gateway.answers = [answer(202, {"revision": 9})]
    gateway.talks = [talk]
    await client.execute("i1")
    changes = [change async for change in client.watch("i1")]
    assert [change.status for change in changes if isinstance(change, SetWorkflowStatus)] == [
        "done", "working", "failed",
    ]  # fmt: skip


async def test_a_lost_connection_goes_on_from_where_it_was(gateway: Gateway, client: Client) -> None:
    line = {"time": 1, "level": "info", "text": "hello", "attempt": 1}

    async def first(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say(socket, type="taskLogs", id="i1", taskPath="#.a", lines=[line], next=6)
        await say_status(socket, 4, "working")
        await say_status(socket, 5, "working", base=4, more=True)
        await socket.close(code=WSCloseCode.GOING_AWAY)

    async def second(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 6, "done", base=4)
        await socket.receive()

    gateway.talks = [first, second]
    # It was over before the lines that were missed had come: they are read.
    gateway.answers = [answer(200, {"lines": [line], "next": 7}), answer(200, {"lines": [], "next": 7})]
    heard: list[bool] = []
    changes = [
        change
        async for change in client.watch(
            "i1", logs=True, on_connection=lambda error: heard.append(error is None)
        )
    ]
    assert isinstance(changes[0], TaskLogs)
    assert [asked.get("since") for asked in gateway.watched] == [None, 4]
    assert gateway.watched[1]["logsSince"] == {"#.a": 6}
    assert heard == [False, True]
    assert [request.query["after"] for request in gateway.asked] == ["6", "7"]
    assert isinstance(changes[-1], TaskLogs)
    assert changes[-1].next == 7


async def test_a_watch_survives_a_restart_of_the_gateway(gateway: Gateway, client: Client) -> None:
    lost = asyncio.Event()

    async def first(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 4, "working")
        await socket.receive()

    async def second(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 5, "done", base=4)
        await socket.receive()

    gateway.talks = [first, second]
    changes = client.watch("i1", on_connection=lambda error: lost.set() if error else None)
    await anext(changes)
    restart = asyncio.ensure_future(_restart(gateway, lost))
    assert [change async for change in changes]
    await restart
    assert gateway.watched[1]["since"] == 4


async def _restart(gateway: Gateway, lost: asyncio.Event) -> None:
    await gateway.stop()
    await lost.wait()
    await gateway.start()


async def test_a_silent_socket_is_given_up(gateway: Gateway, client: Client) -> None:
    async def silent(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 4, "working")
        await socket.receive()

    async def second(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 5, "done", base=4)
        await socket.receive()

    gateway.talks = [silent, second]
    assert len([change async for change in client.watch("i1", silence=0.05)]) == 2
    assert gateway.watched[1]["since"] == 4


async def test_a_gap_is_closed_by_watching_anew(gateway: Gateway, client: Client) -> None:
    async def first(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 4, "working")
        await say_status(socket, 7, "done", base=6)
        await socket.receive()

    async def second(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say(socket, type="resync", id="i1", reason="too old")
        await say_status(socket, 7, "done")
        await socket.receive()

    gateway.talks = [first, second]
    kinds = [type(change).__name__ async for change in client.watch("i1")]
    assert kinds == ["SetWorkflowStatus", "Resync", "SetWorkflowStatus"]


async def test_refusals_end_a_watch(gateway: Gateway, client: Client) -> None:
    async def unknown(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        error = {"code": "UNKNOWN_INSTANCE", "message": "There is no instance i1."}
        await say(socket, type="appError", requestId=asked["requestId"], error=error)
        await socket.receive()

    async def unauthenticated(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await socket.close(code=4401)

    gateway.talks = [unknown, unauthenticated]
    for code in ("UNKNOWN_INSTANCE", "UNAUTHENTICATED"):
        with pytest.raises(TaskpathError) as caught:
            await anext(client.watch("i1"))
        assert caught.value.code == code


async def test_waiting_returns_the_instance_as_it_ended(gateway: Gateway, client: Client) -> None:
    async def talk(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        assert asked["paths"] == ["#"]
        await say_status(socket, 12, "done")
        await socket.receive()

    gateway.talks = [talk]
    gateway.answers = [answer(200, DOCUMENT), answer(200, {**DOCUMENT, "status": "done"})]
    assert (await client.wait("i1", timeout=5)).status is InstanceStatus.DONE
    assert gateway.asked[0].query["paths"] == "#"
    assert gateway.asked[1].query["minRevision"] == "12"
    gateway.talks = [_nothing]
    gateway.answers = [answer(200, DOCUMENT)]
    with pytest.raises(TimeoutError):
        await client.wait("i1", timeout=0.05)


@pytest.mark.parametrize("status", ["done", "inactive"])
async def test_what_is_at_rest_already_is_not_watched(gateway: Gateway, client: Client, status: str) -> None:
    gateway.answers = [answer(200, {**DOCUMENT, "status": status})] * 2
    assert (await client.wait("i1", timeout=5)).status == status
    assert gateway.watched == []


async def test_a_watch_of_what_was_run_in_part_by_somebody_else_ends_at_once(
    gateway: Gateway, client: Client
) -> None:
    async def talk(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
        await say_status(socket, 3, "inactive")
        await socket.receive()

    gateway.talks = [talk]
    gateway.answers = [answer(200, {**DOCUMENT, "status": "inactive"})]
    await client.get("i1")
    seen = [change async for change in client.watch("i1")]
    assert [change.status for change in seen if isinstance(change, SetWorkflowStatus)] == ["inactive"]


async def test_changes_are_sent_as_the_contract_says(gateway: Gateway, client: Client) -> None:
    gateway.answers = [
        answer(200, {"revision": 7}), answer(200, {"revision": 8}), answer(200, {"revision": 9}),
        answer(200, {"deleted": 3}), answer(200, DOCUMENT),
    ]  # fmt: skip
    assert await client.update("i1", {"n": {"$set": 2}}) == 7
    assert await client.update("i1", name=None) == 8
    assert await client.set_context_updaters("i1", "#.a", [{"$set": {}}]) == 9
    assert await client.delete_realm("a/b") == 3
    await client.get("i1")
    assert [(request.method, request.raw_path.partition("?")[0]) for request in gateway.asked[:4]] == [
        ("PATCH", "/api/v1/instances/i1"),
        ("PATCH", "/api/v1/instances/i1"),
        ("PUT", "/api/v1/instances/i1/tasks/%23.a/contextUpdaters"),
        ("DELETE", "/api/v1/realms/a%2Fb/instances"),
    ]
    assert gateway.bodies[:3] == [{"data": {"n": {"$set": 2}}}, {"name": None}, {"updaters": [{"$set": {}}]}]
    assert gateway.asked[4].query["minRevision"] == "9"


async def test_a_change_of_data_whose_answer_is_lost_is_not_repeated(
    gateway: Gateway, client: Client
) -> None:
    gateway.answers = [hang_up, hang_up, answer(200, {"revision": 8})]
    with pytest.raises(TaskpathError):
        await client.update("i1", {"n": {"$push": [1]}})
    assert await client.set_context_updaters("i1", "#.a", []) == 8
    assert len(gateway.asked) == 3


async def _nothing(socket: web.WebSocketResponse, asked: dict[str, Any]) -> None:
    await socket.receive()


def test_requests_are_counted_only_while_open() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Client("http://127.0.0.1:1").get("i1"))
