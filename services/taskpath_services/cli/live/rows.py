"""What is said of each task, line by line: a pure function of the tree and the time."""

from __future__ import annotations

from typing import NamedTuple

from taskpath.client import RollupView, TaskState
from taskpath_proto.paths import ROOT
from taskpath_proto.records import TaskStatus
from taskpath_services.cli.live import words
from taskpath_services.cli.live.tree import OVER, Tree

LONG = 1_500
"""An item that runs longer than this, in ms, is worth a line of its own."""
SHOWN_ITEMS = 3
WORTH_WAITING = 3_000
"""What usually takes less than this, in ms, is over before anybody asks how long it takes."""


class Row(NamedTuple):
    """One line.

    Attributes:
        guide: the lines of the tree before the name.
        name: of the task.
        description: of the task.
        status: of the task.
        moves: whether something happens there.
        fraction: how much of it is done, from 0 to 1; None if nobody knows.
        amount: the same in words.
        time: how long it took or has been running, in words.
        note: what else is to be known.
        bad: whether the note is about something that went wrong.
    """

    guide: str
    name: str
    description: str
    status: TaskStatus
    moves: bool
    fraction: float | None
    amount: str
    time: str
    note: str
    bad: bool


def rows(tree: Tree, now: int, height: int | None = None) -> list[Row]:
    """The lines of a tree.

    Args:
        tree: its state.
        now: ms since epoch.
        height: at most so many lines; groups in which nothing moves are folded, the last ones first.
    """
    lines = _lines(tree, now, folded=frozenset())
    if height is None or len(lines) <= height:
        return lines
    folded: set[str] = set()
    for path in sorted(tree.tasks, key=lambda path: (-path.count("."), path)):
        if tree.children(path) and not tree.moves(path) and tree.state(path).status is not TaskStatus.FAILED:
            folded.add(path)
            lines = _lines(tree, now, frozenset(folded))
            if len(lines) <= height:
                return lines
    more = len(lines) - height + 1
    last = Row("", f"… and {more} more", "", TaskStatus.INACTIVE, False, None, "", "", "", False)
    return [*lines[: max(height - 1, 0)], last]


def _lines(tree: Tree, now: int, folded: frozenset[str]) -> list[Row]:
    found: list[Row] = []
    _add(tree, ROOT, "", now, folded, found)
    return found


def _add(tree: Tree, parent: str, guide: str, now: int, folded: frozenset[str], found: list[Row]) -> None:
    children = tree.children(parent)
    for number, path in enumerate(children):
        last = number == len(children) - 1
        branch, stem = ("└─ ", "   ") if last else ("├─ ", "│  ")
        if parent == ROOT:
            branch = stem = ""
        found.append(_row(tree, path, guide + branch, now))
        inner = guide + stem
        for item, state in _worth_showing(tree, path, now):
            found.append(_item_row(item, state, inner + "╰╴", now))
        if path not in folded and not tree.tasks[path].foreach:
            _add(tree, path, inner, now, folded, found)


def _row(tree: Tree, path: str, guide: str, now: int) -> Row:
    task, state, rollup = tree.tasks[path], tree.state(path), tree.rollup(path)
    note, bad = _note(state, now)
    if rollup is None:
        fraction, amount = _own_progress(state)
    else:
        fraction, amount = _rollup_progress(state, rollup)
        retried = tree.retried(path)
        if not note:
            note, bad = _rollup_note(rollup, retried), rollup.failed > 0
    time, moves = tree.time(path, now), tree.moves(path)
    if moves and not bad and (usual := _usual(state, time)):
        note = f"{usual}, {note}" if note else usual
    return Row(
        guide, task.name, task.description, state.status, moves, fraction, amount, _said(time), note, bad
    )


def _item_row(path: str, state: TaskState, guide: str, now: int) -> Row:
    fraction, amount = _own_progress(state)
    note, bad = _note(state, now)
    name, time = path[path.rindex("[") :], _item_time(state, now)
    moves = state.status is TaskStatus.RUNNING
    if moves and not bad and (usual := _usual(state, time)):
        note = f"{usual}, {note}" if note else usual
    return Row(guide, name, "", state.status, moves, fraction, amount, _said(time), note, bad)


