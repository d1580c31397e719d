"""How fluid the web page is while the items of a large foreach run: how long its frames take, and what holds
them up.

    python -m benchmarks frames [--items 10000] [--times 3] [--runs 3] [--servers] [--against FOLDER]

Every item of a foreach runs again, so many times, while Debian's Chromium shows the instance: with the
foreach closed, with it opened, with it opened and scrolled by the wheel, and as a timeline; and the foreach
is opened, which sends all of its items at once. Beside that an empty page, with the same work and no page
that watches: what the machine grants.

A frame lasts from one to the next that the browser draws. A long task is one that keeps the page's thread for
more than 50 ms, by the clock. How much CPU time each task took, and did not wait for a core that others had,
the browser's own trace says: that depends on the page alone, the rest also on what else the machine does.

With ``--against`` another build of the page, such as that of an earlier revision (a copy of the folder
``services/taskpath_services/gateway/page``), is measured in turn with this one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop
from playwright.async_api import Browser, Page, Route, async_playwright

from benchmarks import workloads
from benchmarks.measure import load, percentile, table
from benchmarks.screen import CHROMIUM, embedded, over_servers
from taskpath.client import Client

LONG_MS: Final = 50.0
OURS: Final = "this page"
_TRACED: Final = ("devtools.timeline", "disabled-by-default-devtools.timeline")
_SETTLE_MS: Final = 300
# A build that the gateway does not serve itself is from nowhere to the browser, and may connect all the same.
_ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-features=LocalNetworkAccessChecks"]
_WHEEL_PIXELS: Final = 400

_RECORDER: Final = """
(() => {
  let frames = [], tasks = [], last = null;
  const draw = (now) => {
    if (last !== null) frames.push(now - last);
    last = now;
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  const take = (entries) => tasks.push(...entries.map(({ duration }) => duration));
  observer.observe({ type: "longtask" });
  window.recorder = {
    begin() { take(observer.takeRecords()); frames = []; tasks = []; console.timeStamp("begin"); },
    end() {
      console.timeStamp("end");
      take(observer.takeRecords());
      return JSON.stringify({ frames, tasks });
    },
  };
})();
"""


@dataclass
class Seen:
    """What was recorded, in ms.

    Attributes:
        frames: how long each frame lasted.
        tasks: how long each long task lasted, by the clock.
        work: the CPU time of each task, long or not.
    """

    frames: list[float] = field(default_factory=list)
    tasks: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    def row(self) -> list[str]:
        """As a row of the table."""
        return [
            f"{len(self.frames):,}",
            *(f"{percentile(self.frames, share):.1f}" for share in (0.5, 0.95, 0.99)),
            f"{max(self.frames):.0f}",
            str(len(self.tasks)),
            f"{max(self.tasks, default=0):.0f}",
            str(sum(each > LONG_MS for each in self.work)),
            f"{max(self.work):.0f}",
            f"{100 * sum(self.work) / sum(self.frames):.0f} %",
        ]


HEADER: Final = [
    "page", "foreach", "frames", "p50", "p95", "p99", "longest",
    "long tasks", "longest", "long by work", "most work", "busy",
]  # fmt: skip


def work_of(trace: bytes) -> list[float]:
    """The CPU time of each task of the page's thread while it was recorded, in ms."""
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    begin, end = (event for event in events if event["name"] == "TimeStamp")
    return [
        event.get("tdur", 0) / 1000
        for event in events
        if event["name"] == "RunTask"
        and event["tid"] == begin["tid"]
        and begin["ts"] < event["ts"] < end["ts"]
    ]


@asynccontextmanager
async def recorded(page: Page, seen: Seen) -> AsyncIterator[None]:
    """Records the frames and the long tasks of a page."""
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, categories=list(_TRACED))
    await page.evaluate("recorder.begin()")
    yield
    found: dict[str, list[float]] = json.loads(await page.evaluate("recorder.end()"))
    seen.frames += found["frames"]
    seen.tasks += found["tasks"]
    seen.work += work_of(await browser.stop_tracing())


