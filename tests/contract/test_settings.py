"""Settings, row by row: what each does, and what a wrong value leads to."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from taskpath.runtime.settings import Settings, SettingsError
from tests.contract.conftest import APP, Start
from tests.contract.world import World
from tests.support.command import begin, taskpath, up

ECHO = {"name": "a", "do": "echo"}


def wrong(name: str, value: str) -> str:
    """What is said of a wrong value in the environment."""
    with pytest.raises(SettingsError) as raised:
        Settings.read({name: value})
    return str(raised.value)


@pytest.mark.contract("settings.flags")
def test_flags_go_before_the_environment() -> None:
    environ = {"TASKPATH_PORT": "1234", "TASKPATH_GRACE": "2.5"}
    assert (Settings.read(environ).port, Settings.read(environ).grace) == (1234, 2.5)
    assert Settings.read(environ, port="4321").port == 4321
    assert Settings.read({"TASKPATH_PORT": ""}).port == 8080


@pytest.mark.contract("settings.broker", "settings.records", "settings.index")
def test_addresses_of_servers() -> None:
    for name, good, bad in (
        (
            "TASKPATH_BROKER",
            ("memory://", "amqp://host", "amqps://user:secret@host/vhost"),
            ("http://x", "amqp"),
        ),
        (
            "TASKPATH_RECORDS",
            ("sqlite:///file", "redis://host", "rediss://host", "dynamodb://table?region=r&endpoint=e"),
            ("mysql://host", "file"),
        ),
        ("TASKPATH_INDEX", ("sqlite:///file", "mysql://host/db"), ("redis://host", "postgres://host")),
    ):
        for value in good:
            assert getattr(Settings.read({name: value}), name.removeprefix("TASKPATH_").lower()) == value
        for value in bad:
            said = wrong(name, value)
            assert name in said
            assert repr(value) in said
            assert good[-1].partition("://")[0] in said or good[0].partition("://")[0] in said
    assert "secret" not in wrong("TASKPATH_BROKER", "ftp://user:secret@host")


@pytest.mark.embedded
@pytest.mark.contract("settings.records", "settings.index")
async def test_records_and_index_may_be_elsewhere(start: Start, tmp_path: Path) -> None:
    records, index = tmp_path / "r.sqlite", tmp_path / "i.sqlite"
    system = await start(records=f"sqlite:///{records}", index=f"sqlite:///{index}")
    assert (await system.run([ECHO]))["status"] == "done"
    assert records.is_file()
    assert index.is_file()


@pytest.mark.contract("settings.partitions")
async def test_partitions(start: Start) -> None:
    system = await start(partitions=1)
    for _ in range(5):
        assert (await system.run([ECHO]))["status"] == "done"
    for value in ("0", "1025", "four"):
        assert "TASKPATH_PARTITIONS" in wrong("TASKPATH_PARTITIONS", value)


@pytest.mark.contract("settings.concurrency")
async def test_concurrency(start: Start) -> None:
    system = await start(concurrency=2)
    group = {"name": "g", "subtasks": [system.hold(f"t{number}") for number in range(5)]}
    id = (await system.create([group]))["id"]
    async with system.socket() as socket:
        await socket.watch(id)
        await system.start(id)
        states: dict[str, str] = {}
        while list(states.values()).count("running") < 3:
            packet = await socket.until("setTasksStatuses")
            states |= {path: state["status"] for path, state in packet["statuses"].items()}
    assert states["#.g"] == "running"
    held = [path for path, status in states.items() if status == "running" and path != "#.g"]
    assert len(held) == 2
    assert len(list(system.folder.glob("held *"))) == 2
    system.go()
    assert (await system.ended(id))["status"] == "done"


@pytest.mark.contract("settings.host-port")
async def test_health_and_metrics_are_where_the_gateway_listens(tmp_path: Path) -> None:
    assert (Settings().host, Settings().port) == ("127.0.0.1", 8080)
    async with up(APP, tmp_path / "data") as (url, _):
        world = await taskpath("ls", "--json", "--url", url.replace("127.0.0.1", "localhost"))
        assert json.loads(world.out) == {"items": [], "nextCursor": None}


@pytest.mark.contract("settings.origins", "settings.foreign")
async def test_allowed_origins(start: Start) -> None:
    system = await start(allowed_origins="https://app.example,http://other.example:3000")
    for origin in ("https://app.example", "http://other.example:3000"):
        async with system.http.get("/api/v1/instances", headers={"Origin": origin}) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == origin
        async with system.http.ws_connect("/ws", headers={"Origin": origin}) as socket:
            assert json.loads(await socket.receive_str())["type"] == "hello"
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        answer = await system.call("GET", "/instances", 403, headers=headers)
        assert answer["error"]["code"] == "FORBIDDEN"


@pytest.mark.contract("settings.grace")
async def test_a_drain_waits_for_what_runs_and_no_longer_than_the_grace(tmp_path: Path) -> None:
    data = json.dumps([{"name": "wait", "do": "hold", "folder": str(tmp_path)}])
    for grace, finishes in (("30", True), ("0", False)):
        (tmp_path / "go").unlink(missing_ok=True)
        environ = {"TASKPATH_GRACE": grace}
        server = await begin("up", str(APP), "--port", "0", "--data", str(tmp_path / grace), environ=environ)
        assert server.stdout is not None
        async for line in server.stdout:
            if b"web page" in line:
                url = line.split()[-1].decode().rstrip("/")
                break
        watch = await begin("run", "tree", "--data", data, "--url", url)
        assert watch.stdout is not None
        async for line in watch.stdout:
            if b"#.wait running" in line:
                break
        server.send_signal(signal.SIGTERM)
        if finishes:
            assert server.stderr is not None
            while b"stopping" not in await server.stderr.readline():
                pass
            assert server.returncode is None
            (tmp_path / "go").touch()
        await asyncio.wait_for(server.communicate(), 20)
        assert server.returncode == 0
        watch.send_signal(signal.SIGINT)
        await watch.communicate()
        async with up(APP, tmp_path / grace) as (url, _):
            (tmp_path / "go").touch()
            (instance,) = json.loads((await taskpath("ls", "--json", "--url", url)).out)["items"]
            assert (await taskpath("watch", instance["id"], "--url", url)).code == 0


@pytest.mark.contract("settings.lease")
def test_the_lease_is_a_number_of_seconds() -> None:
    assert Settings.read({"TASKPATH_LEASE": "2.5"}).lease == 2.5
    for value in ("long", "-1", "nan", "100000"):
        assert "seconds" in wrong("TASKPATH_LEASE", value)


@pytest.mark.contract("settings.max-body")
async def test_the_largest_body(start: Start) -> None:
    assert Settings().max_body == 8 * 1024 * 1024
    system = await start(max_body=2_000)
    await system.call("POST", "/instances", 201, {"workflow": "tree", "data": [ECHO]})
    body = {"workflow": "tree", "data": [ECHO], "name": "n" * 150, "baseContext": {"x": "x" * 2_000}}
    await system.refused("POST", "/instances", 413, "TOO_LARGE", body)


@pytest.mark.contract("settings.wrong")
async def test_a_wrong_value_stops_the_start(tmp_path: Path) -> None:
    secret = "a secret that is too short"
    for name, value, expected in (
        ("TASKPATH_PORT", "eighty", "a whole number from 0 to 65535"),
        ("TASKPATH_GRACE", "soon", "a number of seconds"),
        ("TASKPATH_MAX_BODY", "8 MiB", "a whole number"),
        ("TASKPATH_AUTH_SECRET", secret, "at least 32 bytes"),
    ):
        said = await taskpath("up", str(APP), "--data", str(tmp_path / "data"), environ={name: value})
        assert (said.code, said.out) == (2, "")
        assert name in said.err
        assert expected in said.err
        assert (value in said.err) == (value != secret)
    assert not (tmp_path / "data").exists()


@pytest.mark.contract("settings.loopback", "settings.wrong")
async def test_without_authentication_only_loopback(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "example.com"):
        said = await taskpath("up", str(APP), "--data", str(tmp_path), "--host", host, "--port", "0")
        assert said.code == 2
        assert "TASKPATH_HOST" in said.err
        assert host in said.err


@pytest.mark.contract("settings.folder")
async def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    async with up(APP, tmp_path):
        said = await taskpath("up", str(APP), "--data", str(tmp_path), "--port", "0")
        assert said.code == 2
        assert "TASKPATH_DATA" in said.err
        assert "another server" in said.err


@pytest.mark.contract("settings.content-type")
async def test_bodies_are_json_by_name(system: World) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await system.call(
            "POST", "/instances", 400, raw=b'{"workflow":"tree"}', headers={"Content-Type": kind}
        )
        assert "application/json is expected" in answer["error"]["message"]
    headers = {"Content-Type": "application/json; charset=utf-8"}
    await system.call("POST", "/instances", 201, raw=b'{"workflow":"tree","data":[]}', headers=headers)
