"""Draws an instance for a terminal: a line and a bar for each task."""

from __future__ import annotations

from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taskpath_proto.paths import ROOT
from taskpath_proto.records import InstanceStatus, TaskStatus
from taskpath_services.cli.live import words
from taskpath_services.cli.live.rows import Row, rows
from taskpath_services.cli.live.tree import Tree

_SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SIGNS = {
    TaskStatus.INACTIVE: ("·", "dim"),
    TaskStatus.QUEUED: ("○", "yellow"),
    TaskStatus.RUNNING: ("●", "cyan"),
    TaskStatus.OK: ("✓", "green"),
    TaskStatus.FAILED: ("✗", "bold red"),
    TaskStatus.SKIPPED: ("↷", "dim"),
    TaskStatus.CANCELLED: ("■", "magenta"),
}
_PLAIN = dict(zip("·○●✓✗↷■", ".o*+x>#", strict=True))
_COLORS = {
    TaskStatus.OK: "green",
    TaskStatus.FAILED: "red",
    TaskStatus.SKIPPED: "bright_black",
    TaskStatus.CANCELLED: "magenta",
}
STATUS_STYLES = {
    InstanceStatus.INACTIVE: "dim",
    InstanceStatus.WORKING: "cyan",
    InstanceStatus.DONE: "bold green",
    InstanceStatus.FAILED: "bold red",
    InstanceStatus.CANCELLED: "bold magenta",
}


SHORTEST: Final = 16
"""So much of a title is shown beside everything else; if there is less room, the id has a line of its own."""


class Picture:
    """An instance at a moment, as something that rich can print.

    Args:
        tree: its state.
        title: what it is called.
        now: ms since epoch.
        elapsed: ms since it began.
        hint: a last line, for as long as it moves.
    """

    def __init__(self, tree: Tree, title: str, now: int, elapsed: int | None, hint: str = "") -> None:
        self._tree = tree
        self._title = title
        self._now = now
        self._elapsed = elapsed
        self._hint = hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fancy = options.encoding.startswith("utf") and not options.legacy_windows
        width = options.max_width
        heads = self._heads(width)
        height = max(options.max_height - 4 - len(heads), 3) if self._hint and console.is_terminal else None
        lines = rows(self._tree, self._now, height)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=min(16, width // 3))
        if width >= 110:
            longest = max((len(line.description) for line in lines), default=0)
            table.add_column(no_wrap=True, overflow="ellipsis", style="dim", width=min(longest, width // 4))
        table.add_column(width=max(10, min(28, width // 6)) if width >= 48 else 4)
        table.add_column(no_wrap=True, justify="right", min_width=self._amount_width())
        table.add_column(no_wrap=True, justify="right", min_width=6, style="dim")
        if width >= 72:
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
            table.expand = console.is_terminal
        for line in lines:
            table.add_row(*self._cells(line, width, fancy))
        parts: list[RenderableType] = [*heads, table]
        if self._hint:
            parts.append(Text(self._hint, style="dim"))
        yield Group(*parts)

    def _amount_width(self) -> int:
        """How wide amounts become, so that nothing shifts meanwhile."""
        totals = [self._tree.rollup(path) for path in self._tree.children(ROOT)]
        most = max((rollup.total for rollup in totals if rollup), default=0)
        return len(f"{most:,} of {most:,}") if most else 4

    def _heads(self, width: int) -> list[Text]:
        """The first line, or two if one is too narrow: of these things only the title may be cut."""
        id, facts = Text(self._tree.id, style="dim"), self._facts()
        title = Text(self._title, style="bold", no_wrap=True)
        room = width - id.cell_len - facts.cell_len - 4
        if room >= min(title.cell_len, SHORTEST):
            title.truncate(room, overflow="ellipsis")
            return [Text.assemble(title, "  ", id, "  ", facts, no_wrap=True)]
        title.truncate(max(1, width - facts.cell_len - 2), overflow="ellipsis")
        return [Text.assemble(title, "  ", facts, no_wrap=True, overflow="ellipsis"), id]

    def _facts(self) -> Text:
        status = self._tree.status or InstanceStatus.INACTIVE
        head = Text()
        head.append("deleted" if self._tree.deleted else status.value, style=STATUS_STYLES[status])
        progress = self._tree.progress
        if progress.total and status is not InstanceStatus.INACTIVE:
            head.append(f"  {words.count(progress.done)} of {words.count(progress.total)} tasks", style="dim")
        if self._elapsed is not None:
            head.append(f"  {words.duration(self._elapsed)}", style="dim")
        return head

    def _cells(self, line: Row, width: int, fancy: bool) -> list[RenderableType]:
        sign, style = _SIGNS[line.status]
        if line.moves:
            sign, style = _SIGNS[TaskStatus.RUNNING]
        if line.moves and fancy:
            sign = _SPIN[self._now // 100 % len(_SPIN)]
        quiet = line.status in (TaskStatus.INACTIVE, TaskStatus.SKIPPED)
        name = Text.assemble((line.guide, "dim"), (sign if fancy else _PLAIN[sign], style), " ")
        name.append(line.name, style="dim" if quiet else "")
        if not fancy:
            name.plain = name.plain.translate(str.maketrans("├└│╰─╴…", "|`|`--~"))
        cells: list[RenderableType] = [name]
        if width >= 110:
            cells.append(line.description)
        cells.append(_bar(line, self._now) if line.name and not line.name.startswith("…") else "")
        cells += [Text(line.amount), Text(line.time)]
        if width >= 72:
            cells.append(Text(line.note, style="red" if line.bad else "dim"))
        return cells


def _bar(line: Row, now: int) -> ProgressBar:
    color = _COLORS.get(line.status, "cyan")
    return ProgressBar(
        total=1.0,
        completed=line.fraction or 0.0,
        pulse=line.fraction is None and line.status is TaskStatus.RUNNING,
        animation_time=now / 1_000,
        style="bright_black",
        complete_style=color,
        finished_style=color,
        pulse_style="cyan",
    )
