"""Every row of the contract has a test that says so."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.contract.rows import ROWS

FOLDER = Path(__file__).parent


def shown() -> dict[str, list[str]]:
    """The ids that tests carry the marker with, and where."""
    found: dict[str, list[str]] = {}
    for file in sorted(FOLDER.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.contract":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{file.name}:{node.lineno}: ids are texts"
                    found.setdefault(str(argument.value), []).append(f"{file.name}:{node.lineno}")
    return found


def test_every_row_has_an_id_of_its_own() -> None:
    assert [id for id, count in Counter(row.id for row in ROWS).items() if count > 1] == []


def test_every_row_has_a_test() -> None:
    marked = shown()
    missing = [f"{row.id}: {row.claim}" for row in ROWS if not row.later and row.id not in marked]
    assert not missing, "no test shows:\n" + "\n".join(missing)


def test_what_comes_later_has_no_test_yet() -> None:
    marked = shown()
    assert [f"{row.id} ({row.later})" for row in ROWS if row.later and row.id in marked] == []


def test_every_marker_names_a_row() -> None:
    known = {row.id for row in ROWS}
    assert {id: places for id, places in shown().items() if id not in known} == {}
