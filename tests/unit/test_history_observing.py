"""What a change tells of how long something took."""

from __future__ import annotations

from collections import defaultdict

from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange, Rollup, TaskChange, TaskStatus
from taskpath_services.storage.history.observing import Observer
from taskpath_services.storage.history.times import Times

OK, RUNNING, FAILED = TaskStatus.OK, TaskStatus.RUNNING, TaskStatus.FAILED


def event(now: int, *tasks: TaskChange, id: str = "a") -> InstanceChanged:
    return InstanceChanged(id, 0, 1, now, now - 1, list(tasks), instance=InstanceChange(updated_at=now))


def task(path: str, status: TaskStatus = OK, duration: int | None = 5) -> TaskChange:
    return TaskChange(path=path, status=status, duration=duration)


def group(path: str, status: TaskStatus, *, ok: int = 0, total: int = 4, failed: int = 0) -> TaskChange:
    return TaskChange(path=path, status=status, rollup=Rollup(total, ok=ok, failed=failed))


def seen(observer: Observer, *events: InstanceChanged) -> dict[str, Times]:
    found: defaultdict[str, Times] = defaultdict(Times)
    for one in events:
        observer.look(one, found.__getitem__)
    return dict(found)


def took(*durations: int, tasks: int = 0) -> Times:
    times = Times()
    for duration in durations:
        times.add(duration, tasks)
    return times


def test_only_what_ended_well_counts() -> None:
    tasks = [task("#.a[3]"), task("#.b", FAILED), task("#.c", TaskStatus.CANCELLED), task("#.d", RUNNING)]
    skipped = task("#.e", TaskStatus.SKIPPED, None)
    unchanged = TaskChange(path="#.f", duration=4)
    assert seen(Observer(), event(1, *tasks, skipped, unchanged)) == {"#.a[*]": took(5)}


def test_a_group_takes_from_its_first_change_to_its_last() -> None:
    found = seen(
        Observer(),
        event(100, group("#", RUNNING), group("#.g", TaskStatus.QUEUED)),
        event(150, group("#.g", RUNNING, ok=2), task("#.g.a", duration=40)),
        event(180, group("#.g", OK, ok=4)),
        event(210, group("#", OK, ok=4)),
    )
    assert found == {"#.g.a": took(40), "#.g": took(80)}


def test_a_foreach_tells_how_many_tasks_it_had() -> None:
    began, ended = group("#.each", RUNNING, total=0), group("#.each", OK, ok=20, total=20)
    ended.bounds = ((1, 20),)
    assert seen(Observer(), event(5, began), event(25, ended)) == {"#.each": took(20, tasks=20)}


def test_the_function_of_a_group_is_not_the_group() -> None:
    own = TaskChange(path="#.g", status=RUNNING, own=OK, duration=7, rollup=Rollup(2))
    assert seen(Observer(), event(5, own)) == {}


def test_the_rest_of_a_run_says_nothing_of_a_whole_one() -> None:
    failed = [event(10, group("#.g", RUNNING)), event(20, group("#.g", FAILED, ok=3, failed=1))]
    rest = [event(30, group("#.g", RUNNING, ok=3)), event(35, group("#.g", OK, ok=4))]
    assert seen(Observer(), *failed, *rest) == {}


def test_what_waits_between_two_steps_goes_on() -> None:
    events = [event(1, group("#.g", RUNNING)), event(2, group("#.g", TaskStatus.INACTIVE, ok=1))]
    events += [event(3, group("#.g", RUNNING, ok=1)), event(9, group("#.g", OK, ok=4))]
    assert seen(Observer(), *events) == {"#.g": took(8)}


def test_a_clock_that_goes_back_makes_nothing_negative() -> None:
    assert seen(Observer(), event(9, group("#.g", RUNNING)), event(4, group("#.g", OK, ok=4))) == {
        "#.g": took(0)
    }


def test_instances_do_not_mix() -> None:
    began, other = event(1, group("#.g", RUNNING)), event(3, group("#.g", OK), id="b")
    assert seen(Observer(), began, other) == {}


def test_only_so_many_groups_are_kept_in_mind() -> None:
    observer = Observer(most=2)
    assert seen(observer, *(event(1, group("#.g", RUNNING), id=id) for id in "abc")) == {}
    ends = [event(4, group("#.g", OK), id=id) for id in "abc"]
    assert seen(observer, *ends) == {"#.g": took(3, 3)}
