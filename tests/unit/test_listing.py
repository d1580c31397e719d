"""The table of `taskpath ls`, in terminals of all widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from taskpath_proto.queries import InstanceSummary
from taskpath_proto.records import InstanceProgress, InstanceStatus
from taskpath_services.cli.listing import table

ID = "6b8f98b193b839d522ab53b3a5fc971e"


def lines(width: int, *names: str | None, workflow: str = "album") -> list[str]:
    items = [
        InstanceSummary(
            id=ID,
            workflow=workflow,
            realm="default",
            name=name,
            status=InstanceStatus.CANCELLED,
            progress=InstanceProgress(total=12_000, done=3, failed=1),
            created_at=0,
            updated_at=0,
        )
        for name in names
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(table(items, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [45, 60, 80, 100, 120, 10_000])
def test_ids_and_statuses_are_whole_and_nothing_is_wider_than_the_terminal(width: int) -> None:
    head, *rows = lines(width, "a name that is far too long for any terminal " * 3, None)
    assert len(rows) == 2
    for row in rows:
        assert ID in row
        assert "cancelled" in row
    assert max(map(len, (head, *rows))) <= width


def test_where_there_is_room_everything_is_shown() -> None:
    _, row = lines(10_000, "a name that is far too long for any terminal " * 3)
    assert row.count("a name that is far too long") == 3
    assert "3 of 12,000 (1 failed)" in row


def test_names_give_way_before_figures_do() -> None:
    _, row = lines(110, "a name that is far too long")
    assert "…" in row
    assert "(1 failed)" in row


@pytest.mark.parametrize("name", ["[/b] x", "Photos [draft]", "[red]"])
def test_what_people_wrote_is_no_markup(name: str) -> None:
    _, row = lines(200, name, workflow="w")
    assert name in row
