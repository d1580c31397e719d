"""That nothing on the web page covers or crowds out anything else, in a browser against the real system."""

from __future__ import annotations

import pytest
from playwright.async_api import ViewportSize, expect

from tests.browser.page_world import World

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

PHONE: ViewportSize = {"width": 390, "height": 844}


async def test_the_words_of_the_axis_do_not_touch_each_other(world: World) -> None:
    await world.page.set_viewport_size(PHONE)
    await world.see(await world.create("progress"), "?view=timeline")
    ticks = world.page.locator(".axis-ticks span")
    await expect(ticks.first).to_be_visible()
    apart = """(ticks) => ticks.every((tick, at) => {
        const next = ticks[at + 1];
        return !next || tick.getBoundingClientRect().right <= next.getBoundingClientRect().left;
    })"""
    assert await ticks.evaluate_all(apart)


async def test_a_long_name_takes_two_lines_and_is_there_to_be_had(world: World) -> None:
    name = " ".join(["a very long name"] * 11)
    await world.page.set_viewport_size(PHONE)
    await world.see(await world.create("chain", 1, name=name))
    title = world.page.locator("h1")
    await expect(title).to_have_attribute("title", name)
    lines = "(title) => Math.round(title.offsetHeight / parseFloat(getComputedStyle(title).lineHeight))"
    assert await title.evaluate(lines) == 2


async def test_no_button_covers_the_log(world: World) -> None:
    await world.see(await world.create("progress"), "#.work")
    line = world.page.get_by_role("log").locator("li").first
    await expect(line).to_be_visible()
    button = world.button("Copy the log")
    right, left = [
        await one.evaluate(f"(one) => one.getBoundingClientRect().{edge}")
        for one, edge in ((line, "right"), (button, "left"))
    ]
    assert right <= left


async def test_an_executor_is_a_block_on_a_phone(world: World) -> None:
    await world.page.set_viewport_size(PHONE)
    await world.page.goto(f"{world.url}/executors")
    row = world.page.locator("tr[data-executor]")
    await expect(row).to_be_visible()
    share = "(cell) => cell.offsetWidth / cell.parentElement.offsetWidth"
    assert await row.locator('[data-name="workflows"]').evaluate(share) == 1
    fits = "() => document.documentElement.scrollWidth <= innerWidth"
    assert await world.page.evaluate(fits)
