"""The command line, end to end: real processes, a real gateway, exit codes and what programs read."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskpath.client import Client
from tests.support.command import begin, taskpath, up

pytestmark = pytest.mark.timeout(60)

APP = '''
import threading
from pathlib import Path

from taskpath import App, Retry, Task

app = App()
FOLDER = Path(__file__).parent


def count(data, ctx):
    ctx.log("counting to", data["to"])
    return list(range(data["to"]))


def double(number, ctx):
    if number == 3 and ctx.attempt == 1:
        raise ConnectionError("three was busy")
    return 2 * number


def total(numbers):
    return sum(numbers)


def fail(data):
    raise ValueError("out of paper")


def hold(data, ctx):
    """Runs until the test lets it go."""
    (FOLDER / "held").touch()
    while not (FOLDER / "go").exists() and not ctx.cancelled:
        threading.Event().wait(0.02)
    return "let go"


@app.workflow("sums", description="Doubles and adds")
def sums(data):
    return [
        Task("count", count, context_var="numbers"),
        Task("double", double, foreach="numbers", retry=Retry(attempts=3, backoff=0.01)),
        Task("total", total),
    ]


def cell(number):
    if number == 3:
        raise ValueError("expected [/list] or one of [small, large]")
    return number


def item(number):
    if number == 1200:
        raise ValueError("twelve hundred")


@app.workflow("many")
def many(data):
    return [Task("list", lambda data: list(range(1500))), Task("item", item, foreach=True)]


@app.workflow("nested")
def nested(data):
    return [
        Task("list", lambda data: [[1, 2], [3], []], context_var="rows"),
        Task("row", lambda row: row, foreach="rows", dest="r", subtasks=[Task("cell", cell, foreach="r")]),
    ]


@app.workflow("broken")
def broken(data):
    return [Task("fail", fail), Task("after", total)]


@app.workflow("slow")
def slow(data):
    return [Task("hold", hold)]
'''


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(textwrap.dedent(APP))
    return path


@pytest.fixture
async def url(app: Path, tmp_path: Path) -> AsyncIterator[str]:
    async with up(app, tmp_path / "data") as (url, _):
        yield url


async def test_run_shows_what_happens_and_ends_with_0(url: str) -> None:
    said = await taskpath("run", "sums", "--data", '{"to": 10}', "--logs", "--url", url)
    assert (said.code, said.err) == (0, "")
    assert "#.count ok" in said.out
    assert "#.count | counting to 10" in said.out
    assert "# done" in said.out.splitlines()[-1]


async def test_run_as_json_is_one_packet_a_line_and_the_instance_last(url: str) -> None:
    said = await taskpath("run", "sums", "--data", '{"to": 3}', "--name", "few", "--json", "--url", url)
    assert said.code == 0
    *packets, instance = [json.loads(line) for line in said.out.splitlines()]
    assert {"workflowDescription", "setTasksStatuses", "setWorkflowStatus"} <= {p["type"] for p in packets}
    assert packets[-1]["id"] == instance["id"]
    assert (instance["status"], instance["name"], instance["data"]) == ("done", "few", {"to": 3})
    assert instance["statuses"]["#.total"]["status"] == "ok"


async def test_a_workflow_that_fails_ends_with_1_and_says_where(url: str) -> None:
    said = await taskpath("run", "broken", "--url", url)
    assert said.code == 1
    assert "#.fail failed: ValueError: out of paper" in said.out
    assert "--mode failed" in said.out
    id = json.loads((await taskpath("ls", "--json", "--url", url)).out)["items"][0]["id"]
    assert (await taskpath("watch", id, "--url", url)).code == 1
    shown = await taskpath("show", id, "#.fail", "--url", url)
    assert shown.code == 0
    assert "ValueError: out of paper" in shown.out
    assert "in fail" in shown.out


async def test_looking_at_what_is_there(url: str) -> None:
    id = (await taskpath("run", "sums", "--data", '{"to": 5}', "--detach", "--url", url)).out.strip()
    assert (await taskpath("watch", id, "--url", url)).code == 0
    listed = await taskpath("ls", "--workflow", "sums", "--status", "done", "--url", url)
    assert id in listed.out
    shown = await taskpath("show", id, "--url", url)
    assert "5 of 5" in shown.out
    result = await taskpath("show", id, "#.total", "--json", "--url", url)
    assert json.loads(result.out)["body"] == 20
    assert "counting to 5" in (await taskpath("logs", id, "--url", url)).out
    assert "counting to 5" in (await taskpath("logs", id, "#.count", "--url", url)).out
    one = json.loads((await taskpath("logs", id, "#.count", "--json", "--url", url)).out)
    assert [line["text"] for line in one["lines"]] == ["counting to 5"]
    every = json.loads((await taskpath("logs", id, "--json", "--url", url)).out)
    assert "#.count" in [log["taskPath"] for log in every]
    followed = await taskpath("logs", id, "--follow", "--url", url)
    assert "#.count counting to 5" in followed.out


async def test_a_foreach_in_a_foreach_and_what_is_written_in_brackets(url: str) -> None:
    environ = {"TASKPATH_URL": url}
    error = "#.row[1].cell[0] failed: ValueError: expected [/list] or one of [small, large]"
    run = await taskpath("run", "nested", "--name", "[/b] x [draft]", environ=environ)
    assert run.code == 1, run
    assert run.err == ""
    assert run.out.count(error) == 1
    assert "#.row[0].cell" not in run.out
    listed = await taskpath("ls", environ=environ)
    assert "[/b] x [draft]" in listed.out
    id = listed.out.splitlines()[1].split()[0]
    assert f"taskpath show {id} '#.row[1].cell[0]'" in run.out
    shown = await taskpath("show", id, environ=environ)
    assert "✗ #.row[1].cell[0] ValueError: expected [/list]" in shown.out
    items = await taskpath("watch", id, "#.row[0].cell[*]", environ=environ)
    assert "#.row[0].cell[1] ok" in items.out
    none = await taskpath("watch", id, "#.row[0].cell[7]", environ=environ)
    assert (none.code, none.out) == (2, "")
    assert "no task '#.row[0].cell[7]'" in none.err


async def test_what_failed_is_shown_of_a_foreach_of_many_items_too(url: str) -> None:
    environ = {"TASKPATH_URL": url}
    made = await taskpath("run", "many", "--detach", environ=environ)
    id = made.out.strip()
    assert (await taskpath("watch", id, environ=environ)).code == 1
    shown = await taskpath("show", id, environ=environ)
    assert "1,500 failed" not in shown.out
    assert "✗ #.item[1200] ValueError: twelve hundred" in shown.out


async def test_rerun_and_delete(url: str) -> None:
    id = (await taskpath("run", "sums", "--data", '{"to": 4}', "--detach", "--url", url)).out.strip()
    assert (await taskpath("watch", id, "--url", url)).code == 0
    again = await taskpath("rerun", id, "#.total", "--watch", "--url", url)
    assert again.code == 0
    assert "#.total ok" in again.out
    revision = json.loads((await taskpath("rerun", id, "--json", "--url", url)).out)["revision"]
    assert revision > 0
    assert (await taskpath("watch", id, "--url", url)).code == 0
    assert (await taskpath("delete", id, "--url", url)).code == 0
    gone = await taskpath("show", id, "--url", url)
    assert gone.code == 2
    assert gone.err.startswith("taskpath: ")


async def test_interrupting_a_watch_leaves_the_workflow_running(url: str, app: Path) -> None:
    process = await begin("run", "slow", "--url", url)
    assert process.stdout is not None
    async for line in process.stdout:
        if b"#.hold running" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert b"It goes on. To come back: taskpath watch " in out
    assert b"Traceback" not in err
    id = out.decode().split()[-1]
    async with Client(url) as client:
        assert (await client.get(id)).status.value == "working"
    (app.parent / "go").touch()
    assert (await taskpath("watch", id, "--url", url)).code == 0


async def test_a_watch_survives_a_server_that_is_killed(app: Path, tmp_path: Path) -> None:
    async with up(app, tmp_path / "data") as (url, server):
        watching = await begin("run", "slow", "--url", url)
        assert watching.stdout is not None
        assert watching.stderr is not None
        async for line in watching.stdout:
            if b"#.hold running" in line:
                break
        server.kill()
        await server.wait()
    assert b"Trying again; the workflow goes on." in await watching.stderr.readline()
    (app.parent / "go").touch()
    async with up(app, tmp_path / "data", port=url.rpartition(":")[2]):
        out, err = await watching.communicate()
    assert watching.returncode == 0, err.decode()
    assert b"The gateway is back." in err
    assert b"#.hold ok" in out


async def test_cancel_makes_a_watch_end_with_1(url: str) -> None:
    process = await begin("run", "slow", "--json", "--url", url)
    assert process.stdout is not None
    id = ""
    async for line in process.stdout:
        packet = json.loads(line)
        id = packet["id"]
        if (
            packet["type"] == "setTasksStatuses"
            and packet["statuses"].get("#.hold", {}).get("status") == "running"
        ):
            break
    assert (await taskpath("cancel", id, "--url", url)).code == 0
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert json.loads(out.decode().splitlines()[-1])["status"] == "cancelled"


async def test_what_cannot_be_carried_out_ends_with_2_and_one_sentence(url: str, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    for arguments, expected in (
        (["ls", "--url", nowhere], "No gateway answers at http://127.0.0.1:9"),
        (["run", "sums", "--url", nowhere], "No gateway answers"),
        (["watch", "i", "--url", nowhere], "No gateway answers"),
        (["ls", "--url", "nonsense"], "is no address of a gateway"),
        (["run", "nobody", "--url", url], "nobody"),
        (["run", "sums", "--data", "{", "--url", url], "expected is JSON"),
        (["run", "sums", "--data", "@nofile", "--url", url], "cannot be read"),
        (["show", "nothing", "--url", url], "nothing"),
        (["logs", "nothing", "--url", url], "nothing"),
        (["cancel", "nothing", "--url", url], "nothing"),
        (["ls", "--limit", "1000", "--url", url], "--limit"),
        (["ls", "--url", url.replace("http:", "https:")], "TLS fails"),
        (["fly"], "fly"),
    ):
        said = await taskpath(*arguments, cwd=tmp_path)
        assert said.code == 2, arguments
        assert expected in said.err, arguments
        assert "Traceback" not in said.err, arguments
        assert said.out == "", arguments


async def test_up_refuses_wrong_settings(app: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import taskpath\n\n1 / 0\n")
    for arguments, expected in (
        ([str(app), "--port", "eighty"], "TASKPATH_PORT is 'eighty'; expected is a whole number"),
        ([str(app), "--grace", "long"], "TASKPATH_GRACE"),
        ([str(app), "--broker", "amqp://host"], "TASKPATH_BROKER"),
        ([str(app), "--auth-secret", "short"], "(a secret)"),
        ([str(app), "--records", "dynamodb://t?nope=1"], "TASKPATH_RECORDS"),
        (["nowhere.py"], "nowhere.py"),
        ([str(broken)], "ZeroDivisionError: division by zero"),
    ):
        said = await taskpath("up", *arguments, "--data", str(tmp_path / "data"), cwd=tmp_path)
        assert said.code == 2, arguments
        assert expected in said.err, arguments
        assert "Traceback" not in said.err, arguments


async def test_up_says_what_it_serves_and_drains(app: Path, tmp_path: Path) -> None:
    async with up(app, tmp_path / "data") as (url, process):
        second = await taskpath("up", str(app), "--port", "0", "--data", str(tmp_path / "data"))
        assert second.code == 2
        assert "another server" in second.err
        port = url.rpartition(":")[2]
        taken = await taskpath("up", str(app), "--port", port, "--data", str(tmp_path / "other"))
        assert taken.code == 2
        assert port in taken.err
        waiting = await begin("run", "slow", "--url", url)
        assert waiting.stdout is not None
        async for line in waiting.stdout:
            if b"#.hold running" in line:
                break
        process.send_signal(signal.SIGTERM)
        (app.parent / "go").touch()
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert b"sums" in out
        assert b"Doubles and adds" in out
        waiting.send_signal(signal.SIGINT)
        await waiting.communicate()


async def test_the_environment_says_where_the_gateway_is(url: str) -> None:
    said = await taskpath("ls", "--json", environ={"TASKPATH_URL": url})
    assert (said.code, json.loads(said.out)["items"]) == (0, [])


async def test_help_names_every_command() -> None:
    said = await taskpath("--help")
    assert said.code == 0
    for command in ("up", "run", "watch", "show", "logs", "ls", "cancel", "rerun", "delete"):
        assert f" {command} " in said.out
        assert (await taskpath(command, "--help")).code == 0


async def test_help_loads_no_network_library() -> None:
    heavy = {"aiohttp", "asyncio", "structlog", "msgspec"}
    script = f"""
import sys
from taskpath_services.cli.main import cli
try:
    cli(["--help"])
except SystemExit:
    pass
print(*sorted({heavy} & set(sys.modules)))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == ""
