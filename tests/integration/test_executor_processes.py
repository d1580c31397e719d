"""Functions in worker processes: found by path, linked to their ctx, replaced when they die."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from taskpath import App, Task
from taskpath_proto.errors import ErrorCode
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import TaskFinished, TaskProgressed, TaskStarted
from tests.support.owner import executing, inline, result_of
from tests.support.process_app import app


async def test_functions_run_in_other_processes_and_find_their_arguments() -> None:
    async with executing(app, processes=2) as (owner, _):
        orders = [owner.order(f"#.where[{number}]", {"n": number}) for number in range(20)]
        reports = [*await owner.run("w", *orders), await owner.task("w", "#.where[3].sub", "ä")]
        later = await owner.task("w", "#.later", 1)
    results = [result_of(report) for report in reports]
    assert [result[1] for result in results] == [*({"n": number} for number in range(20)), "ä"]
    pids = {result[0] for result in results}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    assert result_of(later) == ["later", 1]


async def test_ctx_works_across_the_process() -> None:
    async with executing(app, processes=1) as (owner, _):
        order = owner.order("#.speak", previous=inline([{"n": {"$set": 1}}]))
        (report,) = await owner.run("w", order, data={"d": 1}, base={"n": 1})
        assert owner.lines["#.speak"] == ['said {"by":"ctx"}', "said by logging"]
        progressed = await owner.heard(TaskProgressed)
    assert result_of(report) == [2, {"d": 1}, [{"n": {"$set": 1}}], "i1/#.speak/1", "default", False]
    assert report.updaters == Inline('[{"n":{"$set":2}}]')
    assert [(one.fraction, one.message) for one in progressed] == [(0.5, "half")]


async def test_failures_conditions_and_on_complete() -> None:
    async with executing(app, processes=1) as (owner, _):
        fail, leave, nan, said = [
            await owner.task("w", f"#.{name}") for name in ("fail", "leave", "nan", "said")
        ]
        (skipped,) = await owner.run("w", owner.order("#.skipped", condition=True))
        assert owner.lines["#.said"] == [f"pid {result_of(said)[0]}"]
    assert fail.error is not None
    assert (fail.error.type, fail.error.message, fail.error.path) == ("ValueError", "out of paper", "#.fail")
    assert fail.error.traceback is not None
    assert "in fail" in fail.error.traceback
    assert fail.retryable
    assert leave.error is not None
    assert leave.error.type == "SystemExit"
    assert nan.error is not None
    assert "NaN" in nan.error.message
    assert skipped.status is TaskStatus.SKIPPED


async def test_a_process_that_dies_fails_only_what_it_ran() -> None:
    async with executing(app, processes=1) as (owner, executor):
        before = await owner.task("w", "#.die[0]")
        died, *others = await owner.run(
            "w", owner.order("#.die[1]", "die"), *(owner.order(f"#.die[{n}]", n) for n in (2, 3))
        )
        assert executor.ready
    assert died.error is not None
    assert died.error.code is ErrorCode.EXECUTION_FAILED
    assert died.error.type == "WorkerDied"
    assert "exit code 7" in died.error.message
    assert died.retryable
    assert [result_of(report)[1] for report in others] == [2, 3]
    assert {result_of(report)[0] for report in others} != {result_of(before)[0]}


async def test_a_timeout_kills_the_process() -> None:
    async with executing(app, processes=1) as (owner, _):
        first = await owner.task("w", "#.where[0]")
        late, good = await owner.run("w", owner.order("#.hang[0]"), owner.order("#.where[1]", 1))
    assert late.error is not None
    assert late.error.type == "TimeoutError"
    assert late.error.message.endswith("0.5 s")
    assert result_of(good)[1] == 1
    assert result_of(good)[0] != result_of(first)[0]


async def test_cancelling_kills_the_process_and_what_waits_is_not_begun(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    never = tmp_path / "never"
    async with executing(app, processes=1) as (owner, _):
        running = owner.order("#.wait[0]", str(begun))
        waiting = [owner.order(f"#.wait[{number}]", str(never)) for number in (1, 2)]
        other = owner.order("#.where[0]", "other")
        await owner.send("w", running, *waiting, other)
        # Started is reported of what runs longer than a moment.
        (started,) = await owner.heard(TaskStarted)
        assert started.command == running.command
        await owner.cancel(*waiting)
        await owner.cancel(running)
        assert result_of(await owner.finished(other))[1] == "other"
        assert len([one for one in owner.reports if isinstance(one, TaskFinished)]) == 1
    assert not never.exists()


async def test_an_app_that_no_process_can_import() -> None:
    hidden = App()
    hidden.workflow("w")(lambda: [Task("t", print, process=True)])
    async with executing(hidden, processes=1) as (owner, _):
        report = await owner.task("w", "#.t")
    assert report.error is not None
    assert "variable of a module" in report.error.message


async def test_an_app_whose_import_fails_in_the_process(tmp_path: Path) -> None:
    broken = tmp_path / "broken_app.py"
    broken.write_text("raise RuntimeError('no such printer')\n")
    hidden = App()
    hidden.workflow("w")(lambda: [Task("t", print, process=True)])
    hidden._source = str(broken)
    async with executing(hidden, processes=1) as (owner, executor):
        report = await owner.task("w", "#.t")
        assert executor.ready
    assert report.error is not None
    assert "no such printer" in report.error.message


async def test_stopping_ends_the_processes(tmp_path: Path) -> None:
    async with executing(app, processes=2, grace=0.01) as (owner, _):
        pid = result_of(await owner.task("w", "#.where[0]"))[0]
        await owner.send("w", owner.order("#.wait[0]", str(tmp_path / "begun")))
        await owner.heard(TaskStarted)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not [task for task in asyncio.all_tasks() if "executor" in task.get_name()]
