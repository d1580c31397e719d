"""The client of the WebSocket guide, as it stands there, run by Node.js against a gateway that dies."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskpath.client import Client
from tests.support import command
from tests.support.guides import blocks, unpack
from tests.support.servers.ports import Port

APP = """
import asyncio
from pathlib import Path

from taskpath import App, Task

app = App()


async def work(number):
    while number >= 20 and not Path("go").exists():
        await asyncio.sleep(0.01)
    return number


@app.workflow("work")
def working(data):
    return [
        Task("list", lambda data: list(range(40))),
        Task("work", work, foreach=True),
        *[Task(name, lambda: None) for name in data],
    ]
"""

# Says what the client shows and sends, one line of JSON each.
DRIVER = """
import { watch } from './client.mjs';
globalThis.WebSocket = class extends WebSocket {
  send(frame) { console.log(JSON.stringify({ sent: JSON.parse(frame) })); super.send(frame); }
};
const show = (state, error) => console.log(JSON.stringify({ state, error }));
const leave = watch(process.argv[2], process.argv[3], show);
process.stdin.on('end', leave).resume();
"""


class Page:
    """The client in a process of its own: what it shows last, and what it has sent."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.sent: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None

    async def shows(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Returns when it shows that."""
        assert self._process.stdout is not None
        while self.error is None and not (self.state and wanted(self.state)):
            line = await self._process.stdout.readline()
            assert line, f"the client has ended; it showed {self.state}"
            said = json.loads(line)
            if "sent" in said:
                self.sent.append(said["sent"])
            else:
                self.state, self.error = said["state"], said.get("error")


@asynccontextmanager
async def page(folder: Path, url: str, id: str) -> AsyncIterator[Page]:
    """Opens a page on an instance; it leaves at the end, and must then come to its end by itself."""
    (folder / "driver.mjs").write_text(DRIVER)
    process = await asyncio.create_subprocess_exec(
        "node", "--experimental-websocket", "--no-warnings",
        "driver.mjs", url.replace("http", "ws") + "/ws", id, cwd=folder, stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        yield Page(process)
        await asyncio.wait_for(process.communicate(b""), 10)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def start(folder: Path, port: int) -> Process:
    """Starts a server in a folder, and returns when it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "taskpath_services.cli.main", "up", "app.py", "--port", str(port),
        cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    async for line in process.stdout:
        if b"web page" in line:
            return process
    raise AssertionError("the server has not started")


def test_it_has_forty_lines() -> None:
    (client,) = blocks("guide-websocket.md", "js")
    assert len(client.splitlines()) <= 40
    assert max(map(len, client.splitlines())) <= 125
    assert "import" not in client


async def test_it_shows_what_is_so_whatever_happens_to_the_gateway(tmp_path: Path) -> None:
    assert unpack("guide-websocket.md", tmp_path, "js") == ["client.mjs"]
    (tmp_path / "app.py").write_text(APP)
    port = Port()
    url = f"http://127.0.0.1:{port.number}"
    server = await start(tmp_path, port.number)
    try:
        async with Client(url) as client:
            created = await client.create("work", ["end"], execute=True)
            async with page(tmp_path, url, created.id) as shown:
                await shown.shows(lambda state: state["statuses"].get("#.work[19]", {}).get("status") == "ok")
                assert shown.state["status"] == "working"
                assert list(shown.state["tasks"]) == ["#.list", "#.work", "#.end"]

                server.kill()
                await server.wait()
                (tmp_path / "go").touch()
                server = await start(tmp_path, port.number)
                await shown.shows(lambda state: state["status"] == "done")
                await agrees(shown, client, created.id)
                assert shown.sent[0]["since"] == 0
                assert all(packet["since"] > 0 for packet in shown.sent[1:])
                assert len(shown.sent) >= 2

                # A change of the tree comes as a resync, after which nothing is left of what was known.
                revision = await client.update(created.id, {"$set": ["more"]})
                await shown.shows(lambda state: state["revision"] >= revision)
                await agrees(shown, client, created.id)
                assert list(shown.state["tasks"]) == ["#.list", "#.work", "#.more"]
                assert "#.end" not in shown.state["statuses"]

                await client.delete(created.id)
                await shown.shows(lambda state: False)
                assert shown.error is not None
                assert shown.error["code"] == "DELETED"
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
        port.release()


async def agrees(shown: Page, client: Client, id: str) -> None:
    """What the page shows is what a read gives."""
    instance = await client.get(id)
    assert shown.state["revision"] == instance.revision
    told = {path: (one["status"], one["stale"]) for path, one in shown.state["statuses"].items()}
    assert told == {path: (one.status, one.stale) for path, one in instance.statuses.items()}


async def test_it_says_that_there_is_no_such_instance(tmp_path: Path) -> None:
    unpack("guide-websocket.md", tmp_path, "js")
    (tmp_path / "app.py").write_text(APP)
    async with (
        command.up(tmp_path / "app.py", tmp_path / "data") as (url, _),
        page(tmp_path, url, "nobody") as shown,
    ):
        await shown.shows(lambda state: False)
        assert shown.error is not None
        assert shown.error["code"] == "UNKNOWN_INSTANCE"
