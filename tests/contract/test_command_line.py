"""The command line, row by row: real processes against the running system."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import APP
from tests.contract.world import World
from tests.support import command
from tests.support.command import Said, begin, up

ROOT = Path(__file__).parents[2]
ECHO = {"name": "a", "do": "echo", "log": ["said something"]}
FAIL = {"name": "bad", "do": "fail"}


MODULE = """
from taskpath import App, Task

workflows = App()

@workflows.workflow("w")
def w(data):
    return [Task("t", lambda: 1)]
"""


class Terminal:
    """The command, told where the system is by the environment."""

    def __init__(self, system: World) -> None:
        self.system = system

    async def __call__(self, *arguments: str, code: int = 0) -> Said:
        """Runs it to its end, which is with this code."""
        said = await command.taskpath(*arguments, environ={"TASKPATH_URL": self.system.url})
        assert said.code == code, said
        assert "Traceback" not in said.err
        return said

    async def json(self, *arguments: str, code: int = 0) -> Any:
        """The one document that it prints."""
        (line,) = (await self(*arguments, "--json", code=code)).out.splitlines()
        return json.loads(line)


@pytest.fixture
def taskpath(system: World) -> Terminal:
    return Terminal(system)


@pytest.mark.contract("cli.run", "cli.json-lines")
async def test_run(taskpath: Terminal) -> None:
    data = json.dumps([ECHO, {"name": "b", "do": "value", "value": 5}])
    said = await taskpath("run", "tree", "--data", data, "--name", "n", "--realm", "r", "--logs")
    assert "#.b ok" in said.out
    assert "said something" in said.out
    said = await taskpath("run", "tree", "--data", data, "--argument", '{"x": 1}', "--json")
    *packets, instance = map(json.loads, said.out.splitlines())
    assert {"workflowDescription", "setTasksStatuses", "setWorkflowStatus"} <= {p["type"] for p in packets}
    assert (instance["status"], instance["id"]) == ("done", packets[0]["id"])
    assert (await taskpath.system.task(instance["id"], "#.a"))["argument"] == {"x": 1}
    id = (await taskpath("run", "tree", "--data", data, "--detach")).out.strip()
    assert (await taskpath.system.ended(id))["status"] == "done"


@pytest.mark.contract("cli.exit-codes")
async def test_exit_codes(taskpath: Terminal) -> None:
    await taskpath("run", "tree", "--data", json.dumps([ECHO]), code=0)
    said = await taskpath("run", "tree", "--data", json.dumps([FAIL]), code=1)
    assert "out of paper" in said.out
    for arguments in (
        ["run"], ["fly"], ["run", "tree", "--data", "{"], ["ls", "--limit", "many"], ["run", "nobody"],
        ["ls", "--url", "http://127.0.0.1:9"], ["ls", "--url", "nonsense"], ["show", "none"],
    ):  # fmt: skip
        said = await taskpath(*arguments, code=2)
        assert said.out == ""
        assert said.err


@pytest.mark.contract("cli.watch", "cli.json-lines")
async def test_watch_ends_when_the_instance_has(taskpath: Terminal) -> None:
    system = taskpath.system
    id = (await system.create([system.hold("wait"), ECHO], execute=True))["id"]
    process = await begin("watch", id, "#.wait", "--url", system.url)
    assert process.stdout is not None
    async for line in process.stdout:
        if b"#.wait running" in line:
            break
    system.go()
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert b"#.wait ok" in out
    assert b"#.a" not in out
    *packets, instance = map(json.loads, (await taskpath("watch", id, "--json")).out.splitlines())
    assert packets[-1]["status"] == "done"
    assert instance["id"] == id
    await taskpath("watch", (await system.run([FAIL]))["id"], code=1)


@pytest.mark.contract("cli.watch", "status.inactive")
async def test_watch_ends_when_a_part_has_run(taskpath: Terminal) -> None:
    system = taskpath.system
    id = (await system.create([ECHO, {"name": "b", "do": "echo"}]))["id"]
    said = await taskpath("rerun", id, "#.a", "--watch")
    assert "#.a ok" in said.out
    await taskpath("watch", id)


@pytest.mark.contract("cli.show", "cli.json")
async def test_show(taskpath: Terminal) -> None:
    id = (await taskpath.system.run([ECHO, FAIL], name="the name"))["id"]
    shown = (await taskpath("show", id)).out
    assert "the name" in shown
    assert "bad" in shown
    task = (await taskpath("show", id, "#.bad")).out
    assert "ValueError: out of paper" in task
    assert (await taskpath.json("show", id))["status"] == "failed"
    assert (await taskpath.json("show", id, "#.a"))["body"] == [ECHO, FAIL]
    gone = (await taskpath.system.run([ECHO], ephemeral=True))["id"]
    assert (await taskpath.json("show", gone))["deleted"] is True


@pytest.mark.contract("cli.logs", "cli.json")
async def test_logs(taskpath: Terminal) -> None:
    id = (await taskpath.system.run([ECHO, {"name": "b", "do": "echo", "log": ["more"]}]))["id"]
    assert "#.a said something" in (await taskpath("logs", id)).out
    one = (await taskpath("logs", id, "#.b")).out
    assert "more" in one
    assert "said" not in one
    assert [line["text"] for line in (await taskpath.json("logs", id, "#.b"))["lines"]] == ["more"]
    assert [log["taskPath"] for log in await taskpath.json("logs", id)] == ["#.a", "#.b"]
    assert "more" in (await taskpath("logs", id, "--follow")).out


@pytest.mark.contract("cli.cancel")
async def test_cancel(taskpath: Terminal) -> None:
    system = taskpath.system
    id = (await system.create([{"name": "g", "subtasks": [system.hold("one"), ECHO]}], execute=True))["id"]
    await taskpath("cancel", id, "#.g.one")
    assert (await system.ended(id))["statuses"]["#.g.one"]["status"] == "cancelled"
    assert (await taskpath.json("cancel", id))["revision"] > 0


@pytest.mark.contract("cli.rerun")
async def test_rerun(taskpath: Terminal) -> None:
    tasks = [ECHO, {"name": "b", "do": "fail-first"}, {"name": "c", "do": "echo"}]
    id = (await taskpath.system.run(tasks))["id"]
    await taskpath("rerun", id, "--mode", "failed", "--watch")
    await taskpath("rerun", id, "#.a", "--argument", "7", "--watch")
    await taskpath("rerun", id, "#.c", code=2)
    assert (await taskpath.json("rerun", id, "#.c", "--upstream", "ignore"))["revision"] > 0
    done = await taskpath.system.ended(id)
    assert [state["attempt"] for state in done["statuses"].values()] == [2, 2, 2]
    assert (await taskpath.system.task(id, "#.a"))["body"] == 7


@pytest.mark.contract("cli.delete")
async def test_delete(taskpath: Terminal) -> None:
    id = (await taskpath.system.run([ECHO]))["id"]
    assert await taskpath.json("delete", id) == {"id": id, "deleted": True}
    await taskpath("delete", id, code=2)


@pytest.mark.contract("cli.ls", "cli.json")
async def test_ls(taskpath: Terminal) -> None:
    ids = [(await taskpath.system.create([ECHO], name=f"n{number}"))["id"] for number in range(3)]
    listed = (await taskpath("ls")).out
    assert all(id in listed for id in ids)
    page = await taskpath.json(
        "ls", "--limit", "2", "--status", "inactive", "--workflow", "tree", "--name", "n"
    )
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    rest = await taskpath.json("ls", "--limit", "2", "--cursor", page["nextCursor"])
    assert [item["id"] for item in rest["items"]] == ids[:1]


@pytest.mark.contract("cli.access")
async def test_where_the_gateway_is_and_with_which_token(system: World) -> None:
    said = await command.taskpath("ls", "--json", "--url", system.url, "--token", "anything")
    assert said.code == 0
    environ = {"TASKPATH_URL": "http://127.0.0.1:9", "TASKPATH_TOKEN": "anything"}
    assert (await command.taskpath("ls", environ=environ)).code == 2
    assert (await command.taskpath("ls", "--url", system.url, environ=environ)).code == 0


@pytest.mark.contract("cli.up", "settings.flags")
async def test_up_serves_everything(tmp_path: Path) -> None:
    async with up(APP, tmp_path / "data") as (url, process):
        data = json.dumps([{"name": "far", "do": "echo", "queue": "images"}])
        assert (await command.taskpath("run", "tree", "--data", data, "--url", url)).code == 0
        assert (tmp_path / "data").is_dir()
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0
    module = tmp_path / "mine.py"
    module.write_text(MODULE)
    free = str(free_port())
    process = await begin("up", "mine:workflows", "--port", free, "--data", "here", cwd=tmp_path)
    assert process.stdout is not None
    async for line in process.stdout:
        if b"web page" in line:
            assert f":{free}/".encode() in line
            break
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "here").is_dir()


@pytest.mark.contract("cli.doctor")
async def test_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    port, data = str(free_port()), str(tmp_path / "data")
    flags = ("--port", port, "--data", data)
    said = await command.taskpath("doctor", str(APP), *flags)
    assert said.code == 0, said
    for what in ("settings", "app", "data folder", "SQLite", "port", "page"):
        assert f"✓ {what}" in said.out
    assert not (tmp_path / "data").exists(), "it changes nothing"
    async with up(APP, tmp_path / "data", port=port):
        report = json.loads((await command.taskpath("doctor", *flags, "--json")).out)
        assert report["ok"]
        said_of = {finding["check"]: finding["message"] for finding in report["findings"]}
        assert "Taskpath" in said_of["port"]
        assert "process" in said_of["data folder"]
        assert port in said_of["page"]


@pytest.mark.contract("cli.doctor", "cli.exit-codes")
async def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    async def doctor(*flags: str, **environ: str) -> tuple[int, dict[str, list[str]]]:
        said = await command.taskpath("doctor", *flags, "--json", environ=environ, cwd=tmp_path)
        report = json.loads(said.out)
        assert report["ok"] == (said.code == 0)
        wrong: dict[str, list[str]] = {}
        for finding in report["findings"]:
            if finding["verdict"] != "ok":
                wrong.setdefault(finding["check"], []).append(finding["message"])
        return said.code, wrong

    free = str(free_port())
    for flags, environ in (
        (("--port", "eighty"), {}),
        (("--host", "0.0.0.0"), {}),
        ((), {"TASKPATH_LEASE": "long"}),
        ((), {"TASKPATH_RECORDS": "redis://"}),
        ((), {"TASKPATH_INDEX": "mysql://host"}),
        ((), {"TASKPATH_BROKER": "http://host"}),
        ((), {"TASKPATH_AUTH_SECRET": "short"}),
    ):
        code, wrong = await doctor(*flags, **environ)
        assert (code, set(wrong)) == (2, {"settings"}), (flags, environ)
        assert "short" not in str(wrong)
    code, wrong = await doctor("--port", free, TASKPATH_GRACEE="5")
    assert (code, wrong) == (0, {"settings": ["TASKPATH_GRACEE is no setting, and has no effect. "
                                              "Is TASKPATH_GRACE meant?"]})  # fmt: skip
    code, wrong = await doctor("nowhere.py", "--port", free)
    assert (code, set(wrong)) == (1, {"app"})
    (tmp_path / "file").touch()
    code, wrong = await doctor("--port", free, "--data", "file")
    assert (code, set(wrong)) == (1, {"data folder"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "records.sqlite").write_bytes(b"this is no database" * 100)
    code, wrong = await doctor("--port", free, "--data", "data")
    assert (code, set(wrong)) == (1, {"SQLite"})
    other = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with other:
        code, wrong = await doctor("--port", str(other.sockets[0].getsockname()[1]))
    assert (code, set(wrong)) == (1, {"port"})
    assert "another program" in wrong["port"][0]


@pytest.mark.contract("cli.demo")
async def test_the_demo_ends_with_its_workflow(tmp_path: Path) -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndemo:")[2].splitlines()[1]
    assert recipe.endswith("$(BIN)/python examples/demo.py")
    environ = {"DEMO_EXIT": "1", "TASKPATH_DATA": str(tmp_path), "TASKPATH_PORT": "0"}
    for folder, code in ((str(Path(json.__file__).parent), 0), (str(tmp_path / "none"), 1)):
        process = await command.start(
            sys.executable, str(ROOT / "examples" / "demo.py"),
            environ={**os.environ, **environ, "DEMO_FOLDER": folder}, cwd=tmp_path,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == code, (out, err)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
