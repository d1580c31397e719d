"""Draws the report: plain functions from numbers to SVG and HTML, light or dark as the reader has it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH = 960

# A column of colours for each depth of shade: how many forks there are in 100 lines.
_STEPS = (6, 9, 12, 15)
_LEGEND = ("under 6", "6 to 9", "9 to 12", "12 to 15", "15 and more")


def draw_tiles(totals: dict[str, int], before: dict[str, int] | None) -> str:
    """One tile a total, with the change since the last survey if there was one."""
    labels = {
        "files": "files",
        "lines": "lines",
        "functions": "functions",
        "classes": "classes",
        "branches": "forks",
        "broken": "do not parse",
    }
    tiles = []
    for key, label in labels.items():
        change = "" if before is None else _change(totals[key] - before.get(key, 0))
        tiles.append(f'<div class="tile"><b>{totals[key]:,}</b><span>{label}</span>{change}</div>')
    return "\n".join(tiles)


def _change(difference: int) -> str:
    text = f"{difference:+,} since last" if difference else "as last time"
    return f"<small>{text}</small>"


# The map: one rectangle a package, its area the lines, its shade the forks in 100 lines.


def draw_map(packages: Sequence[dict[str, Any]], height: int = 460) -> str:
    """A squarified treemap of packages (`name`, `files`, `lines`, `branches`), the largest first."""
    shown = [package for package in packages if package["lines"]]
    rectangles = _squarify([package["lines"] for package in shown], 0, 0, WIDTH, height)
    parts = []
    for package, (x, y, w, h) in zip(shown, rectangles, strict=True):
        density = 100 * package["branches"] / package["lines"]
        step = sum(density >= bound for bound in _STEPS)
        title = (
            f"{package['name']}: {package['lines']:,} lines in {package['files']:,} "
            f"{'file' if package['files'] == 1 else 'files'}, {density:.1f} forks in 100 lines"
        )
        inner_w, inner_h = max(w - 2, 0.5), max(h - 2, 0.5)
        label = ""
        if inner_w > 34 and inner_h > 18:
            label = f'<text x="{x + 7:.1f}" y="{y + 17:.1f}">{_fit(package["name"], inner_w - 12)}</text>'
            if inner_h > 36 and inner_w > 62:
                label += f'<text class="sub" x="{x + 7:.1f}" y="{y + 33:.1f}">{package["lines"]:,}</text>'
        parts.append(
            f'<g class="s{step}"><title>{escape(title)}</title><rect x="{x + 1:.1f}" y="{y + 1:.1f}" '
            f'width="{inner_w:.1f}" height="{inner_h:.1f}" rx="3"/>{label}</g>'
        )
    legend = "".join(f'<span><i class="s{step}"></i>{text}</span>' for step, text in enumerate(_LEGEND))
    return (
        _svg(height, "map", "Lines of each package", parts)
        + f'<p class="legend">forks in 100 lines: {legend}</p>'
    )


def _squarify(
    sizes: Sequence[float], x: float, y: float, w: float, h: float
) -> list[tuple[float, float, float, float]]:
    """Lays areas out as near to squares as they go: rows along the shorter side."""
    scale = w * h / sum(sizes) if sizes else 0
    areas = [size * scale for size in sizes]
    placed: list[tuple[float, float, float, float]] = []
    while areas:
        side = min(w, h)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
            count += 1
        row, areas = areas[:count], areas[count:]
        depth = sum(row) / side
        offset = 0.0
        for area in row:
            length = area / depth
            if w >= h:
                placed.append((x, y + offset, depth, length))
            else:
                placed.append((x + offset, y, length, depth))
            offset += length
        if w >= h:
            x, w = x + depth, max(w - depth, 1e-9)
        else:
            y, h = y + depth, max(h - depth, 1e-9)
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) for area in row)


# The dots: one a file, lines against forks, both in powers of ten.


def draw_scatter(files: Sequence[dict[str, Any]], height: int = 420) -> str:
    """One dot a file (`name`, `lines`, `branches`); those that stand out are named."""
    left, right, top, bottom = 56, WIDTH - 24, 16, height - 44
    most_lines = max((file["lines"] for file in files), default=10)
    most_forks = max((file["branches"] for file in files), default=10)
    wide, high = math.log10(max(most_lines, 10) * 1.2), math.log10(max(most_forks, 10) * 1.3)

    def at(lines: float, forks: float) -> tuple[float, float]:
        across = math.log10(max(lines, 1)) / wide
        up = math.log10(max(forks, 1)) / high
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = []
    for power in range(math.ceil(wide)):
        x, _ = at(10**power, 1)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text("axis", x, bottom + 18, f"{10**power:,}", "middle"))
    for power in range(math.ceil(high)):
        _, y = at(1, 10**power)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text("axis", left - 8, y + 4, f"{10**power:,}" if power else "0, 1", "end"))
    parts.append(_text("axis", right, height - 6, "lines of a file →", "end"))
    parts.append(_text("axis", left + 6, top + 6, "↑ forks", "start"))
    ranked = sorted(files, key=lambda file: -file["branches"])
    for file in reversed(ranked):
        x, y = at(file["lines"], file["branches"])
        title = f"{file['name']}: {file['lines']:,} lines, {file['branches']:,} forks"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"><title>{escape(title)}</title></circle>')
    named: list[tuple[float, float]] = []
    for file in ranked[:24]:
        x, y = at(file["lines"], file["branches"])
        free = all(abs(y - other_y) > 15 or abs(x - other_x) > 190 for other_x, other_y in named)
        if free and len(named) < 6:
            named.append((x, y))
            parts.append(_text("name", x - 8, y + 4, file["name"], "end"))
    return _svg(height, "dots", "Lines and forks of each file", parts)


# The bars.


def draw_bars(rows: Sequence[Sequence[Any]], unit: str) -> str:
    """Horizontal bars of (name, number), the largest first."""
    most = max((row[1] for row in rows), default=1) or 1
    parts = []
    for number, (name, value) in enumerate(rows):
        y = number * 26
        length = max(3.0, 540 * value / most)
        parts.append(
            f"<g><title>{escape(str(name))}: {value:,} {escape(unit)}</title>"
            f'<text x="330" y="{y + 17}" text-anchor="end">{_fit(str(name), 322)}</text>'
            f'<rect x="340" y="{y + 4}" width="{length:.1f}" height="18" rx="3"/>'
            f'<text class="value" x="{346 + length:.1f}" y="{y + 17}">{value:,}</text></g>'
        )
    return _svg(26 * len(rows) + 4, "bars", unit, parts)


def _fit(text: str, width: float) -> str:
    """As much of the text as is sure to fit, in a 12 px sans serif."""
    room = max(int(width / 6.9), 1)
    return escape(text if len(text) <= room else text[: room - 1] + "…")


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: int, kind: str, label: str, parts: Sequence[str]) -> str:
    head = f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
    return "\n".join((head, *parts, "</svg>"))


# The page.


def page(folder: str, drawings: dict[str, str], broken: Sequence[dict[str, str]]) -> str:
    """The whole page, in one file without scripts."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    rows = "\n".join(
        f"<tr><td>{escape(file['name'])}</td><td>{escape(file['broken'])}</td></tr>" for file in broken
    )
    unparsed = f"<section><h2>What does not parse</h2><table>{rows}</table></section>" if broken else ""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Survey of {escape(folder)}</title>
<style>{style}</style>
<main>
<header><h1>Survey of a code base</h1><p class="folder">{escape(folder)}</p></header>
<div class="tiles">
{drawings["tiles"]}
</div>
<section><h2>Where the lines are</h2>
<p>Each rectangle is a package: its area is its lines, its colour how often its paths fork.</p>
{drawings["packages"]}</section>
<section><h2>Long files are not the only hard ones</h2>
<p>Each dot is a file. Point at one to see its name.</p>
{drawings["scatter"]}</section>
<section><h2>The most complex functions</h2>
<p>One more than the places where the path through the function can fork.</p>
{drawings["hardest"]}</section>
<section><h2>What everybody imports</h2>
<p>In how many files each module is imported.</p>
{drawings["imports"]}</section>
{unparsed}
</main>
</html>
"""
