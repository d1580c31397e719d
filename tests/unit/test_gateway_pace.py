"""How often is sent, and who is there."""

from __future__ import annotations

import pytest

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat, WorkflowAnnouncement
from taskpath_services.gateway.directory import AWAY_MS, MOST_NAMED, Directory
from taskpath_services.gateway.pace import BURST, INTERVAL_MS, Pace

NOW = 1_700_000_000_000


def sent_within(milliseconds: int, cost: float = 0.5) -> int:
    pace, count = Pace(), 0
    for now in range(NOW, NOW + milliseconds):
        if pace.due(now):
            pace.sent(now, cost)
            count += 1
    return count


def test_the_first_go_out_at_once_and_then_one_an_interval() -> None:
    assert sent_within(1) == 1
    assert sent_within(BURST) == BURST
    assert sent_within(30 * INTERVAL_MS) == pytest.approx(30 + BURST, abs=1)


def test_what_is_expensive_takes_a_tenth_of_the_time() -> None:
    assert sent_within(10_000, cost=50) == pytest.approx(20 + BURST, abs=2)
    assert sent_within(10_000, cost=5_000) == pytest.approx(10 + BURST, abs=2)


def test_what_was_expensive_once_silences_nothing() -> None:
    pace, count = Pace(), 0
    for now in range(NOW, NOW + 30 * INTERVAL_MS):
        if pace.due(now):
            count += 1
            pace.sent(now, 150.0 if count % 10 == 0 else 0.5)
    assert count == pytest.approx(30 + BURST, abs=1)


def test_what_is_urgent_may_go_before_its_time_without_silencing_the_rest() -> None:
    pace = Pace()
    for _ in range(100):
        pace.sent(NOW, 0.5)
    assert not pace.due(NOW)
    assert pace.due(NOW + 2 * INTERVAL_MS)


def announced(executor: str, *workflows: str, leaving: bool = False) -> ExecutorAnnounced:
    return ExecutorAnnounced(
        executor=executor,
        queues=("default",),
        workflows=tuple(WorkflowAnnouncement(name, "q") for name in workflows),
        leaving=leaving,
    )


def code(directory: Directory, workflow: str, now: int) -> ErrorCode:
    with pytest.raises(TaskpathError) as refused:
        directory.find(workflow, now)
    return refused.value.code


def test_a_workflow_is_served_away_or_unknown() -> None:
    directory = Directory(NOW)
    directory.hear(announced("e", "album"), NOW)
    assert directory.find("album", NOW + AWAY_MS - 1).queue == "q"
    assert code(directory, "album", NOW + AWAY_MS) is ErrorCode.NO_EXECUTOR
    assert code(directory, "other", NOW) is ErrorCode.UNKNOWN_WORKFLOW
    with pytest.raises(TaskpathError, match=r"no workflow 'other'; there is album\.$"):
        directory.find("other", NOW)
    directory.hear(announced("many", *(f"w{number}" for number in range(MOST_NAMED))), NOW)
    with pytest.raises(TaskpathError, match=r"GET /api/v1/workflows lists them\.$"):
        directory.find("other", NOW)
    directory.hear(announced("e", "album", leaving=True), NOW + AWAY_MS)
    assert code(directory, "album", NOW + AWAY_MS) is ErrorCode.NO_EXECUTOR


def test_a_gateway_that_has_just_begun_does_not_call_a_workflow_unknown() -> None:
    directory = Directory(NOW)
    assert code(directory, "album", NOW + 100) is ErrorCode.NO_EXECUTOR
    assert code(directory, "album", NOW + AWAY_MS) is ErrorCode.UNKNOWN_WORKFLOW


def test_executors_that_are_long_gone_are_forgotten_their_workflows_are_not() -> None:
    directory = Directory(NOW)
    directory.hear(announced("e", "album"), NOW)
    assert [view.status for view in directory.executors(NOW + AWAY_MS)] == ["away"]
    assert directory.executors(NOW + 3_600_000) == []
    assert [view.executors for view in directory.workflows(NOW + 3_600_000)] == [[]]


def test_a_heartbeat_keeps_an_executor_there_and_its_end_takes_it_away() -> None:
    directory = Directory(NOW)
    directory.hear_beat(ExecutorBeat("e", NOW, 3), NOW)
    assert directory.executors(NOW) == []
    directory.hear(announced("e", "album"), NOW)
    directory.hear_beat(ExecutorBeat("e", NOW, 3), NOW + AWAY_MS)
    (view,) = directory.executors(NOW + AWAY_MS + 1)
    assert (view.status, view.running, view.last_heartbeat) == ("serving", 3, NOW + AWAY_MS)
    assert directory.find("album", NOW + AWAY_MS + 1).queue == "q"
    directory.hear_beat(ExecutorBeat("e", NOW, gone=True), NOW + AWAY_MS + 2)
    assert directory.executors(NOW + AWAY_MS + 2) == []
    assert code(directory, "album", NOW + AWAY_MS + 2) is ErrorCode.NO_EXECUTOR
