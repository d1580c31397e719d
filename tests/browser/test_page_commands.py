"""What an operator does on the web page and what comes of it, driven in a browser against the real system."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.page_world import World
from tests.support.proxy import proxy_to

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


async def test_what_is_refused_is_said_in_the_dialog(world: World) -> None:
    await world.see(await world.create("chain", 1, execute=False))
    await world.button("Run options", world.head()).click()
    dialog = world.page.get_by_role("dialog")
    path = dialog.get_by_label("Path", exact=True)
    await path.fill("#.zzz")
    await world.button("Run", dialog).click()
    said = dialog.get_by_role("alert")
    await expect(said).to_contain_text("#.zzz")
    await expect(said.get_by_role("button")).to_have_count(0)
    await expect(world.page.locator(".notice")).to_have_count(0)
    await path.fill("#.two")
    await world.button("Run", dialog).click()
    await expect(said).to_contain_text("#.one")
    await expect(world.button("Show one", said)).to_be_visible()
    await world.button("Run what is missing first", said).click()
    await expect(dialog).to_be_hidden()
    await world.has_status("#.two", "ok")
    assert world.hand.ran == ["#.one", "#.two"]


async def test_what_is_no_json_is_said_until_it_is_corrected(world: World) -> None:
    await world.see(await world.create("chain", 1, execute=False))
    await world.button("Run options", world.head()).click()
    dialog = world.page.get_by_role("dialog")
    argument = dialog.get_by_label("Argument")
    await argument.fill("{1")
    await world.button("Run", dialog).click()
    await expect(dialog).to_contain_text("This is not JSON")
    await argument.fill("1")
    await expect(dialog).not_to_contain_text("This is not JSON")
    await expect(argument).to_have_attribute("aria-invalid", "false")


async def test_nothing_is_asked_for_while_the_gateway_is_away(world: World, complaints: list[str]) -> None:
    instance = await world.create("progress")
    async with proxy_to(world.url) as proxy:
        await world.page.goto(f"{proxy.url}/i/{instance}")
        cancel = world.button("Cancel", world.head())
        await expect(cancel).to_be_enabled()
        proxy.refusing = True
        proxy.cut()
        await expect(cancel).to_be_disabled()
        await expect(cancel).to_have_attribute("title", "Not now: there is no connection to the gateway")
        await expect(world.button("Delete the instance", world.head())).to_be_disabled()
        await world.button("Run options", world.head()).click()
        dialog = world.page.get_by_role("dialog")
        await expect(world.button("Cancel this path", dialog)).to_be_disabled()
        await world.button("Close", dialog).last.click()
        proxy.refusing = False
        await expect(cancel).to_be_enabled(timeout=30_000)
        await cancel.click()
        await world.ended("cancelled")
        await world.page.goto("about:blank")  # nothing is asked of the proxy any more when it ends
    # Whether it was refused in between, or cut while something was on its way, is a matter of time.
    cut = ("WebSocket connection", "Failed to load resource: net::ERR_")
    complaints[:] = [text for text in complaints if not any(words in text for words in cut)]
