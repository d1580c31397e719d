"""The React components, in a page of another origin, against the real system."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, WebSocket, expect

from taskpath.client import Client
from tests.browser.react_package import install, served, tool
from tests.browser.workflows import Hand, build
from tests.support import command
from tests.support.proxy import proxy_to
from tests.support.system import embedded

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

HELD = Path(__file__).with_name("held_app.py")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page of the harness is."""
    install()
    folder = tmp_path_factory.mktemp("harness")
    tool("vite", "build", "tests/harness", "--outDir", str(folder))
    with served(folder) as origin:
        yield origin


class World:
    """A running system, the hand on its tasks, and a page of another origin."""

    def __init__(self, url: str, origin: str, page: Page, hand: Hand, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.origin = origin
        self.page = page
        self.hand = hand
        self._http = http

    async def create(self, workflow: str, data: Any = None, *, name: str | None = None) -> str:
        body = {"workflow": workflow, "data": data, "execute": True, "name": name}
        async with self._http.post(f"{self.url}/api/v1/instances", json=body) as response:
            answer = await response.json()
            assert response.status == 201, answer
            return str(answer["id"])

    async def see(
        self, show: str, page: Page | None = None, *, gateway: str | None = None, **asked: Any
    ) -> None:
        """Opens the page with a component."""
        query = urlencode({"gateway": gateway or self.url, "show": show, **asked})
        await (page or self.page).goto(f"{self.origin}/?{query}")

    def row(self, path: str) -> Locator:
        return self.page.locator(f'[role=treeitem][data-path="{path}"]')

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    async def told(self) -> list[str]:
        found: list[str] = await self.page.evaluate("() => window.told")
        return found


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path, page: Page, origin: str) -> AsyncIterator[World]:
    hand = Hand()
    system = embedded(build(hand), tmp_path, grace=0, allowed_origins=origin)
    async with system as running, aiohttp.ClientSession() as http:
        yield World(running.url.rstrip("/"), origin, page, hand, http)
        await page.goto("about:blank")


def sent_by(page: Page) -> list[dict[str, Any]]:
    """The packets that a page sends from now on."""
    packets: list[dict[str, Any]] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: packets.append(json.loads(frame)))

    page.on("websocket", opened)
    return packets


def not_connected(complaints: list[str]) -> None:
    """Takes out what the browser says of connections that the test has broken."""
    complaints[:] = [text for text in complaints if "WebSocket connection" not in text]


async def test_progress_is_seen_moving_where_the_result_will_be(world: World) -> None:
    await world.see("jobify", id=await world.create("progress"))
    bar = world.page.get_by_role("progressbar")
    await expect(world.page.get_by_text("Moves by hand")).to_be_visible()
    for part in (1, 2, 3):
        world.hand.give("work")
        await expect(world.page.get_by_text(f"part {part} of 4")).to_be_visible()
        await expect(bar).to_have_js_property("value", part / 8)
    await expect(world.page.locator("#result")).to_have_count(0)
    world.hand.give("work")
    await expect(world.page.locator("#result")).to_have_text("The result")
    await expect(bar).to_have_count(0)


async def test_a_job_is_started_from_the_page(world: World) -> None:
    await world.see("starter", workflow="progress")
    await expect(world.page.locator("#result")).to_have_text("Nothing yet")
    await world.button("Start").click()
    await expect(world.page.get_by_role("progressbar")).to_be_visible()
    world.hand.give("work", 4)
    await expect(world.page.locator("#result")).to_have_text("The result")


async def test_what_goes_wrong_is_said(world: World) -> None:
    instance = await world.create("failing")
    await world.see("progression", id=f"{instance},nothing")
    alerts = world.page.get_by_role("alert")
    await expect(alerts).to_have_count(2)
    await expect(alerts.first).to_have_text("bad: ValueError: out of paper")
    await expect(alerts.last).to_contain_text("nothing")
    told = [text for text in await world.told() if text.startswith("error")]
    assert sorted(told)[0] == "error #.both.bad out of paper"
    assert len(told) == 2


async def test_what_happens_is_told(world: World) -> None:
    await world.see("progression", id=await world.create("progress"))
    await expect(world.page.get_by_text("Moves by hand")).to_be_visible()
    world.hand.give("work", 4)
    await world.page.wait_for_function("() => window.told.includes('complete')")
    told = await world.told()
    # Whether the page is there before the first task is said to run is a matter of time.
    assert told[told[0] == "start #.work" :] == ["end #.work", "start #.after", "end #.after", "complete"]


