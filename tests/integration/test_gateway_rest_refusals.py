"""What the REST interface of a real gateway refuses, and in which words."""

from __future__ import annotations

import pytest

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.commands import CreateInstance
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.queries import InstancesPage, ListInstances
from taskpath_proto.records import (
    TaskStatus,
)
from taskpath_services.gateway import commands
from taskpath_services.gateway.service import GatewayService
from tests.support.gateway import Running, running

OK, FAILED = TaskStatus.OK, TaskStatus.FAILED


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "JSON"),
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"workflow":"album","wrong":1}', "`wrong`"),
        (b'{"workflow":"album","wrong":1}', "baseContext"),
        (b'{"data":1}', "`workflow`"),
        (b'{"workflow":7}', "str"),
        (b'{"workflow":"a.b"}', "workflow's name"),
        (b'{"workflow":"album","data":NaN}', "JSON"),
        (b'{"workflow":"album","data":-Infinity}', "JSON"),
        (b'{"workflow":"album","data":[1e400]}', "range"),
        (b'{"workflow":"album","data":"\xff"}', "UTF-8"),
        (b'{"workflow":"album","data":"\\ud800"}', ""),
        (b'{"workflow":"album","data":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "deep"),
        (b'{"workflow":"album","workflow":"album"}', "twice"),
        (b'{"workflow":"album","baseContext":[]}', "object"),
        (b'{"workflow":"album","baseContext":null}', "object"),
        (b'{"workflow":"album","realm":""}', "realm"),
        (b'{"workflow":"album","execute":1}', "bool"),
        (b'{"workflow":"album","argument":1}', "execute"),
    ],
)
async def test_a_bad_body_is_refused_in_one_sentence(gateway: Running, text: bytes, says: str) -> None:
    headers = {"Content-Type": "application/json"}
    async with gateway.http.post("/api/v1/instances", data=text, headers=headers) as response:
        error = (await response.json())["error"]
        assert response.status == 400
    assert error["code"] == "INVALID_REQUEST"
    assert says.lower() in error["message"].lower()
    assert not [body for body in gateway.system.asked if isinstance(body, CreateInstance)]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/instances?limit=0", 400, "INVALID_REQUEST"),
        ("GET", f"/instances?createdAfter={-(10**20)}", 400, "INVALID_REQUEST"),
        ("GET", "/instances?limit=201", 400, "INVALID_REQUEST"),
        ("GET", "/instances?limit=ten", 400, "INVALID_REQUEST"),
        ("GET", "/instances?limit=5&limit=6", 400, "INVALID_REQUEST"),
        ("GET", "/instances?color=red", 400, "INVALID_REQUEST"),
        ("GET", "/instances?status=busy", 400, "INVALID_REQUEST"),
        ("GET", "/instances/i?minRevision=-1", 400, "INVALID_REQUEST"),
        ("GET", "/instances/i?paths=list", 400, "INVALID_PATH"),
        ("GET", "/instances/none", 404, "UNKNOWN_INSTANCE"),
        ("DELETE", "/instances/none", 404, "UNKNOWN_INSTANCE"),
        ("POST", "/instances/none/execute", 404, "UNKNOWN_INSTANCE"),
        ("GET", "/instances/i/tasks/list", 400, "INVALID_PATH"),
        ("GET", "/instances/i/tasks/%23.resize%5B*%5D", 400, "INVALID_PATH"),
        ("GET", "/instances/i/tasks/%23.nowhere", 404, "CANNOT_FIND_TASK"),
        ("GET", "/instances/i/tasks/%23.list/logs?limit=0", 400, "INVALID_REQUEST"),
        ("GET", "/nothing", 404, "INVALID_REQUEST"),
        ("PUT", "/instances", 405, "INVALID_REQUEST"),
    ],
)
async def test_bad_addresses_and_parameters(
    gateway: Running, method: str, path: str, status: int, code: str
) -> None:
    gateway.system.create("i")
    refused = await gateway.call(method, path, status)
    assert refused["error"]["code"] == code
    assert refused["error"]["message"].endswith(".")


