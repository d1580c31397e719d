"""From the end of a task to the screen: how old a change is when a browser has it, and when it shows it.

    python -m benchmarks screen [--watchers 1000] [--items 2000] [--servers] [--runs 3]

A task returns the time of its end. The web page, in Debian's Chromium, notes when the packet that says ``ok``
arrives, and the frame in which the row changes. The clocks are one machine's. Once with nothing else; once
with a foreach of so many items under way beside those tasks; once with so many watchers of that, too, in
another process; and once with some more that never read.

By default the embedded system; with ``--servers`` RabbitMQ, Redis, MariaDB and a process for each service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop
from playwright.async_api import Page, async_playwright

from benchmarks import workloads
from benchmarks.gateway_crowd import stall
from benchmarks.measure import load, percentile, table
from benchmarks.watchers import raise_limit, watching
from taskpath.client import Client
from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

CHROMIUM: Final = "/usr/bin/chromium"
STALLED: Final = 5

# What arrives is noted before the page sees it; what is shown, in the frame in which the row changes.
_NOTES: Final = """
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const arrived = (window.arrived = {}), shown = (window.shown = {});
  window.WebSocket = class extends WebSocket {
    constructor(...asked) {
      super(...asked);
      this.addEventListener("message", ({ data }) => {
        const at = now(), packet = JSON.parse(data);
        for (const [path, { status }] of Object.entries(packet.statuses ?? {}))
          if (status === "ok") arrived[path] ??= at;
      });
    }
  };
  new MutationObserver((changes) => {
    for (const { target } of changes)
      if (target.dataset.status === "ok" && target.dataset.path)
        shown[target.dataset.path] ??= now();
  }).observe(document, { subtree: true, attributeFilter: ["data-status"] });
})();
"""


@asynccontextmanager
async def embedded() -> AsyncIterator[str]:
    """The url of an embedded system in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="taskpath-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("taskpath")), "up", str(Path(workloads.__file__)),
            env={**os.environ, "TASKPATH_PORT": str(port), "TASKPATH_DATA": folder},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            while b"web page" not in (line := await process.stdout.readline()):
                if not line:
                    raise RuntimeError("the system did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def over_servers() -> AsyncIterator[str]:
    """The url of a gateway; the services are processes over servers."""
    with Keeper() as keeper:
        broker, records, index = RabbitMQ(keeper), Redis(keeper, appendfsync="everysec"), MariaDB(keeper)
        for server in (broker, records, index):
            server.start()
        settings = settings_over(broker, records, index)
        cluster = Cluster(keeper, Path(workloads.__file__), settings, dict.fromkeys(ROLES, 1))
        await asyncio.to_thread(cluster.start)
        yield cluster.url


async def run(page: Page, client: Client, items: int, watchers: int, stalled: int) -> list[list[float]]:
    """Runs the beats once; their ages in ms when they arrived, and when they were shown."""
    instance = await client.create("pulse", {"n": items})
    await page.goto(f"{client.url}/i/{instance.id}")
    beats = [f"#.all.beats.t{number}" for number in range(workloads.BEATS)]
    await page.locator(f'[data-path="{beats[-1]}"]').wait_for()
    async with AsyncExitStack() as stack:
        crowd = None
        if watchers:
            crowd = await stack.enter_async_context(watching(client.url, instance.id, watchers))
        for _ in range(stalled):
            stack.callback((await stall(client.url, instance.id, "")).close)
        await client.execute(instance.id)
        await client.wait(instance.id, timeout=workloads.LIMIT_SECONDS)
        await page.wait_for_function("path => window.shown[path]", arg=beats[-1])
        if crowd is not None:
            await crowd.seen()
    noted: list[dict[str, float]] = json.loads(
        await page.evaluate("JSON.stringify([window.arrived, window.shown])")
    )
    ended: list[Any] = [await client.result(instance.id, path) for path in beats]
    return [
        [times[path] - 1000 * end for path, end in zip(beats, ended, strict=True) if path in times]
        for times in noted
    ]


async def main(watchers: int, items: int, runs: int, *, servers: bool) -> None:
    """Measures and prints."""
    raise_limit()
    kinds = {
        "nothing else": (0, 0, 0),
        f"{items:,} items": (items, 0, 0),
        f"{items:,} items, {watchers:,} watchers": (items, watchers, 0),
        f"the same, and {STALLED} that never read": (items, watchers, STALLED),
    }
    ages: dict[str, list[list[float]]] = {kind: [[], []] for kind in kinds}
    async with (
        over_servers() if servers else embedded() as url,
        Client(url) as client,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page(viewport={"width": 1280, "height": 1400})
        await page.add_init_script(_NOTES)
        await run(page, client, 0, 0, 0)
        for _ in range(runs):
            for kind, numbers in kinds.items():
                for known, new in zip(ages[kind], await run(page, client, *numbers), strict=True):
                    known += new
        await browser.close()
    rows = [
        [
            kind,
            *(f"{percentile(times, share):.1f}" for times in both for share in (0.5, 0.99)),
            str(len(both[0])),
        ]
        for kind, both in ages.items()
    ]
    table(
        f"from a task's end to the browser, ms, {'over servers' if servers else 'embedded'}; {load()}",
        ["beside", "arrived p50", "p99", "shown p50", "p99", "n"],
        rows,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--watchers", type=int, default=1_000, help="how many others watch")
    parser.add_argument("--items", type=int, default=2_000, help="of the foreach beside")
    parser.add_argument("--runs", type=int, default=3, help="turns, of twenty tasks each")
    parser.add_argument("--servers", action="store_true", help="over RabbitMQ, Redis and MariaDB")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.watchers, arguments.items, arguments.runs, servers=arguments.servers))
