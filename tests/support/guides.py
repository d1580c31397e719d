"""The examples of the guides in docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

GUIDES: Final = Path(__file__).parents[2] / "docs"
_NAMED: Final = re.compile(r"(?:#|//) ([\w.]+)")


def blocks(guide: str, language: str) -> list[str]:
    """The examples of a guide in a language."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def unpack(guide: str, folder: Path, language: str = "python") -> list[str]:
    """Writes the files that a guide shows, each named in its first line; gives their names."""
    names = []
    for block in blocks(guide, language):
        named = _NAMED.match(block)
        assert named, f"this example of {guide} does not say which file it is, so it is not run:\n{block}"
        names.append(named[1])
        (folder / named[1]).write_text(block, encoding="utf-8")
    return names


def steps(guide: str) -> list[tuple[str, str]]:
    """The commands that a guide gives, and what it shows that they print."""
    found = [step for block in blocks(guide, "console") for step in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [(command, printed.strip()) for command, _, printed in (step.partition("\n") for step in found)]


def shown(text: str) -> re.Pattern[str]:
    """What a guide shows, as a pattern: ``…`` stands for anything."""
    return re.compile(".*?".join(map(re.escape, text.split("…"))), re.DOTALL)
