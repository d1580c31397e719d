"""What authors write: apps, generators, tasks, functions, values. Each test shows a claim of the contract."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import os
import threading
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

import taskpath
from taskpath import App, Retry, Task, TaskContext, TaskpathError
from taskpath.testing import run
from tests.support.authors import app_of, error_of, outcome, result_of, serving
from tests.support.process_app import app as process_app


@pytest.mark.contract("python.app")
async def test_an_app_is_made_of_what_taskpath_exports() -> None:
    app = taskpath.App()

    @app.workflow("album", queue="images")
    def album(data: Any) -> list[taskpath.Task]:
        """Resizes an album."""
        return [taskpath.Task("list", lambda arg: arg, retry=taskpath.Retry())]

    assert callable(album)
    assert {"Client", "TaskContext", "TaskpathError", "UpdaterError"} <= set(taskpath.__all__)
    assert app.workflows["album"].queue == "images"
    assert app.workflows["album"].description == "Resizes an album."
    assert (await run(app, "album", 7)).results["#.list"] == 7


def tree(data: Any) -> list[Task]:
    return [Task(f"t{number}", len) for number in range(data)]


async def later(data: Any) -> list[Task]:
    return tree(data)


def one_by_one(data: Any) -> Any:
    yield from tree(data)


async def one_by_one_later(data: Any) -> Any:
    for task in tree(data):
        yield task


@pytest.mark.contract("python.generator")
@pytest.mark.parametrize("generator", [tree, later, one_by_one, one_by_one_later])
async def test_a_generator_is_sync_or_async(generator: Any) -> None:
    app = App()
    app.workflow("w")(generator)
    assert (await run(app, "w", 2, argument=[])).statuses.keys() == {"#.t0", "#.t1"}


@dataclasses.dataclass
class Album:
    name: str
    count: int = 1


class Photo(msgspec.Struct):
    id: int


@pytest.mark.contract("python.typed-data")
async def test_data_may_be_typed(tmp_path: Path) -> None:
    app, seen = App(), list[Any]()

    @app.workflow("album")
    def album(data: Album) -> list[Task]:
        seen.append(data)
        return [Task("first", lambda arg: arg)]

    @app.workflow("photo")
    def photo(data: Photo) -> list[Task]:
        seen.append(data)
        return []

    # The generator receives the type, tasks receive JSON.
    assert (await run(app, "album", {"name": "Sea"})).results["#.first"] == {"name": "Sea"}
    assert (await run(app, "album", Album("Sea", 2))).results["#.first"] == {"name": "Sea", "count": 2}
    await run(app, "photo", {"id": 7})
    assert seen == [Album("Sea"), Album("Sea", 2), Photo(7)]

    with pytest.raises(TaskpathError, match="count: Expected `int`, got `str`") as caught:
        await run(app, "album", {"name": "Sea", "count": "2"})
    assert caught.value.code == "INVALID_DATA"

    async with serving(app, tmp_path) as client, aiohttp.ClientSession() as http:
        async with http.get(f"{client.url}/api/v1/workflows") as response:
            schemas = {item["name"]: item["schema"] for item in (await response.json())["items"]}
        assert schemas["album"]["$defs"]["Album"]["properties"]["count"] == {"type": "integer", "default": 1}
        body = {"workflow": "photo", "data": {"id": "seven"}}
        async with http.post(f"{client.url}/api/v1/instances", json=body) as response:
            assert response.status == 422
            error = (await response.json())["error"]
        assert error["code"] == "INVALID_DATA"
        assert "id" in error["message"]


class Resize:
    """An object that can be called."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, arg: int) -> int:
        return self.factor * arg

    async def method(self, arg: int, ctx: TaskContext) -> list[Any]:
        return [self.factor * arg, ctx.path]


async def with_nothing() -> str:
    return "nothing"


def with_both(arg: int, ctx: TaskContext) -> list[Any]:
    return [arg, ctx.path]


@pytest.mark.contract("python.functions")
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: "nothing", "nothing"),
        (with_nothing, "nothing"),
        (lambda arg: arg + 1, 8),
        (with_both, [7, "#.t"]),
        (Resize(3), 21),
        (Resize(3).method, [21, "#.t"]),
        (functools.partial(max, 5), 7),
        (str, "7"),
    ],
)
async def test_a_function_takes_as_much_as_it_likes(function: Any, expected: Any) -> None:
    assert await result_of(function, 7) == expected


@pytest.mark.contract("python.functions")
async def test_plain_functions_run_in_threads_and_coroutines_on_the_loop() -> None:
    async def on_the_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert await result_of(on_the_loop)
    assert not await result_of(lambda: threading.current_thread() is threading.main_thread())


@pytest.mark.contract("python.process")
async def test_a_task_runs_in_a_process_of_a_pool() -> None:
    ended = await run(process_app, "w", ["item"])
    pid, item = ended.results["#.where[0]"]
    assert pid != os.getpid()
    assert item == "item"


