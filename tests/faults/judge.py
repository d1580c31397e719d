"""The judge: did all that was accepted end rightly, with one result a task, and was nothing done twice?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tests.faults.journal import Call
from tests.faults.load import Accepted, Load

MARGIN: Final = 3.0
"""Seconds. What ended so long before a fault has been reported by then, and the report is recorded."""


class Excuse(msgspec.Struct, frozen=True):
    """Whose bodies may have run twice: of processes or connections that ended in their window.

    Attributes:
        since: the fault, in seconds of the monotonic clock.
        until: when it was over.
        pids: only what had begun in these processes; None for any.
    """

    since: float
    until: float
    pids: frozenset[int] | None = None

    def holds_for(self, call: Call) -> bool:
        """Whether the call was under way, or not known to have ended, during the fault."""
        if self.pids is not None and call.pid not in self.pids:
            return False
        return call.began <= self.until and (call.ended is None or call.ended >= self.since - MARGIN)


def judge(load: Load, *excuses: Excuse) -> None:
    """Judges everything that a load has had accepted.

    Args:
        load: it has ended.
        excuses: for bodies that ran twice; without any none may have.
    """
    assert load.accepted
    wrong: list[str] = []
    for one in load.accepted:
        calls = load.journal.calls(one.id)
        for what in (
            *_ended(one),
            *_watched(one),
            *_bodies(one, calls, excuses),
            *_handled(one, load.journal.handlers(one.id)),
        ):
            wrong.append(f"{one.id} ({one.workflow}, {one.items} items): {what}")
    assert not wrong, "\n".join(wrong)


def _expected_status(one: Accepted) -> str:
    if one.cancelled:
        return "cancelled"
    return "failed" if one.workflow == "fails" else "done"


def _expected_statuses(one: Accepted) -> dict[str, str]:
    if one.workflow == "gated":
        return {"#.gate": "cancelled", "#.after": "inactive"}
    if one.workflow == "fails":
        return {"#.before": "ok", "#.bad": "failed", "#.after": "inactive"}
    if one.workflow == "chain":
        return dict.fromkeys(["#.first", *(f"#.step{number}" for number in range(20))], "ok")
    plain = ("list", "square", "total", "both", "both.left", "both.right", "gather")
    return {
        **{f"#.{name}": "ok" for name in plain},
        **{f"#.square[{number}]": "ok" for number in range(one.items)},
        **{f"#.step{number}": "ok" for number in range(5)},
        "#.never": "skipped",
    }


def _expected_results(one: Accepted) -> dict[str, Any]:
    if one.workflow == "chain":
        return {"#.step19": one.items + 21}
    total = sum(number * number for number in range(one.items))
    left, right = 2 * (total + 1) + total, 4 * (total + 1)
    return {"#.total": total, "#.both.left": left, "#.step4": left + right + total + 5}


def _tries(one: Accepted, path: str) -> int:
    """How many attempts a task takes by itself."""
    if path == "#.bad":
        return 2
    if path.startswith("#.square["):
        return 2 if int(path[9:-1]) % 10 == 3 else 1
    return 1


def _ended(one: Accepted) -> list[str]:
    """Whether it stands as it would without a fault."""
    seen = one.seen
    if one.ephemeral:
        left, expected_left = one.watcher.left, {"id": one.id, "status": "done", "deleted": True}
        wrong = [] if left == expected_left else [f"it was ephemeral, and what is left is {left}"]
        if one.watcher.status != "done":
            wrong.append(f"its watcher was told that it is {one.watcher.status} and then gone")
        return wrong
    if seen is None:
        return ["it was not read"]
    wrong = []
    if seen.status != _expected_status(one):
        wrong.append(f"it is {seen.status}")
    statuses = {path: str(state.status) for path, state in seen.statuses.items()}
    expected = _expected_statuses(one)
    if statuses != expected:
        both = statuses.keys() | expected.keys()
        differ = {path: statuses.get(path) for path in both if statuses.get(path) != expected.get(path)}
        wrong.append(f"these stand otherwise: {differ}")
    if seen.status == "done" and one.results != _expected_results(one):
        wrong.append(f"its results are {one.results}")
    return wrong


def _watched(one: Accepted) -> list[str]:
    """Whether its watcher was told everything, in order."""
    watcher, seen = one.watcher, one.seen
    wrong = [f"watched: {what}" for what in watcher.wrong]
    if seen is None:
        return wrong
    shown = {path: (str(state.status), state.attempt, state.stale) for path, state in seen.statuses.items()}
    told = {path: (s["status"], s.get("attempt", 0), s["stale"]) for path, s in watcher.statuses.items()}
    if told != shown:
        differ = {path: (told.get(path), shown.get(path)) for path in shown if told.get(path) != shown[path]}
        wrong.append(f"its watcher was told otherwise than a read (told, read): {differ}")
    if watcher.status != str(seen.status):
        wrong.append(f"its watcher ended with {watcher.status}, a read says {seen.status}")
    return wrong


def _bodies(one: Accepted, calls: Sequence[Call], excuses: Sequence[Excuse]) -> list[str]:
    """Whether each body ran as often as it should, or oftener with an excuse."""
    by_task: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_task[call.path].append(call)
    wrong = []
    groups = {"#.square"}
    for path, status in _expected_statuses(one).items():
        ran, tries = by_task.pop(path, []), _tries(one, path)
        if path in groups or status in ("inactive", "skipped"):
            if ran:
                wrong.append(f"{path} is {status} and ran")
        elif len(ran) < tries and not (ran and _lost_before_it_told(ran, tries)):
            wrong.append(f"{path} ran {len(ran)} times")
        elif len(ran) > tries and not any(excuse.holds_for(call) for excuse in excuses for call in ran):
            times = [(call.attempt, call.pid, call.began, call.ended) for call in ran]
            wrong.append(f"{path} ran {len(ran)} times: {times}")
    if by_task:
        wrong.append(f"these ran and are no tasks of it: {sorted(by_task)}")
    return wrong


def _lost_before_it_told(ran: Sequence[Call], tries: int) -> bool:
    """Whether the attempts show that an executor was lost with one whose body never began."""
    return max(call.attempt for call in ran) >= tries


def _handled(one: Accepted, handlers: Sequence[str]) -> list[str]:
    """Whether its handler was called, at least once, with how it ended."""
    expected = f"complete {_expected_status(one)}"
    return [] if expected in handlers else [f"its handler was called with {list(handlers)}"]