def _worth_showing(tree: Tree, path: str, now: int) -> list[tuple[str, TaskState]]:
    """The items that a person wants to see: those that failed, wait for a retry, or run for long."""
    items = tree.items.get(path)
    if not items:
        return []
    if tree.state(path).status in (TaskStatus.OK, TaskStatus.SKIPPED):
        return []
    failed = [(item, state) for item, state in items.items() if state.status is TaskStatus.FAILED]
    moving = [
        (item, state)
        for item, state in items.items()
        if (state.status is TaskStatus.RUNNING and now - (state.execution_time or now) > LONG)
        or (state.status is TaskStatus.QUEUED and state.retry is not None and state.retry.next_at is not None)
    ]
    return (failed[:SHOWN_ITEMS] + moving)[:SHOWN_ITEMS]


def _own_progress(state: TaskState) -> tuple[float | None, str]:
    if state.status in (TaskStatus.OK, TaskStatus.SKIPPED):
        return 1.0, ""
    if state.progress is not None:
        return state.progress.fraction, f"{state.progress.fraction:.0%}"
    if state.status in (TaskStatus.RUNNING, TaskStatus.QUEUED):
        return None, ""
    return (1.0 if state.status is TaskStatus.FAILED else 0.0), ""


def _rollup_progress(state: TaskState, rollup: RollupView) -> tuple[float | None, str]:
    over = rollup.ok + rollup.failed + rollup.skipped + rollup.cancelled
    if rollup.total == 0:
        return (1.0 if state.status in OVER else 0.0), ""
    done = words.count(rollup.ok + rollup.skipped)
    return over / rollup.total, f"{done} of {words.count(rollup.total)}"


def _rollup_note(rollup: RollupView, retried: int) -> str:
    parts = []
    if rollup.failed:
        parts.append(f"{words.count(rollup.failed)} failed")
    if rollup.cancelled:
        parts.append(f"{words.count(rollup.cancelled)} cancelled")
    if rollup.stale:
        parts.append(f"{words.count(rollup.stale)} stale")
    if rollup.running > 1:
        parts.append(f"{words.count(rollup.running)} running")
    if retried:
        parts.append(f"{words.count(retried)} tried again")
    return ", ".join(parts)


def _note(state: TaskState, now: int) -> tuple[str, bool]:
    retry = state.retry
    if state.status is TaskStatus.FAILED and state.error is not None:
        tries = f" (attempt {retry.try_} of {retry.attempts})" if retry and retry.try_ > 1 else ""
        return words.error(state.error) + tries, True
    if retry is not None and retry.next_at is not None and state.status is TaskStatus.QUEUED:
        reason = f": {words.error(state.error)}" if state.error is not None else ""
        again = words.duration(max(0.0, retry.next_at - now))
        return f"attempt {retry.try_} of {retry.attempts} in {again}{reason}", True
    if state.reason and state.status is TaskStatus.QUEUED:
        return state.reason, True
    parts = []
    if state.progress is not None and state.progress.message and state.status is TaskStatus.RUNNING:
        parts.append(state.progress.message)
    if retry is not None and retry.try_ > 1:
        parts.append(f"attempt {retry.try_} of {retry.attempts}")
    elif state.attempt > 1:
        parts.append(f"attempt {state.attempt}")
    if state.stale:
        parts.append("stale")
    if state.status in (TaskStatus.SKIPPED, TaskStatus.CANCELLED):
        parts.append(state.status.value)
    return ", ".join(parts), False


def _usual(state: TaskState, time: int | None) -> str:
    """What is left of the time that a task usually takes; that time, if it has taken longer already."""
    usual = state.expected_duration
    if usual is None or usual < WORTH_WAITING or time is None:
        return ""
    left = usual - time
    return f"about {words.rough(left)} left" if left > 0 else f"usually {words.rough(usual)}"


def _item_time(state: TaskState, now: int) -> int | None:
    if state.status is TaskStatus.RUNNING and state.execution_time is not None:
        return max(0, now - state.execution_time)
    return state.duration if state.status in OVER else None


def _said(time: int | None) -> str:
    return "" if time is None else words.duration(time)
