"""What a service in a process of its own is told, and what it refuses."""

from __future__ import annotations

import socket

import pytest

from taskpath.runtime.settings import SettingsError
from taskpath_services.cli.service import PORTS, read_settings, serve
from tests.support.command import taskpath

ROLES = ["gateway", "scheduler", "storage", "executor"]
APP = "examples/album/app.py"
OVER = {
    "TASKPATH_BROKER": "amqp://127.0.0.1:1/",
    "TASKPATH_RECORDS": "redis://127.0.0.1:1/0",
    "TASKPATH_INDEX": "mysql://u:p@127.0.0.1:1/taskpath",
}


@pytest.mark.parametrize(
    ("role", "port"), [("gateway", 8080), ("scheduler", 8081), ("storage", 8082), ("executor", 8083)]
)
def test_each_service_has_a_port_of_its_own(role: str, port: int) -> None:
    assert read_settings(role, {}, OVER).port == port
    assert read_settings(role, {"port": None}, {**OVER, "TASKPATH_PORT": ""}).port == port
    assert read_settings(role, {}, {**OVER, "TASKPATH_PORT": "9000"}).port == 9000
    assert read_settings(role, {"port": "0"}, {**OVER, "TASKPATH_PORT": "9000"}).port == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("broker", ["", "memory://"])
def test_a_bus_in_memory_reaches_nobody(role: str, broker: str) -> None:
    with pytest.raises(SettingsError, match=r"^TASKPATH_BROKER is 'memory://', .*expected is .*amqp://"):
        read_settings(role, {}, {**OVER, "TASKPATH_BROKER": broker})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TASKPATH_RECORDS", "", r"TASKPATH_RECORDS is not given; expected is .*redis://"),
        (
            "TASKPATH_RECORDS",
            "sqlite:///r.sqlite",
            r"TASKPATH_RECORDS is 'sqlite:///r.sqlite'; expected is .*redis://",
        ),
        ("TASKPATH_INDEX", "", r"TASKPATH_INDEX is not given; expected is .*mysql://"),
        (
            "TASKPATH_INDEX",
            "sqlite:///i.sqlite",
            r"TASKPATH_INDEX is 'sqlite:///i.sqlite'; expected is .*mysql://",
        ),
    ],
)
def test_storage_wants_stores_that_all_can_reach(name: str, value: str, expected: str) -> None:
    environ = {**OVER, name: value}
    with pytest.raises(SettingsError, match=expected):
        read_settings("storage", {}, environ)
    read_settings("scheduler", {}, environ)  # it touches no store


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TASKPATH_BROKER", "http://u:hidden-word@127.0.0.1"),
        ("TASKPATH_RECORDS", "ftp://u:hidden-word@127.0.0.1"),
        ("TASKPATH_AUTH_SECRET", "hidden-word"),
        ("TASKPATH_PARTITIONS", "none"),
        ("TASKPATH_GRACE", "long"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for one, good in OVER.items():
        monkeypatch.setenv(one, good)
    monkeypatch.setenv(name, value)
    assert serve("storage", None, {}) == 2
    said = capsys.readouterr().err
    assert f"{name} is " in said
    assert "expected is" in said
    assert "hidden-word" not in said


def test_a_gateway_without_authentication_is_not_for_other_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASKPATH_BROKER", OVER["TASKPATH_BROKER"])
    assert serve("gateway", None, {"host": "0.0.0.0"}) == 2
    assert "TASKPATH_HOST" in capsys.readouterr().err


def test_an_executor_wants_its_app(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASKPATH_BROKER", OVER["TASKPATH_BROKER"])
    assert serve("executor", "no-such.py", {}) == 2
    assert "no-such.py" in capsys.readouterr().err


async def test_the_command_says_what_is_wrong_and_ends_with_2() -> None:
    said = await taskpath("scheduler", APP, "--lease", "soon", environ=OVER)
    assert said.code == 2
    assert said.err.startswith("taskpath: TASKPATH_LEASE is 'soon'; expected is ")
    said = await taskpath("executor", environ=OVER)
    assert said.code == 2
    assert "APP" in said.err


@pytest.mark.parametrize("role", ["scheduler", "gateway"])
async def test_a_port_that_is_taken_is_named_though_the_broker_is_away(role: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = await taskpath(role, "--port", port, environ=OVER)
    assert said.code == 2
    assert f"TASKPATH_PORT is '{port}'" in said.err


def test_ports_are_those_of_the_contract() -> None:
    assert PORTS == {"gateway": 8080, "scheduler": 8081, "storage": 8082, "executor": 8083}