@pytest.mark.contract("python.task-fields")
async def test_a_task_takes_all_its_keywords() -> None:
    plain = Task(
        "plain",
        lambda arg: {"a": 1, "b": 2},
        description="Finds the photos",
        condition=lambda context: True,
        context_var="found",
        context_vars=["a", "b"],
        retry=Retry(attempts=2),
        timeout=60,
        queue="images",
        process=False,
        on_complete=lambda result: "found",
        debug=lambda result, context: None,
    )
    group = Task(
        "group",
        lambda arg: "own",
        foreach=None,
        dest="archive",
        subtasks=[
            Task("first", lambda arg, ctx: ctx.context["archive"]),
            Task("second", lambda arg, ctx: ctx.context["a"]),
        ],
        sequential=True,
    )
    items = Task("items", lambda arg: arg, foreach="list", max_parallel=1)
    ended = await outcome(plain, group, items, base_context={"list": [1, 2]})
    assert ended.status == "done", ended.errors
    assert ended.results["#.group.first"] == "own"
    assert ended.results["#.group.second"] == 1
    assert ended.results["#.items"] == [1, 2]
    assert ended.context == {"list": [1, 2], "found": {"a": 1, "b": 2}, "a": 1, "b": 2}
    assert ended.logs["#.plain"] == ["found"]


@pytest.mark.contract("python.dict-form")
async def test_the_seeds_dict_form() -> None:
    ended = await outcome(
        {"name": "find", "task": lambda: [1, 2], "contextVar": "photos"},
        {
            "name": "publish",
            "task": lambda arg: {"zip": len(arg)},
            "condition": lambda context: bool(context["photos"]),
            "onComplete": lambda result: f"{result['zip']} photos",
            "debug": lambda result, context: None,
            "dest": "archive",
            "subtasks": {
                "cdn": {"task": lambda arg, ctx: ctx.context["archive"]["zip"]},
                "mail": {"subtasks": [{"name": "send", "task": lambda: "sent"}]},
            },
        },
    )
    assert ended.status == "done", ended.errors
    assert ended.results["#.publish.cdn"] == 2
    assert ended.results["#.publish.mail"] == {"send": "sent"}
    assert ended.logs["#.publish"] == ["2 photos"]


@pytest.mark.contract("python.values")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (Album("Sea"), {"name": "Sea", "count": 1}),
        (Photo(7), {"id": 7}),
        (
            [{"when": datetime.datetime(2030, 1, 2, 3, 4, tzinfo=datetime.UTC)}],
            [{"when": "2030-01-02T03:04:00Z"}],
        ),
        (datetime.date(2030, 1, 2), "2030-01-02"),
        (None, None),
        ({7: "seven"}, {"7": "seven"}),
    ],
)
async def test_a_result_is_what_json_makes_of_it(value: Any, expected: Any) -> None:
    ended = await outcome(Task("t", lambda: value), Task("next", lambda arg: arg))
    assert ended.results == {"#.t": expected, "#.next": expected}


@pytest.mark.contract("python.values-refused")
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (float("nan"), "NaN"),
        ([float("inf")], "Infinity"),
        ({"a": b"raw"}, "bytes"),
        (object(), "object"),
        ({1, 2}, "set"),
    ],
)
async def test_what_json_has_no_form_for_fails_the_task(value: Any, word: str) -> None:
    error = await error_of(lambda: value)
    assert error.code == "EXECUTION_FAILED"
    assert word in error.message
    assert error.path == "#.t"


@pytest.mark.contract("python.condition")
async def test_a_false_condition_skips_and_the_argument_passes_through() -> None:
    calls = list[Any]()
    ended = await outcome(
        Task("first", lambda: "from the first", context_var="first"),
        Task("skipped", calls.append, condition=lambda context: context["first"] != "from the first"),
        Task("last", lambda arg: arg),
    )
    assert ended.status == "done"
    assert ended.statuses["#.skipped"] == "skipped"
    assert ended.results["#.last"] == "from the first"
    assert "#.skipped" not in ended.results
    assert calls == []


@pytest.mark.contract("python.on-complete")
async def test_on_complete_returns_text_for_the_log_and_fails_nothing() -> None:
    ended = await outcome(
        Task("said", lambda: {"size": 3}, on_complete=lambda result: f"{result['size']} bytes"),
        Task("nothing", lambda: 1, on_complete=lambda result: None),
        Task("raises", lambda: 1, on_complete=lambda result: result["size"]),
    )
    assert ended.status == "done"
    assert ended.logs["#.said"] == ["3 bytes"]
    assert ended.logs["#.nothing"] == []
    (line,) = ended.logs["#.raises"]
    assert line.startswith("on_complete raised TypeError")


@pytest.mark.contract("python.debug")
@pytest.mark.parametrize(("setting", "called"), [("1", True), ("0", False), (None, False)])
async def test_debug_is_called_when_debugging_is_on(
    setting: str | None, called: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is not None:
        monkeypatch.setenv("TASKPATH_DEBUG", setting)
    seen = list[Any]()
    tasks = [
        Task("t", lambda: 7, debug=lambda result, context: seen.append((result, dict(context)))),
        Task("fails", lambda: 1 / 0, debug=lambda result, context: seen.append("never")),
    ]
    await run(app_of(*tasks), "w", base_context={"a": 1})
    assert seen == ([(7, {"a": 1})] if called else [])
