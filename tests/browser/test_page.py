"""The web page, driven in a browser against the real system."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.page_world import ResumedWatches, World, forgive
from tests.support.proxy import proxy_to

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

LONG = 45_000
"""Ms for what is seen when a task has run for longer than the one before it, however busy the machine was."""


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
    usual = re.compile(r"usually\s*(?:[3-9]|\d\d)\.\d s")
    await expect(counts).to_contain_text("a few seconds left", timeout=LONG)
    await expect(world.panel().locator("dl.facts")).to_contain_text(usual)
    await expect(counts).to_contain_text("taking longer than usual", timeout=LONG)
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
    await expect(world.row("#.each").locator(".says")).to_have_text("9,900 of 10,000 · 100 failed")
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