@asynccontextmanager
async def opened(browser: Browser, build: Path | None) -> AsyncIterator[Page]:
    """A page, from another build than the gateway's if one is given."""
    page = await browser.new_page(viewport={"width": 1280, "height": 1000})
    await page.add_init_script(_RECORDER)

    async def answer(route: Route) -> None:
        assert build is not None
        file = build / route.request.url.partition("://")[2].partition("/")[2].partition("?")[0]
        await route.fulfill(path=file if file.is_file() else build / "index.html")

    if build is not None:
        await page.route(lambda url: "/api/" not in url and "/ws" not in url, answer)
    yield page
    await page.close()


async def run_items(client: Client, instance: str, times: int) -> None:
    """Runs every item again, so many times."""
    for _ in range(times):
        await client.execute(instance, "#.work")
        await client.wait(instance, timeout=workloads.LIMIT_SECONDS)


async def scroll(page: Page) -> None:
    """Turns the wheel for ever, to the end and back."""
    await page.mouse.move(400, 500)
    while True:
        for pixels in (*(_WHEEL_PIXELS,) * 60, *(-_WHEEL_PIXELS,) * 60):
            await page.mouse.wheel(0, pixels)


class Measuring:
    """What is measured of one browser over one system.

    Args:
        browser: shows the page.
        client: of the system.
        items: of the foreach.
        times: how often all of them run.
    """

    def __init__(self, browser: Browser, client: Client, items: int, times: int) -> None:
        self.seen: defaultdict[tuple[str, str], Seen] = defaultdict(Seen)
        self._browser = browser
        self._client = client
        self._items = items
        self._times = times

    async def empty(self) -> None:
        """An empty page."""
        instance = await self._instance()
        async with opened(self._browser, None) as page:
            await page.goto("about:blank")
            async with recorded(page, self.seen["an empty page", ""]):
                await run_items(self._client, instance, self._times)

    async def shown(self, name: str, build: Path | None) -> None:
        """The page of an instance."""
        instance = await self._instance()
        async with opened(self._browser, build) as page:
            address = f"{self._client.url}/i/{instance}"
            await page.goto(address)
            await page.locator('[data-path="#.work"]').wait_for()
            await self._record(page, instance, name, "closed")
            async with recorded(page, self.seen[name, "being opened"]):
                await self._open(page)
            await self._record(page, instance, name, "opened")
            scrolling = asyncio.create_task(scroll(page))
            await self._record(page, instance, name, "scrolled")
            scrolling.cancel()
            await page.goto(f"{address}?view=timeline")
            await self._open(page)
            await self._record(page, instance, name, "timeline")

    async def _instance(self) -> str:
        instance = await self._client.create("fan", {"n": self._items}, execute=True)
        await self._client.wait(instance.id, timeout=workloads.LIMIT_SECONDS)
        return instance.id

    async def _open(self, page: Page) -> None:
        await page.locator('[data-path="#.work"] .toggle').click()
        await page.locator('[data-path="#.work[0]"][data-status="ok"]').wait_for()
        await page.wait_for_timeout(_SETTLE_MS)

    async def _record(self, page: Page, instance: str, name: str, how: str) -> None:
        async with recorded(page, self.seen[name, how]):
            await run_items(self._client, instance, self._times)
            await page.wait_for_timeout(_SETTLE_MS)


async def main(items: int, times: int, runs: int, against: Path | None, *, servers: bool) -> None:
    """Measures and prints."""
    builds = {OURS: None, **({str(against): against} if against else {})}
    async with (
        over_servers() if servers else embedded() as url,
        Client(url) as client,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        measuring = Measuring(browser, client, items, times)
        for _ in range(runs):
            await measuring.empty()
            for name, build in builds.items():
                await measuring.shown(name, build)
        await browser.close()
    where = "over servers" if servers else "embedded"
    table(
        f"frames and long tasks, ms, {items:,} items run {times} times, {runs} turns, {where}; {load()}",
        HEADER,
        [[*kind, *seen.row()] for kind, seen in measuring.seen.items()],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000, help="of the foreach")
    parser.add_argument("--times", type=int, default=3, help="how often all items run in each turn")
    parser.add_argument("--runs", type=int, default=3, help="turns")
    parser.add_argument("--servers", action="store_true", help="over RabbitMQ, Redis and MariaDB")
    parser.add_argument("--against", type=Path, help="a folder with another build of the page")
    arguments = parser.parse_args()
    uvloop.run(
        main(
            arguments.items,
            arguments.times,
            arguments.runs,
            arguments.against,
            servers=arguments.servers,
        )
    )
