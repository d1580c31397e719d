"""The web page, driven in a browser against the real system."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.browser.workflows import Hand, build
from tests.support.proxy import proxy_to
from tests.support.system import embedded

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


class World:
    """A running system, the hand on its tasks, and a page."""

    def __init__(self, url: str, page: Page, hand: Hand, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.page = page
        self.hand = hand
        self._http = http

    async def create(
        self, workflow: str, data: Any = None, *, execute: bool = True, name: str | None = None
    ) -> str:
        body = {"workflow": workflow, "data": data, "execute": execute, "name": name}
        async with self._http.post(f"{self.url}/api/v1/instances", json=body) as response:
            answer = await response.json()
            assert response.status == 201, answer
            return str(answer["id"])

    async def execute(self, instance: str) -> None:
        async with self._http.post(f"{self.url}/api/v1/instances/{instance}/execute", json={}) as response:
            assert response.status == 202, await response.text()

    async def learnt(self, instance: str, path: str) -> None:
        """Returns when it is known how long a task usually takes: a moment after it took so long."""
        state: dict[str, Any] = {}
        while "expectedDuration" not in state:
            async with self._http.get(f"{self.url}/api/v1/instances/{instance}") as response:
                state = (await response.json())["statuses"][path]

    async def delete(self, instance: str) -> None:
        async with self._http.delete(f"{self.url}/api/v1/instances/{instance}") as response:
            assert response.status == 204

    async def see(self, instance: str, path: str = "") -> None:
        """Opens the page of an instance."""
        await self.page.goto(f"{self.url}/i/{instance}{path}")

    async def ended(self, status: str, seconds: float = 15) -> None:
        shown = self.page.locator(".instance-page")
        await expect(shown).to_have_attribute("data-status", status, timeout=seconds * 1_000)

    def row(self, path: str) -> Locator:
        return self.page.locator(f'[role=treeitem][data-path="{path}"]')

    async def has_status(self, path: str, status: str) -> None:
        await expect(self.row(path)).to_have_attribute("data-status", status)

    def head(self) -> Locator:
        return self.page.locator(".instance-head")

    def panel(self) -> Locator:
        return self.page.locator(".panel:not(.overview)")

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)


class ResumedWatches:
    """From which revisions a page asks to go on."""

    def __init__(self, page: Page) -> None:
        self._asked: list[Any] = []
        page.on("websocket", lambda socket: socket.on("framesent", self._sent))

    def _sent(self, frame: str | bytes) -> None:
        packet = json.loads(frame)
        if packet["type"] == "watchWorkflowInstance":
            self._asked.append(packet.get("since"))

    def resumed_from(self) -> list[int | None]:
        """By watch, None where it started from nothing."""
        return self._asked


def forgive(complaints: list[str], text: str) -> None:
    """Takes out what a test has provoked; it has to be there."""
    left = [complaint for complaint in complaints if text not in complaint]
    assert len(left) < len(complaints)
    complaints[:] = left


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path, page: Page) -> AsyncIterator[World]:
    hand = Hand()
    async with embedded(build(hand), tmp_path, grace=0) as system, aiohttp.ClientSession() as http:
        yield World(system.url.rstrip("/"), page, hand, http)
        await page.goto("about:blank")


async def test_progress_is_seen_moving(world: World) -> None:
    await world.see(await world.create("progress"))
    await world.has_status("#.work", "running")
    bar = world.row("#.work").get_by_role("progressbar")
    for part in (1, 2, 3):
        world.hand.give("work")
        await expect(bar).to_have_attribute("aria-valuenow", str(part * 25))
        await expect(world.row("#.work").locator(".says")).to_have_text(f"part {part} of 4")
    await expect(world.page.locator(".instance-head .counts")).to_contain_text("0 of 2 · 1 running")
    world.hand.give("work")
    await world.ended("done")
    await world.has_status("#.after", "ok")
    await expect(world.page.locator(".instance-head .counts")).to_contain_text("2 of 2")


async def test_time_ticks_while_a_task_runs(world: World) -> None:
    await world.see(await world.create("progress"))
    time = world.row("#.work").locator(".time")
    await expect(time).to_have_text(re.compile(r"^\d+ s$"))
    first = await time.inner_text()
    await expect(time).not_to_have_text(first)


async def test_what_a_run_took_tells_how_long_the_next_one_will(world: World) -> None:
    instance = await world.create("progress")
    await world.see(instance)
    counts = world.page.locator(".instance-head .counts")
    await expect(counts).to_contain_text("· 3 s")
    assert not re.search("left|longer", await counts.inner_text()), "nothing is known yet"
    world.hand.give("work", 4)
    await world.ended("done")
    await world.learnt(instance, "#.work")
    # The page has been open all the time, and hears of it when the instance runs again.
    await world.execute(instance)
    await world.row("#.work").click()
    await expect(counts).to_contain_text("a few seconds left")
    await expect(world.panel().locator("dl.facts")).to_contain_text(re.compile(r"usually\s*[3-9]\.\d s"))
    await expect(counts).to_contain_text("taking longer than usual")
    await expect(counts).not_to_contain_text("left")
    progress = world.page.locator(".instance-head").get_by_role("progressbar")
    await expect(progress).not_to_have_attribute("aria-valuenow", "100")
    world.hand.give("work", 4)
    await world.ended("done")
    await expect(counts).not_to_contain_text("longer")


async def test_a_selected_task_shows_its_result_argument_attempts_and_live_log(world: World) -> None:
    await world.see(await world.create("progress", {"x": 1}))
    await world.row("#.work").click()
    assert world.page.url.endswith("#.work")
    log = world.panel().get_by_role("log")
    await expect(log.locator("li span")).to_have_text(["starting"])
    world.hand.give("work", 2)
    await expect(log.locator("li span")).to_have_text(["starting", "part 1 is done", "part 2 is done"])
    world.hand.give("work", 2)
    result = world.panel().get_by_role("region", name="Result")
    await expect(result).to_contain_text('"answer": 42')
    await expect(result).to_contain_text("<b>not markup</b>")
    await world.button("Argument", world.panel()).click()
    argument = world.panel().get_by_role("region", name="Argument")
    await expect(argument).to_have_text(re.compile(r'\{\s*"x": 1\s*\}'))
    await world.button("1 attempt", world.panel()).click()
    await expect(world.panel().locator(".attempts tbody tr")).to_contain_text(["ok"])


async def test_a_failed_task_shows_its_error_and_traceback(world: World) -> None:
    await world.see(await world.create("failing"), "#.both.bad")
    await expect(world.panel().locator(".failure .what")).to_have_text("ValueError: out of paper")
    await expect(world.panel().locator(".failure .traceback")).to_contain_text("out of paper")
    await expect(world.row("#.both.bad").locator(".says")).to_have_text("ValueError: out of paper")
    await world.has_status("#.both", "failed")
    await world.has_status("#.both.good", "ok")
    await world.has_status("#.last", "inactive")
    await world.ended("failed")


async def test_what_failed_is_run_again(world: World) -> None:
    await world.see(await world.create("failing", 5))
    await world.ended("failed")
    world.hand.broken = False
    await world.button("Re-run failed").first.click()
    await world.ended("done")
    await world.has_status("#.last", "ok")
    assert world.hand.ran.count("#.first") == 1
    assert world.hand.ran.count("#.both.good") == 1


async def test_cancel_stops_what_runs(world: World) -> None:
    await world.see(await world.create("progress"))
    await world.has_status("#.work", "running")
    await world.button("Cancel").first.click()
    await world.ended("cancelled")
    await world.has_status("#.work", "cancelled")
    await world.has_status("#.after", "inactive")


async def test_one_task_is_cancelled_by_its_path(world: World) -> None:
    await world.see(await world.create("progress"), "#.work")
    await world.button("Cancel", world.panel()).click()
    await world.has_status("#.work", "cancelled")


async def test_a_path_is_run_and_what_follows_is_stale(world: World) -> None:
    await world.see(await world.create("chain", 1), "#.two")
    await world.ended("done")
    await world.button("Run", world.panel()).click()
    await expect(world.row("#.three").locator(".stale")).to_be_visible()
    assert world.hand.ran == ["#.one", "#.two", "#.three", "#.two"]
    await world.button("Re-run stale", world.head()).click()
    await expect(world.row("#.three").locator(".stale")).to_be_hidden()
    assert world.hand.ran[4:] == ["#.three"]


async def test_what_cannot_start_is_explained_and_offered_another_way(world: World) -> None:
    await world.see(await world.create("chain", 1, execute=False), "#.three")
    await world.button("Run", world.panel()).click()
    notice = world.page.get_by_role("alert").filter(has_text="#.one")
    await expect(notice).to_be_visible()
    await world.button("Run what is missing first", notice).click()
    await world.ended("done")
    assert world.hand.ran == ["#.one", "#.two", "#.three"]


async def test_a_waiting_retry_says_which_and_when(world: World) -> None:
    await world.see(await world.create("retrying"))
    await expect(world.row("#.flaky").locator(".says")).to_have_text(
        re.compile(r"^try 2 of 3, next in \d+ min \d\d s$")
    )


async def test_a_deep_link_opens_an_item_and_reload_shows_the_same(world: World) -> None:
    world.hand.broken = False
    instance = await world.create("fan", {"count": 300})
    await world.see(instance, "#.each[217]")
    for _ in range(2):
        await expect(world.panel().get_by_role("region", name="Result")).to_contain_text('"n": 217')
        await expect(world.row("#.each[217]")).to_have_attribute("aria-selected", "true")
        await expect(world.row("#.each[217]")).to_be_in_viewport()
        await world.ended("done")
        await world.page.reload()


async def test_ten_thousand_items_are_all_there_and_few_are_drawn(world: World) -> None:
    await world.see(await world.create("fan", {"count": 10_000}))
    await world.ended("failed", seconds=40)
    await expect(world.row("#.each").locator(".says")).to_have_text("10,000 of 10,000 · 100 failed")
    await world.row("#.each").locator(".toggle").click()
    await world.has_status("#.each[0]", "ok")
    rows = world.page.get_by_role("treeitem")
    assert await rows.count() < 80
    await world.row("#.each").focus()
    await world.page.keyboard.press("End")
    await expect(world.row("#.sum")).to_be_focused()
    await expect(world.row("#.each[9999]")).to_be_in_viewport()
    await world.has_status("#.each[9999]", "ok")
    assert await rows.count() < 80
    await world.page.get_by_role("button", name="failed 100", exact=True).click()
    await world.has_status("#.each[7]", "failed")
    await expect(world.row("#.each[6]")).to_have_count(0)
    await expect(world.row("#.list")).to_have_count(0)
    await expect(world.row("#.each[107]")).to_be_visible()


async def test_ten_thousand_open_items_run_again_and_all_of_it_is_seen(world: World) -> None:
    instance = await world.create("fan", {"count": 10_000})
    await world.see(instance)
    await world.ended("failed", seconds=40)
    await world.row("#.each").locator(".toggle").click()
    await world.has_status("#.each[7]", "failed")
    world.hand.broken = False
    await world.execute(instance)
    await world.ended("done", seconds=40)
    await expect(world.row("#.each").locator(".says")).to_have_text("10,000 of 10,000")
    await world.has_status("#.each[7]", "ok")
    await world.row("#.each").focus()
    await world.page.keyboard.press("End")
    await world.has_status("#.each[9999]", "ok")
    assert await world.page.get_by_role("treeitem").count() < 80


async def test_a_collapsed_foreach_is_counted_and_not_sent(world: World) -> None:
    frames: list[int] = []
    world.page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(len(data)))
    )
    await world.see(await world.create("fan", {"count": 10_000}))
    await world.ended("failed", seconds=40)
    await expect(world.page.get_by_role("button", name="failed 100", exact=True)).to_be_visible()
    assert sum(frames) < 200_000


async def test_the_timeline_draws_what_runs_and_what_ran(world: World) -> None:
    await world.see(await world.create("progress"), "?view=timeline")
    await world.has_status("#.work", "running")
    span = world.row("#.work").locator(".span")
    await expect(span).to_have_attribute("data-status", "running")
    width = "(span) => span.getBoundingClientRect().width"
    first = await span.evaluate(width)
    grows = "([path, first]) => document.querySelector(path).getBoundingClientRect().width > first"
    await world.page.wait_for_function(grows, arg=['[data-path="#.work"] .span', first])
    await expect(world.row("#.after").locator(".span")).to_have_count(0)
    world.hand.give("work", 4)
    await world.ended("done")
    await expect(span).to_have_attribute("data-status", "ok")
    edges = "(span) => [span.getBoundingClientRect().left, span.getBoundingClientRect().right]"
    begins, ends = await span.evaluate(edges)
    after, _ = await world.row("#.after").locator(".span").evaluate(edges)
    assert begins < ends <= after + 4
    await world.page.keyboard.press("t")
    await expect(world.page.locator(".track")).to_have_count(0)
    assert "view=" not in world.page.url


async def test_the_keyboard_walks_the_tree(world: World) -> None:
    await world.see(await world.create("failing"))
    await world.ended("failed")
    await world.row("#.first").focus()
    press = world.page.keyboard.press
    await press("ArrowDown")
    await expect(world.row("#.both")).to_be_focused()
    await press("ArrowLeft")
    await expect(world.row("#.both.bad")).to_have_count(0)
    await press("ArrowRight")
    await press("ArrowRight")
    await expect(world.row("#.both.bad")).to_be_focused()
    await press("Enter")
    await expect(world.row("#.both.bad")).to_have_attribute("aria-selected", "true")
    await expect(world.panel().locator("h2")).to_have_text("bad")
    await press("End")
    await expect(world.row("#.last")).to_be_focused()
    await press("Home")
    await expect(world.row("#.first")).to_be_focused()


async def test_a_path_is_run_as_it_is_said(world: World) -> None:
    await world.see(await world.create("chain", 1, execute=False), "#.three")
    await world.button("Run options", world.panel()).click()
    dialog = world.page.get_by_role("dialog")
    await expect(dialog.get_by_label("Path", exact=True)).to_have_value("#.three")
    await dialog.get_by_label("What is stale").check()
    await dialog.get_by_label("Is run first").check()
    await dialog.get_by_label("Argument").fill("{")
    await world.button("Run", dialog).click()
    await expect(dialog).to_contain_text("This is not JSON")
    await dialog.get_by_label("Argument").fill("")
    await world.button("Run", dialog).click()
    await expect(dialog).to_be_hidden()
    await world.ended("done")
    assert world.hand.ran == ["#.one", "#.two", "#.three"]
    await world.button("Run options", world.head()).click()
    await dialog.get_by_label("Path", exact=True).fill("#.two")
    await dialog.get_by_label("Argument").fill("7")
    await world.button("Run", dialog).click()
    await expect(dialog).to_be_hidden()
    await world.row("#.two").click()
    await expect(world.panel().get_by_role("region", name="Result")).to_have_text("7")
    assert world.hand.ran[3:] == ["#.two"]


async def test_a_workflow_is_started_from_the_form_of_its_schema(world: World, complaints: list[str]) -> None:
    await world.page.goto(world.url)
    await world.page.get_by_role("link", name="Start a workflow").click()
    await world.page.get_by_role("link", name=re.compile("typed")).click()
    form = world.page.get_by_role("form")
    await expect(form.get_by_label("count")).to_have_value("3")
    await form.get_by_label("count").fill("many")
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(form.get_by_role("alert")).to_have_text("This has to be a whole number.")
    await expect(form.get_by_label("count")).to_be_focused()
    await form.get_by_label("count").fill("2")
    await form.get_by_label("title").fill("x")
    await form.get_by_label("Name", exact=True).fill("my album")
    await form.get_by_role("button", name="Start", exact=True).click()
    await world.ended("done")
    await expect(world.page.locator("h1")).to_have_text("my album")
    await expect(world.page.get_by_role("region", name="Data")).to_have_text(
        re.compile(r'"title": "x",\s*"count": 2')
    )


async def test_what_the_server_refuses_is_said_at_its_field(world: World, complaints: list[str]) -> None:
    await world.page.goto(f"{world.url}/workflows/nested")
    form = world.page.get_by_role("form")
    await world.button("Add to sizes", form).click()
    width = form.get_by_label("width")
    await width.fill("0")
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(width).to_have_attribute("aria-invalid", "true")
    await expect(form.get_by_role("alert")).to_contain_text(">= 1")
    await expect(width).to_be_focused()
    forgive(complaints, "422")
    await width.fill("5")
    await form.get_by_label("shape").select_option("round")
    await form.get_by_label("loud").check()
    await world.button("JSON", form).click()
    data = form.get_by_label("Data")
    await expect(data).to_have_value(re.compile(r'"width": 5'))
    await data.fill('{"sizes": ')
    await expect(form.get_by_role("alert")).to_contain_text("This is not JSON")
    await data.fill('{"sizes": [], "shape": "odd"}')
    await form.get_by_role("button", name="Start", exact=True).click()
    await expect(form.locator(".form-error")).to_contain_text("shape")
    forgive(complaints, "422")
    await world.button("Form", form).click()
    await form.get_by_label("shape").select_option("round")
    await form.get_by_label("loud").check()
    await form.get_by_role("button", name="Start", exact=True).click()
    await world.ended("done")
    shown = world.page.get_by_role("region", name="Data")
    await expect(shown).to_contain_text('"loud": true')
    await expect(shown).to_contain_text('"shape": "round"')


async def test_data_without_a_schema_is_written_as_json(world: World) -> None:
    await world.page.goto(f"{world.url}/workflows/chain")
    form = world.page.get_by_role("form")
    await form.get_by_label("Data").fill('{"free": 1}')
    await world.button("Create only", form).click()
    await expect(world.page.locator(".instance-page")).to_have_attribute("data-status", "inactive")
    await expect(world.page.get_by_role("region", name="Data")).to_contain_text('"free": 1')
    assert world.hand.ran == []


async def test_executors_and_queues_are_shown_as_they_are(world: World) -> None:
    await world.create("progress")
    await world.page.goto(f"{world.url}/executors")
    queue = world.page.get_by_role("row", name=re.compile("^default"))
    await expect(queue).to_contain_text("1 serving")
    await expect(queue).to_contain_text("1 of")
    executor = world.page.locator("tr[data-executor]")
    await expect(executor).to_have_attribute("data-status", "serving")
    world.hand.give("work", 4)
    await expect(executor.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("^0 of"))
    await executor.get_by_role("link", name="chain").click()
    await expect(world.page.get_by_role("form")).to_be_visible()


async def test_the_keyboard_finds_opens_and_comes_back(world: World) -> None:
    for name in ("sea", "hill", "town"):
        await world.create("chain", 1, execute=False, name=name)
    await world.page.goto(world.url)
    await expect(world.page.locator(".list-row")).to_have_count(3)
    press = world.page.keyboard.press
    await press("j")
    await press("j")
    await expect(world.page.locator(".list-row", has_text="hill")).to_be_focused()
    await press("/")
    await expect(world.page.get_by_label("Name begins with")).to_be_focused()
    await world.page.keyboard.type("sea")
    await expect(world.page.locator(".list-row")).to_have_count(1)
    await press("Tab")
    await expect(world.page.locator(".list-row")).to_be_focused()
    await press("Enter")
    await expect(world.page.locator("h1")).to_have_text("sea")
    await press("?")
    await expect(world.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await press("Escape")
    await press("3")
    await expect(world.page.locator("h1")).to_have_text("Executors")
    await press("1")
    await expect(world.page.locator("h1")).to_have_text("Instances")


async def test_the_list_is_live_and_filtered(world: World) -> None:
    done = await world.create("chain", 1, name="holiday 1")
    await world.page.goto(world.url)
    rows = world.page.locator(".list-row .name")
    await expect(rows).to_have_text(["holiday 1"])
    moving = await world.create("progress", name="holiday 2")
    await expect(rows).to_have_text(["holiday 2", "holiday 1"])
    first = world.page.locator(".list-page li").first
    await expect(first).to_have_attribute("data-status", "working")
    world.hand.give("work", 4)
    await expect(first).to_have_attribute("data-status", "done")
    await world.page.get_by_label("Name begins with").fill("holiday 1")
    await expect(rows).to_have_text(["holiday 1"])
    await world.page.get_by_label("Name begins with").fill("")
    await world.page.get_by_label("Workflow", exact=True).select_option("progress")
    await expect(rows).to_have_text(["holiday 2"])
    await world.page.reload()
    await expect(rows).to_have_text(["holiday 2"])
    await world.button("failed").click()
    await expect(world.page.locator(".state")).to_contain_text("No instance is like that.")
    await world.page.goto(world.url)
    await world.delete(moving)
    await expect(rows).to_have_text(["holiday 1"])
    await world.page.locator(".list-row").click()
    await world.ended("done")
    assert world.page.url == f"{world.url}/i/{done}"
    await world.page.go_back()
    await expect(rows).to_have_text(["holiday 1"])


async def test_more_than_a_page_of_instances_comes_as_one_scrolls(world: World) -> None:
    for number in range(230):
        await world.create("chain", 1, execute=False, name=f"n{number}")
    await world.page.goto(world.url)
    rows = world.page.locator(".list-row")
    await expect(rows.first).to_contain_text("n229")
    await expect(world.page.locator(".list-foot")).to_contain_text("100 shown, more as you scroll")
    await rows.first.focus()
    await world.page.keyboard.press("End")
    await expect(world.page.locator(".list-foot")).to_contain_text("200 shown")
    await world.page.keyboard.press("End")
    await expect(world.page.locator(".list-foot")).to_have_text("230 instances")
    await world.page.keyboard.press("End")
    await expect(rows.last).to_be_focused()
    assert await rows.last.locator(".name").inner_text() == "n0"
    assert await rows.count() < 60


async def test_an_instance_is_deleted_after_a_question(world: World) -> None:
    await world.see(await world.create("chain", 1, name="old"))
    await world.ended("done")
    await world.button("Delete the instance").click()
    await world.button("Keep it").click()
    await world.button("Delete the instance").click()
    await world.button("Delete", world.page.get_by_role("dialog")).click()
    await expect(world.page.locator(".state")).to_contain_text("Nothing here yet: start a workflow.")
    assert world.page.url == f"{world.url}/"


async def test_a_large_result_is_saved_and_a_long_one_is_cut(world: World) -> None:
    await world.see(await world.create("large"), "#.big")
    await world.ended("done")
    await expect(world.panel().locator(".large")).to_contain_text("2.0 MiB")
    async with world.page.expect_download() as started:
        await world.button("Save", world.panel()).click()
    download = await started.value
    assert download.suggested_filename == "big.json"
    assert (await download.path()).stat().st_size == 2 * 1024 * 1024 + 2
    await world.row("#.long").click()
    await world.page.get_by_role("button", name="Show all").click()
    await expect(world.panel().get_by_role("region", name="Result")).to_contain_text("19999")


async def test_an_instance_that_is_not_there(world: World, complaints: list[str]) -> None:
    await world.see("nothing")
    await expect(world.page.locator("h1")).to_have_text("There is no such instance")
    forgive(complaints, "404")


async def test_a_lost_connection_is_said_and_made_up_for(world: World, complaints: list[str]) -> None:
    instance = await world.create("progress")
    connection = world.page.locator(".connection")
    log = world.page.get_by_role("log").locator("li span")
    async with proxy_to(world.url) as proxy:
        watched = ResumedWatches(world.page)
        await world.page.goto(f"{proxy.url}/i/{instance}#.work")
        world.hand.give("work")
        await expect(log).to_have_text(["starting", "part 1 is done"])
        # The log is followed from here on, so the last watch has been answered when the next line comes.
        world.hand.give("work")
        await expect(log).to_have_text(["starting", "part 1 is done", "part 2 is done"])
        proxy.refusing = True
        proxy.cut()
        await expect(connection).to_have_attribute("data-state", "waiting")
        await expect(connection).to_contain_text("Reconnecting")
        await expect(world.page.locator(".away")).to_contain_text("The gateway cannot be reached.")
        world.hand.give("work", 2)
        proxy.refusing = False
        await world.button("Try now").click()
        await world.ended("done")
        await expect(connection).to_have_attribute("data-state", "open")
        await expect(log).to_have_text(["starting", *(f"part {part} is done" for part in (1, 2, 3))])
        assert watched.resumed_from()[-1] is not None
        await world.page.goto("about:blank")  # nothing is asked of the proxy any more when it ends
    # Whether it was refused in between, or cut while something was on its way, is a matter of time.
    cut = ("WebSocket connection", "Failed to load resource: net::ERR_")
    complaints[:] = [text for text in complaints if not any(words in text for words in cut)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_both_schemes(world: World, scheme: str) -> None:
    await world.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await world.page.set_viewport_size({"width": 360, "height": 740})
    await world.see(await world.create("failing"), "#.both.bad")
    await expect(world.panel().locator(".failure .what")).to_be_in_viewport()
    fits = "() => document.documentElement.scrollWidth <= innerWidth"
    assert await world.page.evaluate(fits)
    await world.button("Close", world.panel()).click()
    await expect(world.row("#.last")).to_be_in_viewport()
    assert await world.page.evaluate(fits)
    ground = await world.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")
    await world.page.goto(world.url)
    await expect(world.page.locator(".list-row")).to_have_count(1)
    assert await world.page.evaluate(fits)


async def test_the_page_allows_nothing_from_elsewhere(world: World) -> None:
    response = await world.page.goto(world.url)
    assert response is not None
    policy = (await response.all_headers())["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
