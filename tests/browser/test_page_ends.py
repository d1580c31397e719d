"""How the end of an instance looks on the web page, driven in a browser against the real system."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Route, expect

from tests.browser.page_world import World, forgive

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

HOUR = 3_600_000


async def test_all_of_the_time_counts_though_items_are_not_sent(world: World) -> None:
    """The last items of a large foreach ended an hour after what is sent of it, by what is stored."""

    async def later(route: Route) -> None:
        response = await route.fetch()
        instance = await response.json()
        if instance["finishedAt"] is not None:
            instance["finishedAt"] += HOUR
        await route.fulfill(response=response, json=instance)

    await world.page.route(re.compile(r"/api/v1/instances/[^/]+\?"), later)
    world.hand.broken = False
    await world.see(await world.create("fanout", {"count": 1_200}), "?view=timeline")
    await world.ended("done", seconds=40)
    await expect(world.head().locator(".counts")).to_contain_text("· 1 h 00 min")
    # The timeline goes as far, and what was not sent fades towards its end.
    await expect(world.page.locator(".axis-ticks")).to_contain_text("min")
    share = "(span) => span.offsetWidth / span.parentElement.offsetWidth"
    assert await world.row("#.each").locator(".span").evaluate(share) > 0.9


async def test_the_row_and_the_instance_count_the_same_as_done(world: World) -> None:
    await world.see(await world.create("fanout", {"count": 12}))
    await world.ended("failed")
    await expect(world.head().locator(".counts")).to_contain_text("12 of 13")
    await expect(world.row("#.each").locator(".says")).to_have_text("11 of 12 · 1 failed")
    bar = world.row("#.each").get_by_role("progressbar")
    await expect(bar.locator("[data-status=failed]")).to_have_css("width", re.compile(r"^[5-9]"))


async def test_a_task_at_the_very_end_is_seen_on_the_timeline(world: World) -> None:
    await world.see(await world.create("progress"), "?view=timeline")
    await expect(world.row("#.work").locator(".time")).to_have_text("2 s")
    world.hand.give("work", 4)
    await world.ended("done")
    span = world.row("#.after").locator(".span")
    await expect(span).to_have_count(1)
    seen = """(span) => {
        const [box, track] = [span, span.parentElement].map((one) => one.getBoundingClientRect());
        return Math.min(box.right, track.right) - box.left;
    }"""
    assert await span.evaluate(seen) >= 2.9


async def test_an_ephemeral_instance_that_has_ended_says_so(world: World) -> None:
    instance = await world.create("progress", ephemeral=True)
    await world.see(instance)
    await world.has_status("#.work", "running")
    world.hand.give("work", 4)
    await expect(world.page.locator(".banner")).to_contain_text("This instance was deleted.")
    await world.page.reload()
    state = world.page.locator(".state")
    await expect(state.locator("h1")).to_have_text("This instance has ended: done")
    await expect(state).to_contain_text("was ephemeral, so it was deleted when it ended")
    await expect(world.page.locator("main")).not_to_contain_text("Reading")
    await expect(world.page.get_by_role("tree")).to_have_count(0)


async def test_nothing_is_offered_for_a_task_of_an_instance_that_was_deleted(world: World) -> None:
    instance = await world.create("chain", 1)
    await world.see(instance, "#.two")
    await world.ended("done")
    await expect(world.button("Run", world.panel())).to_be_visible()
    await world.delete(instance)
    await expect(world.page.locator(".banner")).to_contain_text("This instance was deleted.")
    await expect(world.button("Run", world.panel())).to_have_count(0)
    await expect(world.button("Run options")).to_have_count(0)


async def test_of_a_path_that_is_not_there_nothing_is_said_but_that(
    world: World, complaints: list[str]
) -> None:
    await world.see(await world.create("chain", 1), "#.zzz")
    await expect(world.panel()).to_contain_text("There is no task at this path.")
    await expect(world.panel().locator(".facts")).to_have_count(0)
    forgive(complaints, "404")
