"""A running system whose page is driven in a browser."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from playwright.async_api import Locator, Page, expect

from tests.browser.workflows import Hand


class World:
    """A running system, the hand on its tasks, and a page."""

    def __init__(self, url: str, page: Page, hand: Hand, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.page = page
        self.hand = hand
        self._http = http

    async def create(
        self,
        workflow: str,
        data: Any = None,
        *,
        execute: bool = True,
        name: str | None = None,
        ephemeral: bool = False,
    ) -> str:
        body = {
            "workflow": workflow,
            "data": data,
            "execute": execute,
            "name": name,
            "ephemeral": ephemeral,
        }
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