async def test_a_lost_connection_is_said_and_made_up_for(world: World, complaints: list[str]) -> None:
    async with proxy_to(world.url) as proxy:
        sent = sent_by(world.page)
        await world.see("jobify", gateway=proxy.url, id=await world.create("progress"))
        world.hand.give("work")
        await expect(world.page.get_by_text("part 1 of 4")).to_be_visible()
        proxy.refusing = True
        proxy.cut()
        await expect(world.page.get_by_text("Reconnecting…")).to_be_visible()
        await expect(world.page.get_by_text("part 1 of 4")).to_be_visible()
        world.hand.give("work", 3)
        proxy.refusing = False
        await world.button("Try now").click()
        await expect(world.page.locator("#result")).to_be_visible()
        watches = [packet for packet in sent if packet["type"] == "watchWorkflowInstance"]
        assert "since" not in watches[0]
        assert watches[-1]["since"] > 0
    not_connected(complaints)


async def test_a_killed_gateway_comes_back(
    origin: str, page: Page, tmp_path: Path, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKPATH_ALLOWED_ORIGINS", origin)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with command.up(HELD, tmp_path / "data") as (url, server):
        async with Client(url) as client:
            instance = await client.create("held", {"pipe": str(pipe)}, execute=True)
        await page.goto(f"{origin}/?{urlencode({'gateway': url, 'show': 'jobify', 'id': instance.id})}")
        await expect(page.get_by_text("Waits for the pipe")).to_be_visible()
        server.kill()
        await server.wait()
    await expect(page.get_by_text("Reconnecting…")).to_be_visible()
    async with command.up(HELD, tmp_path / "data", port=str(urlsplit(url).port)):
        await expect(page.get_by_text("Reconnecting…")).to_be_hidden()
        with pipe.open("w") as held:
            held.write("go on")
        await expect(page.locator("#result")).to_be_visible()
    not_connected(complaints)


async def test_two_tabs_agree(world: World) -> None:
    instance = await world.create("progress")
    other = await world.page.context.new_page()
    for page in (world.page, other):
        await world.see("workflow", page, id=instance)
    rows = [page.locator('[data-path="#.work"]') for page in (world.page, other)]
    for row in rows:
        await expect(row).to_have_attribute("data-status", "running")
    world.hand.give("work")
    for row in rows:
        await expect(row).to_contain_text("part 1 of 4")
    await other.get_by_role("button", name="Cancel", exact=True).first.click()
    for row in rows:
        await expect(row).to_have_attribute("data-status", "cancelled")
    await other.close()


async def test_a_tab_that_slept_catches_up(world: World, complaints: list[str]) -> None:
    async with proxy_to(world.url) as proxy:
        await world.see("jobify", gateway=proxy.url, id=await world.create("progress"))
        world.hand.give("work")
        await expect(world.page.get_by_text("part 1 of 4")).to_be_visible()
        devtools = await world.page.context.new_cdp_session(world.page)
        await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        world.hand.give("work", 2)
        proxy.cut()
        world.hand.give("work")
        await devtools.send("Page.setWebLifecycleState", {"state": "active"})
        await expect(world.page.locator("#result")).to_be_visible()
    not_connected(complaints)


async def test_a_bar_that_moves_by_itself(world: World) -> None:
    await world.page.emulate_media(reduced_motion="no-preference")
    await world.see("continuous", id=await world.create("progress"))
    bar = world.page.get_by_role("progressbar")
    await expect(bar).to_be_visible()
    await world.page.wait_for_function("() => document.querySelector('progress').value > 0.02")
    await expect(world.page.get_by_text(re.compile(r"about \d+ s left"))).to_be_visible()
    world.hand.give("work", 4)
    await expect(bar).to_have_js_property("value", 1)


async def test_a_tree_with_the_keyboard_alone(world: World) -> None:
    await world.see("workflow", id=await world.create("failing"))
    await expect(world.row("#.both.bad")).to_have_attribute("data-status", "failed")
    press = world.page.keyboard.press
    while await world.page.evaluate("() => document.activeElement.getAttribute('role')") != "treeitem":
        await press("Tab")
    await expect(world.row("#.first")).to_be_focused()
    await press("ArrowDown")
    await press("ArrowRight")
    await expect(world.row("#.both.bad")).to_be_focused()
    await press("Enter")
    panel = world.page.locator(".taskpath-panel")
    await expect(panel.get_by_text("ValueError: out of paper").first).to_be_visible()
    await expect(panel.get_by_role("log")).to_contain_text("it goes wrong")
    world.hand.broken = False
    while await world.page.evaluate("() => document.activeElement.textContent") != "Run":
        await press("Tab")
    await press("Space")
    await expect(world.row("#.both.bad")).to_have_attribute("data-status", "ok")
    await expect(panel.locator("pre").first).to_contain_text("printed")


async def test_what_cannot_start_is_explained_and_offered_another_way(world: World) -> None:
    instance = await world.create("failing")
    await world.see("workflow", id=instance)
    await expect(world.row("#.both")).to_have_attribute("data-status", "failed")
    await world.row("#.last").click()
    panel = world.page.locator(".taskpath-panel")
    await world.button("Run", panel).click()
    await expect(panel.get_by_role("alert")).to_contain_text("#.both")
    world.hand.broken = False
    await world.button("Run what is missing first", panel).click()
    await expect(world.row("#.last")).to_have_attribute("data-status", "ok")


async def test_ten_thousand_items_are_seen_by_pages(world: World) -> None:
    world.hand.broken = False
    sent = sent_by(world.page)
    await world.see("workflow", id=await world.create("fan", {"count": 10_000}))
    await expect(world.row("#.each")).to_contain_text("10,000 of 10,000", timeout=60_000)
    await world.row("#.each").locator(".taskpath-toggle").click()
    await expect(world.row("#.each[49]")).to_have_attribute("data-status", "ok")
    await world.button("Next items").click()
    await expect(world.row("#.each[99]")).to_have_attribute("data-status", "ok")
    assert await world.page.get_by_role("treeitem").count() == 53
    named = [
        packet["paths"] for packet in sent if packet["type"] == "watchWorkflowInstance" and "paths" in packet
    ]
    assert named
    assert all(len(patterns) <= 100 for patterns in named)


async def test_of_a_thousand_tasks_only_those_are_drawn_that_change(world: World) -> None:
    world.hand.broken = False
    instance = await world.create("fan", {"count": 1_000})
    await world.see("rows", id=instance, count=1_000)
    rows = world.page.locator("li[data-status=ok]")
    await expect(rows).to_have_count(1_000, timeout=30_000)
    await world.page.evaluate("() => window.drawn.clear()")
    async with Client(world.url) as client:
        await client.execute(instance, "#.each[470]")
        await client.wait(instance, timeout=30)
    await world.page.wait_for_function("() => window.drawn.size > 0")
    assert await world.page.evaluate("() => [...window.drawn.keys()]") == ["#.each[470]"]


async def test_a_list_is_live_and_goes_on(world: World) -> None:
    for number in range(7):
        await world.create("chain", 1, name=f"job {number}")
    await world.see("list", workflow="chain")
    items = world.page.get_by_role("listitem")
    await expect(items).to_have_text([f"job {number}" for number in (6, 5, 4, 3, 2)])
    await world.create("chain", 1, name="job 7")
    await expect(items.first).to_have_text("job 7")
    await world.button("More").click()
    await expect(items).to_have_text([f"job {number}" for number in (7, 6, 5, 4, 3, 2, 1, 0)])


async def test_a_page_of_an_origin_that_is_not_allowed_is_told_nothing(
    world: World, complaints: list[str], tmp_path: Path
) -> None:
    instance = await world.create("progress")
    async with embedded(build(world.hand), tmp_path / "closed", grace=0) as closed:
        await world.see("jobify", gateway=closed.url.rstrip("/"), id=instance)
        await expect(world.page.locator("#connection")).to_have_text("waiting")
    not_connected(complaints)


async def test_it_can_be_looked_at_with_and_without_a_style_of_ours(world: World) -> None:
    instance = await world.create("progress")
    for show in ("workflow", "styled-workflow"):
        await world.see(show, id=instance)
        bar = world.page.get_by_role("progressbar").first
        await expect(bar).to_be_visible()
        box = await bar.bounding_box()
        assert box is not None
        assert box["width"] > 50
        assert box["height"] >= 5
        unseen = world.page.locator("[role=status]").first
        size = await unseen.bounding_box()
        assert size is not None
        assert size["width"] <= 2
