"""The web page as it is built: its types, its parts that need no browser, and what it weighs."""

from __future__ import annotations

import gzip
import json
import re

import pytest

from tests.browser.react_package import install as install_package
from tests.browser.react_package import run
from tools import page

pytestmark = pytest.mark.timeout(400)

# With gzip, in bytes, React included: so that nothing large slips in.
MOST = {".js": 118_000, ".css": 8_000}


def tool(name: str, *arguments: str) -> str:
    """Runs a tool that was installed with the page; what it says."""
    return run(str(page.CLIENT / "node_modules" / ".bin" / name), *arguments, cwd=page.CLIENT)


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    install_package()
    page.build()


def test_the_types_agree() -> None:
    tool("tsc", "--noEmit")


def test_the_parts_that_need_no_browser() -> None:
    report = json.loads(tool("vitest", "run", "--reporter=json", "--silent"))
    assert report["numFailedTests"] == 0
    assert report["numPassedTests"] >= 33


def test_what_the_gateway_serves_is_made_of_these_sources() -> None:
    assert page.STAMP.read_text() == page.digest_of_sources()
    assert page.build() is False


def test_it_stays_small_and_is_there_compressed() -> None:
    for kind, most in MOST.items():
        (file,) = (page.BUILT / "assets").glob(f"*{kind}")
        packed = file.with_name(f"{file.name}.gz").read_bytes()
        assert gzip.decompress(packed) == file.read_bytes()
        assert len(packed) <= most


def test_it_asks_nobody_else() -> None:
    """No address of another place is in it, but those that errors of React and names of XML have."""
    for file in (page.BUILT / "assets").glob("*"):
        if file.suffix in (".js", ".css"):
            found = set(re.findall(r"https?://[\w.-]+", file.read_text()))
            assert found <= {"https://react.dev", "http://www.w3.org", "http://localhost"}


def test_the_lockfile_names_no_registry() -> None:
    lock = json.loads((page.CLIENT / "package-lock.json").read_text())
    assert [name for name, entry in lock["packages"].items() if "://" in entry.get("resolved", "")] == []


def test_without_node_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "digest_of_sources", lambda: "another")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(page.PageError, match=r"Node\.js 20\.19 or newer and npm, which are not here"):
        page.build()
    assert (page.BUILT / "index.html").is_file()
