"""Handlers, the client, and running workflows in tests. Each test shows a claim of the contract."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskpath import App, Client, Task, TaskContext, TaskpathError
from taskpath.testing import run
from tests.support.authors import app_of, outcome, serving


def fail(arg: Any) -> None:
    raise ValueError("out of paper")


@pytest.mark.contract("python.handlers")
async def test_handlers_are_told_how_an_instance_ended() -> None:
    app, calls = App(), list[Any]()

    @app.workflow("w")
    def w(data: Any) -> list[Task]:
        return [Task("t", fail if data == "bad" else len)]

    @app.on_error
    def failed(instance_id: str, error: TaskpathError) -> None:
        calls.append(("error", error.code, error.info.path, str(error)))

    @app.on_complete
    async def completed(instance_id: str, status: str) -> None:
        calls.append(("complete", status))

    await run(app, "w", "good")
    assert calls == [("complete", "done")]
    calls.clear()
    await run(app, "w", "bad")
    assert sorted(calls) == [
        ("complete", "failed"),
        ("error", "EXECUTION_FAILED", "#.t", "out of paper"),
    ]


@pytest.mark.contract("python.handlers")
async def test_a_handler_is_told_of_a_deletion(tmp_path: Path) -> None:
    app, deleted = app_of(Task("t", len)), asyncio.Queue[str]()

    @app.on_delete
    async def on_delete(instance_id: str) -> None:
        deleted.put_nowait(instance_id)

    async with serving(app, tmp_path) as client:
        instance = await client.create("w", "data")
        await client.delete(instance.id)
        assert await deleted.get() == instance.id


@pytest.mark.contract("python.handlers")
async def test_a_handler_that_fails_is_called_again() -> None:
    app, calls = app_of(Task("t", len)), list[str]()

    @app.on_complete
    def completed(instance_id: str, status: str) -> None:
        calls.append(status)
        if len(calls) < 2:
            raise ConnectionError("no mail server")

    assert (await run(app, "w", "data")).status == "done"
    assert calls == ["done", "done"]


CALLS = (
    "create execute get list update delete delete_realm cancel set_context_updaters watch wait result logs"
)


@pytest.mark.contract("python.client")
async def test_a_client_has_a_method_for_everything(tmp_path: Path) -> None:
    def work(arg: Any, ctx: TaskContext) -> Any:
        ctx.log("worked")
        ctx.update_context({"n": {"$set": arg}})
        return arg

    assert [name for name in CALLS.split() if not callable(getattr(Client, name, None))] == []
    async with serving(app_of(Task("t", work)), tmp_path) as client:
        instance = await client.create("w", 7, realm="mine", name="seven")
        await client.execute(instance.id)
        assert (await client.wait(instance.id)).status == "done"
        assert await client.result(instance.id, "#.t") == 7
        assert [line.text for line in (await client.logs(instance.id, "#.t")).lines] == ["worked"]
        assert [item.id for item in (await client.list(realm="mine")).items] == [instance.id]
        await client.set_context_updaters(instance.id, "#.t", [{"n": {"$set": 8}}])
        assert (await client.task(instance.id, "#.t")).context_updaters == [{"n": {"$set": 8}}]
        await client.update(instance.id, {"$set": 9})
        assert (await client.get(instance.id)).data == 9
        await client.cancel(instance.id)
        packets = [packet async for packet in client.watch(instance.id)]
        assert packets
        assert await client.delete_realm("mine") == 1
        again = await client.create("w")
        await client.delete(again.id)
        assert (await client.list()).items == []


@pytest.mark.contract("python.client-errors")
async def test_errors_have_a_code(tmp_path: Path) -> None:
    async with serving(app_of(Task("t", len)), tmp_path) as client:
        with pytest.raises(TaskpathError) as caught:
            await client.get("nobody")
        assert caught.value.code == "UNKNOWN_INSTANCE"
        with pytest.raises(TaskpathError) as caught:
            await client.create("nothing")
        assert caught.value.code == "UNKNOWN_WORKFLOW"


@pytest.mark.contract("python.client-url")
async def test_a_client_finds_its_gateway_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(inspect.signature(Client).parameters)[:2] == ["url", "token"]
    async with serving(app_of(Task("t", len)), tmp_path) as there:
        monkeypatch.setenv("TASKPATH_URL", there.url)
        async with Client() as client:
            assert client.url == there.url
            assert (await client.list()).items == []


@pytest.mark.contract("python.testing")
async def test_a_failed_workflow_is_a_result() -> None:
    ended = await outcome(Task("t", fail), Task("never", len))
    assert ended.status == "failed"
    assert ended.statuses == {"#.t": "failed", "#.never": "inactive"}


@pytest.mark.contract("python.testing")
async def test_what_cannot_be_run_at_all_raises() -> None:
    app = app_of(Task("t", len))
    app.workflow("broken")(lambda: 1 / 0)
    for workflow, data, code, words in (
        ("nothing", None, "UNKNOWN_WORKFLOW", "no workflow 'nothing'; it has broken, w"),
        ("broken", None, "SCHEDULER_ERROR", "generator of workflow 'broken' failed: division by zero"),
        ("w", object(), "INVALID_DATA", "The data is not JSON"),
    ):
        with pytest.raises(TaskpathError, match=words) as caught:
            await run(app, workflow, data)
        assert caught.value.code == code


@pytest.mark.contract("python.testing")
async def test_what_does_not_end_in_time() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match=r"'w' has not ended within 0.3 s; #.group.t is "):
        await outcome(Task("group", subtasks=[Task("t", forever)]), timeout=0.3)


@pytest.mark.contract("python.testing")
def test_it_runs_without_any_test_framework(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "from taskpath import App, Task\n"
        "from taskpath.testing import run\n"
        "app = App()\n"
        "app.workflow('w')(lambda data: [Task('t', lambda arg: 2 * arg)])\n"
        "print(asyncio.run(run(app, 'w', 21)).results['#.t'])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("42\n", "", 0)


@pytest.mark.contract("python.testing-result")
async def test_what_a_result_tells() -> None:
    def write(arg: Any, ctx: TaskContext) -> Any:
        ctx.log("item", arg)
        ctx.update_context({"sum": {"$set": ctx.context.get("sum", 0) + arg}})
        return {"n": arg}

    ended = await run(
        app_of(
            Task("list", lambda arg, ctx: ctx.realm and [1, 2], context_var="list"),
            Task("items", write, foreach="list"),
            Task("group", lambda: "own", subtasks=[Task("good", lambda: 1), Task("bad", fail)]),
            Task("never", len),
        ),
        "w",
        base_context={"base": True},
        realm="mine",
        timeout=30,
    )
    assert ended.status == "failed"
    assert ended.statuses["#.items[1]"] == "ok"
    assert ended.statuses["#.group"] == "failed"
    assert ended.results["#.items[1]"] == {"n": 2}
    assert ended.results["#.items"] == [{"n": 1}, {"n": 2}]
    assert ended.results["#.group"] == "own"
    assert ended.context == {"base": True, "list": [1, 2], "sum": 2}
    assert ended.logs["#.items[0]"] == ["item 1"]
    assert ended.logs["#.never"] == []
    assert ended.errors.keys() == {"#.group.bad"}
    error = ended.errors["#.group.bad"]
    assert (error.code, str(error), error.info.type) == ("EXECUTION_FAILED", "out of paper", "ValueError")
    with pytest.raises(KeyError, match=r"#\.group\.bad is failed and has no result"):
        ended.results["#.group.bad"]
    with pytest.raises(KeyError, match=r"there is no task '#\.gruop'"):
        ended.statuses["#.gruop"]
    with pytest.raises(KeyError, match="there is no task"):
        ended.logs["#.gruop"]


@pytest.mark.contract("python.testing-result")
async def test_large_values_are_told_as_well() -> None:
    large = "x" * 100_000
    ended = await outcome(
        Task("t", lambda: large, context_var="large"),
        Task("group", subtasks=[Task("a", lambda arg: arg), Task("b", lambda arg: arg)]),
        data=large,
        base_context={"base": large},
    )
    assert ended.results["#.t"] == large
    assert ended.results["#.group"] == {"a": large, "b": large}
    assert ended.context == {"base": large, "large": large}
