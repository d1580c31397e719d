"""Takes the pictures in docs/images of the running demo's web page.

make demo                                                     (in one terminal)
.venv/bin/python docs/screenshots.py http://127.0.0.1:8080    (in another)
"""

from __future__ import annotations

import re
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).parent / "images"
LIBRARY = Path(sysconfig.get_path("stdlib"))


class Demo:
    """The demo, whose workflow is given things to do.

    Args:
        url: of the demo.
        page: in a browser.
        reports: the folder that its reports are written to.
    """

    def __init__(self, url: str, page: Page, reports: Path) -> None:
        self.url = url.rstrip("/")
        self.page = page
        self._reports = reports

    def survey(self, name: str, folder: Path = LIBRARY) -> str:
        """Starts a survey of a folder; returns the id of the instance."""
        data = {"folder": str(folder), "report": str(self._reports / name)}
        body = {"workflow": "codebase", "data": data, "name": name, "execute": True}
        response = self.page.request.post(f"{self.url}/api/v1/instances", data=body)
        assert response.status == 201, response.text()
        instance: dict[str, Any] = response.json()
        return str(instance["id"])

    def see(self, instance: str, path: str = "") -> None:
        """Opens the page of an instance."""
        self.page.goto(f"{self.url}/i/{instance}{path}")

    def ended(self, instance: str) -> None:
        """Waits until an instance has ended."""
        self.see(instance)
        status = re.compile("done|failed|cancelled")
        expect(self.page.locator(".instance-page")).to_have_attribute("data-status", status, timeout=120_000)

    def measured(self, percent: int) -> None:
        """Waits until so much of the files of the instance that is shown are measured."""
        condition = """percent => {
            const bar = document.querySelector('[data-path="#.measure"] .bar');
            return bar !== null && Number(bar.getAttribute('aria-valuenow')) >= percent;
        }"""
        self.page.wait_for_function(condition, arg=percent, timeout=120_000)

    def take(self, name: str) -> None:
        """Takes the picture, when what slides has come to rest."""
        self.page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def main(url: str) -> None:
    """Takes all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as reports, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1.5)
        demo = Demo(url, page, Path(reports))
        for name in ("email", "asyncio", "my-project", "json", "importlib"):
            demo.ended(demo.survey(name, Path("/my-project") if name == "my-project" else LIBRARY / name))
        cancelled = demo.survey("site")
        demo.see(cancelled)
        demo.measured(30)
        page.get_by_role("button", name="Cancel", exact=True).click()
        demo.ended(cancelled)

        page.goto(f"{url}/workflows/codebase")
        expect(page.get_by_role("form").get_by_label("report")).to_be_visible()
        demo.take("start")

        running = demo.survey("standard library")
        demo.see(running)
        demo.measured(45)
        page.set_viewport_size({"width": 1280, "height": 620})
        page.goto(url)
        expect(page.locator(".list-row").first).to_contain_text("standard library")
        demo.take("instances")

        page.set_viewport_size({"width": 1280, "height": 720})
        demo.see(running, "#.count.hardest")
        expect(page.locator(".says[data-tone=warn]")).to_contain_text("try", timeout=120_000)
        demo.take("instance")
        page.emulate_media(color_scheme="dark")
        demo.see(running, "?view=timeline#.count.imports")
        expect(page.locator(".span[data-status=running]").first).to_be_visible()
        demo.take("timeline")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