async def test_only_json_is_taken(gateway: Running) -> None:
    async with gateway.http.post("/api/v1/instances", data=b'{"workflow":"album"}') as response:
        assert response.status == 400
        assert "application/json" in (await response.json())["error"]["message"]


async def test_a_body_over_the_limit_is_too_large() -> None:
    async with running(max_body=2_000) as gateway:
        refused = await gateway.call("POST", "/instances", 413, workflow="album", data="x" * 2_000)
        assert refused["error"]["code"] == "TOO_LARGE"
    async with running(max_value=1_024) as gateway:
        refused = await gateway.call("POST", "/instances", 413, workflow="album", data="x" * 2_000)
        assert "1024" in refused["error"]["message"]


async def test_what_the_owner_refuses_is_told_without_a_trace(gateway: Running) -> None:
    gateway.system.create("i")
    info = ErrorInfo(
        ErrorCode.SCHEDULER_ERROR, "bad generator", path="#.x", type="E", traceback="secret", details={"a": 1}
    )
    gateway.system.refusal = TaskpathError.of(info)
    refused = await gateway.call("POST", "/instances/i/execute", 422)
    assert refused == {
        "error": {"code": "SCHEDULER_ERROR", "message": "bad generator", "path": "#.x", "details": {"a": 1}}
    }


async def test_silence_is_answered_with_503(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "COMMAND_SECONDS", 0.05)
    gateway.system.create("i")
    gateway.system.mute = True
    async with gateway.http.post("/api/v1/instances/i/cancel") as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "1"
        assert (await response.json())["error"]["code"] == "UNAVAILABLE"


async def test_a_fault_of_ours_shows_nothing_of_it(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(query: ListInstances, timeout: float | None = None) -> InstancesPage:
        raise ValueError("internal")

    monkeypatch.setattr(gateway.gateway._reads, "instances", fails)
    async with gateway.http.get("/api/v1/instances") as response:
        text = await response.text()
        assert response.status == 503
    assert "internal" not in text
    assert "Traceback" not in text


async def test_foreign_hosts_and_origins_are_refused_and_allowed_ones_served() -> None:
    async with running(allowed_origins="http://app.example:3000") as gateway:
        own = gateway.gateway.url
        for path in ("/api/v1/instances", "/", "/healthz", "/api/v1/nothing"):
            for headers in (
                {"Host": "evil.example"},
                {"Host": "127.0.0.1.evil.example"},
                {"Origin": "http://evil.example"},
                {"Origin": "http://127.0.0.1:1"},
                {"Origin": "null"},
            ):
                async with gateway.http.get(path, headers=headers) as response:
                    assert response.status == 403, (path, headers)
                    assert (await response.json())["error"]["code"] == "FORBIDDEN"
        for headers in ({"Origin": own}, {"Host": "localhost"}, {"Host": "[::1]:8080"}):
            async with gateway.http.get("/api/v1/instances", headers=headers) as response:
                assert response.status == 200, headers
        origin = {"Origin": "http://app.example:3000"}
        for path, status in (("/api/v1/instances", 200), ("/api/v1/instances/none", 404)):
            async with gateway.http.get(path, headers=origin) as response:
                assert response.status == status
                assert response.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        async with gateway.http.options("/api/v1/instances", headers=origin) as response:
            assert response.status == 204
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
        async with gateway.http.options(
            "/api/v1/instances", headers={"Origin": "http://x.example"}
        ) as response:
            assert response.status == 403


@pytest.mark.parametrize("flags", [{"host": "0.0.0.0"}, {"host": "192.168.1.5"}, {"auth_secret": "s" * 40}])
async def test_without_authentication_it_serves_its_own_machine_only(flags: dict[str, str]) -> None:
    bus = MemoryBus()
    gateway = GatewayService(bus, ManualClock(), Settings.read({}, port=0, **flags))
    with pytest.raises(SettingsError) as wrong:
        await gateway.start()
    assert "TASKPATH_" in str(wrong.value)
    assert "ssss" not in str(wrong.value)
