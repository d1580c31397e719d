"""The table of `taskpath ls`: nothing that somebody would copy or look for is ever cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.table import Table
from rich.text import Text

from taskpath_proto.queries import InstanceSummary
from taskpath_proto.records import InstanceProgress
from taskpath_services.cli.live import words
from taskpath_services.cli.live.bars import STATUS_STYLES

GAP: Final = 2
"""The space between two columns."""

READABLE: Final = 8
"""Of a name or workflow at least so much is shown, or nothing."""


class Column(NamedTuple):
    """A column.

    Attributes:
        title: its head.
        cells: of each instance.
        gives: whether it may be cut; the id, the status and figures may not.
        right: whether it stands at the right.
    """

    title: str
    cells: Sequence[Text]
    gives: bool = False
    right: bool = False

    @property
    def width(self) -> int:
        """What it takes to show all of it."""
        return max(len(self.title), *(cell.cell_len for cell in self.cells))


DROPPED: Final = ("created", "tasks", "name", "workflow")
"""What is left out of a terminal that is too narrow, in this order."""


def table(items: Sequence[InstanceSummary], width: int) -> Table:
    """The instances as a table.

    Args:
        items: at least one.
        width: how wide the table may be.
    """
    columns = [
        Column("id", [Text(item.id) for item in items]),
        Column("workflow", [Text(item.workflow) for item in items], gives=True),
        Column("name", [Text(item.name or "") for item in items], gives=True),
        Column("status", [Text(item.status.value, STATUS_STYLES[item.status]) for item in items]),
        Column("tasks", [Text(_far(item.progress)) for item in items], right=True),
        Column("created", [Text(words.moment(item.created_at)) for item in items], right=True),
    ]
    for dropped in DROPPED:
        if _least(columns) > width:
            columns = [column for column in columns if column.title != dropped]
    made = Table(box=None, pad_edge=False, header_style="dim")
    for column, given in zip(columns, _widths(columns, width), strict=True):
        made.add_column(
            column.title,
            no_wrap=True,
            overflow="ellipsis" if column.gives else "ignore",
            width=given,
            justify="right" if column.right else "left",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*cells)
    return made


def _least(columns: Sequence[Column]) -> int:
    needed = (min(column.width, READABLE) if column.gives else column.width for column in columns)
    return sum(needed) + GAP * (len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """The width of each column: what is left by those that may not be cut is shared by the others."""
    spare = width - _least(columns)
    widths: list[int] = []
    for column in columns:
        more = 0
        if column.gives:
            more = min(max(0, spare), column.width - min(column.width, READABLE))
            spare -= more
        widths.append(min(column.width, READABLE) + more if column.gives else column.width)
    return widths


def _far(progress: InstanceProgress) -> str:
    failed = f" ({words.count(progress.failed)} failed)" if progress.failed else ""
    return f"{words.count(progress.done)} of {words.count(progress.total)}{failed}"
