"""A browser, and pages in it that may not complain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from tests.browser.page_world import World
from tests.browser.workflows import Hand, build
from tests.support.system import embedded

CHROMIUM = Path("/usr/bin/chromium")

# Without these it looks for updates and the like, which nobody here needs.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, one for all tests of a module."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh profile; motion is reduced, so that what is looked at stands still."""
    context = await browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    yield context
    await context.close()


@pytest.fixture
def complaints(context: BrowserContext) -> list[str]:
    """What the browser complains of: errors, exceptions, violations of the content security policy.

    None may be left at the end of a test; one that provokes some takes them out with :func:`forgive`.
    """
    found: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(f"{message.type}: {message.text}")

    context.on("console", heard)
    context.on("weberror", lambda error: found.append(f"exception: {error.error}"))
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext, complaints: list[str]) -> AsyncIterator[Page]:
    """A page that may not complain."""
    page = await context.new_page()
    page.set_default_timeout(15_000)
    yield page
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path, page: Page) -> AsyncIterator[World]:
    """The real system, the hand on its tasks, and its page."""
    hand = Hand()
    async with embedded(build(hand), tmp_path, grace=0) as system, aiohttp.ClientSession() as http:
        yield World(system.url.rstrip("/"), page, hand, http)
        await page.goto("about:blank")
