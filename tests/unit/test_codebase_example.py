"""The example `codebase`: what it measures, and what it draws."""

from __future__ import annotations

import math
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[2] / "examples" / "codebase"
sys.path.insert(0, str(FOLDER))

import measures  # noqa: E402  (it lies beside the example, not in a package)
import report  # noqa: E402

SOURCE = """
import os, sys.path
from json import loads
from . import here

class Box:
    def open(self, key):
        if key and key.fits or key is None:
            for side in self.sides:
                side.unlock()
        try:
            return [x for x in self if x]
        except KeyError:
            return None if key else 0

async def empty(): pass
"""


def test_a_file_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "box.py"
    path.write_text(SOURCE)
    measured = measures.measure(path)
    assert measured["lines"] == SOURCE.count("\n")
    assert (measured["functions"], measured["classes"]) == (2, 1)
    assert measured["imports"] == ["json", "os", "sys"]
    # if, and, or, for, comprehension, except, conditional expression
    assert measured["branches"] == 7
    assert measured["hardest"][0] == {"name": "Box.open", "line": 7, "complexity": 8}


@pytest.mark.parametrize("source", [b"def", b"\x00", b"x = '\xff'", b"# coding: nonsense\n", b"(" * 500])
def test_what_does_not_parse_is_said(source: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(source)
    with pytest.raises(measures.DoesNotParse, match=r"."):
        measures.measure(path)


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=60))
def test_the_map_gives_each_package_its_share_and_no_more(sizes: list[int]) -> None:
    sizes.sort(reverse=True)
    placed = report._squarify(sizes, 0, 0, 960, 460)
    assert len(placed) == len(sizes)
    for size, (x, y, w, h) in zip(sizes, placed, strict=True):
        assert math.isclose(w * h, 960 * 460 * size / sum(sizes), rel_tol=1e-3, abs_tol=1e-3)
        assert x >= -1e-6
        assert y >= -1e-6
        assert x + w <= 960 + 1e-3
        assert y + h <= 460 + 1e-3


def test_the_page_escapes_what_it_shows_and_closes_what_it_opens() -> None:
    evil = "<b>&'\""
    files = [{"name": evil, "lines": 1000, "branches": 300}, {"name": "a.py", "lines": 0, "branches": 0}]
    totals = {"files": 2, "lines": 1000, "functions": 1, "classes": 0, "branches": 300, "broken": 1}
    text = report.page(
        evil,
        {
            "tiles": report.draw_tiles(totals, {**totals, "lines": 900}),
            "packages": report.draw_map([{"name": evil, "files": 1, "lines": 1000, "branches": 300}]),
            "scatter": report.draw_scatter(files),
            "imports": report.draw_bars([[evil, 3]], "files import it"),
            "hardest": report.draw_bars([], "complexity"),
        },
        [{"name": evil, "broken": evil}],
    )
    assert "<b>&" not in text
    assert "+100 since last" in text
    balance = _Balance()
    balance.feed(text)
    assert balance.open == []


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "html"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "html":
            assert self.open.pop() == tag
