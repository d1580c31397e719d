"""A survey of a code base: finds its Python files, measures each on every core, and draws a report.

    taskpath up examples/codebase/app.py
    taskpath run codebase                                     (Python's own standard library)
    taskpath run codebase --data '{"folder": "~/my-project"}'

Read `codebase` at the end of the file first: it is the tree that you see moving. The functions above it are
its tasks, in the order in which they run. None of them knows that it is part of a workflow, apart from the
`ctx` that lets it say how far it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from measures import DoesNotParse, Function, measure
from report import draw_bars, draw_map, draw_scatter, draw_tiles, page

from taskpath import App, Retry, Task, TaskContext

app = App()

SKIPPED = {"site-packages", "dist-packages", "__pycache__", "node_modules"}


@dataclass
class Wanted:
    """The data of the workflow. Being typed, it is checked before anything starts.

    Attributes:
        folder: the folder to survey; by default Python's own standard library.
        report: the folder that the report is written to.
        limit: at most so many files.
    """

    folder: str | None = None
    report: str = "codebase-report"
    limit: int | None = None


class File(TypedDict):
    """A file to measure: where it is, and its name inside the folder."""

    path: str
    name: str


class Survey(TypedDict):
    """What the files amount to: the measured ones and those that do not parse."""

    files: list[dict[str, Any]]
    broken: list[dict[str, str]]


# 1. find: a plain function. It runs in a thread, so it may block.


def find(data: dict[str, Any] | None, ctx: TaskContext) -> dict[str, Any]:
    """Looks for Python files. The first task receives the data, as JSON has it."""
    wanted = Wanted(**(data or {}))
    folder = Path(wanted.folder or sysconfig.get_path("stdlib")).expanduser().resolve()
    target = Path(wanted.report).expanduser().resolve()
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; `folder` in the data names the one to survey")
    ctx.log("looking in", str(folder))
    files: list[File] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(place, name)
                files.append({"path": str(path), "name": path.relative_to(folder).as_posix()})
        ctx.progress(min(0.99, len(files) / 1800), f"{len(files)} files so far")
    files = files[: wanted.limit]
    target.mkdir(parents=True, exist_ok=True)
    numbers = target / "numbers.json"
    return {
        "files": files,
        "target": str(target),
        "earlier": str(numbers) if numbers.is_file() else None,
        "folder": str(folder),
    }


# 2. recall: runs only if there is something to recall. At the first survey you see it skipped.


def recall(found: dict[str, Any], ctx: TaskContext) -> dict[str, int]:
    """Reads the totals of the survey before this one."""
    totals: dict[str, int] = json.loads(Path(found["earlier"]).read_text())["totals"]
    ctx.log("last time:", totals)
    return totals


# 3. measure: one task for each file, as many at once as there are cores.


def measure_file(file: File, ctx: TaskContext) -> dict[str, Any]:
    """Measures one file, in a worker process: parsing is work for a core, and threads would take turns.

    That a file does not parse is an answer and no failure: Python's own tests contain files that must not.
    """
    try:
        return {"name": file["name"], **measure(Path(file["path"]))}
    except DoesNotParse as error:
        ctx.log("does not parse,", str(error))
        return {"name": file["name"], "broken": str(error)}


# 4. count: has a function of its own, and subtasks. They run in parallel, and receive its result.


def sort_out(measured: list[dict[str, Any]], ctx: TaskContext) -> Survey:
    """Receives the results of all items, in the order of the list, whichever ended first."""
    survey: Survey = {
        "files": [file for file in measured if "broken" not in file],
        "broken": [file for file in measured if "broken" in file],
    }
    ctx.log(len(survey["files"]), "files measured,", len(survey["broken"]), "do not parse")
    return survey


async def count_totals(survey: Survey) -> dict[str, int]:
    """Coroutines are as good as functions; they run in the executor's loop."""
    names = ("lines", "functions", "classes", "branches")
    totals = {name: sum(file[name] for file in survey["files"]) for name in names}
    return {"files": len(survey["files"]), **totals, "broken": len(survey["broken"])}


def find_hardest(survey: Survey) -> list[dict[str, Any]]:
    """The most complex functions of all."""
    found: list[tuple[str, Function]] = [(f["name"], hard) for f in survey["files"] for hard in f["hardest"]]
    found.sort(key=lambda pair: (-pair[1]["complexity"], pair[0]))
    return [{"file": file, **function} for file, function in found[:15]]


def count_imports(survey: Survey) -> list[tuple[str, int]]:
    """Which modules are imported by the most files. JSON has no tuples: the next task gets lists."""
    return Counter(module for file in survey["files"] for module in file["imports"]).most_common(15)


def measure_packages(survey: Survey) -> list[dict[str, Any]]:
    """Lines and branches by package: the first folder of a file, or its own name."""
    packages: dict[str, dict[str, int]] = defaultdict(lambda: {"files": 0, "lines": 0, "branches": 0})
    for file in survey["files"]:
        package = packages[file["name"].partition("/")[0].removesuffix(".py")]
        package["files"] += 1
        package["lines"] += file["lines"]
        package["branches"] += file["branches"]
    return sorted(({"name": name, **sums} for name, sums in packages.items()), key=lambda p: -p["lines"])


# 5. report: its subtasks run one after the other, and hand on what they return.


def draw(counts: dict[str, Any], ctx: TaskContext) -> dict[str, str]:
    """Receives `{"totals": …, "hardest": …, "imports": …, "packages": …}`: the results of `count`, by name.

    `survey` is in the context: what a task leaves by `context_var` is there for all that come after it.
    """
    survey: Survey = ctx.context["survey"]
    ctx.progress(0.1, "the numbers")
    tiles = draw_tiles(counts["totals"], ctx.context.get("before"))
    ctx.progress(0.3, "the map of packages")
    packages = draw_map(counts["packages"])
    ctx.progress(0.6, f"{len(survey['files'])} dots")
    scatter = draw_scatter(survey["files"])
    ctx.progress(0.9, "the bars")
    return {
        "tiles": tiles,
        "packages": packages,
        "scatter": scatter,
        "imports": draw_bars(counts["imports"], "files import it"),
        "hardest": draw_bars(
            [(f"{h['name']} · {h['file']}:{h['line']}", h["complexity"]) for h in counts["hardest"]],
            "complexity",
        ),
    }


class FolderIsBusy(Exception):
    """Somebody else is writing to the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others out of a folder. The lock goes with its holder, even if that is killed."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderIsBusy(
                f"{folder.name} is locked by another task; it will be free in a moment"
            ) from None
        yield


def compose(drawings: dict[str, str], ctx: TaskContext) -> dict[str, str]:
    """The own function of `write`: the texts that its subtasks write. They see them as `texts`."""
    context = ctx.context
    numbers = {"totals": context["totals"], "time": time.time()}
    return {
        "index.html": page(context["folder"], drawings, context["survey"]["broken"]),
        "numbers.json": json.dumps(numbers, indent=2),
    }


def write_page(_texts: dict[str, str], ctx: TaskContext) -> dict[str, Any]:
    """The page, for people."""
    return write("index.html", ctx)


def write_numbers(_texts: dict[str, str], ctx: TaskContext) -> dict[str, Any]:
    """The numbers, for the survey after this one."""
    return write("numbers.json", ctx)


def write(name: str, ctx: TaskContext) -> dict[str, Any]:
    """Writes a file of the report as if the disk were slow.

    The two files are written by parallel tasks, and the folder has one lock. Whoever comes second fails, for
    an honest reason, and is tried again: that is the retry that you see. The second is for you: on a
    real disk it would be over before you could look.
    """
    path, text = Path(ctx.context["target"]) / name, ctx.context["texts"][name]
    with locked(path.parent):
        ctx.log("attempt", ctx.attempt, "has the lock")
        for tenth in range(1, 11):
            if ctx.cancelled:
                raise InterruptedError("cancelled while writing")
            ctx.progress(tenth / 10, f"{tenth * len(text) // 10:,} of {len(text):,} characters")
            time.sleep(0.1)
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    return {"path": str(path), "bytes": path.stat().st_size}


def check(written: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Receives the results of both writers, by name; returns what the instance is about."""
    text = Path(written["page"]["path"]).read_text(encoding="utf-8")
    if not text.endswith("</html>\n"):
        raise ValueError("the page is not complete")
    return {"report": written["page"]["path"], "bytes": sum(file["bytes"] for file in written.values())}


@app.workflow("codebase", description="Measures a code base on every core and draws a report")
def codebase(_wanted: Wanted | None) -> list[Task]:
    """The tree. Root tasks run one after the other; each receives the result of the one before."""
    busy = Retry(attempts=8, backoff=0.4, max_delay=2, on=(FolderIsBusy,))
    return [
        Task(
            "find",
            find,
            description="Find the Python files",
            context_vars=("files", "folder", "target", "earlier"),
            on_complete=lambda found: f"{len(found['files'])} files in {found['folder']}",
        ),
        Task(
            "recall",
            recall,
            description="Recall the last survey",
            condition=lambda context: context["earlier"] is not None,
            context_var="before",
        ),
        Task(
            "measure",
            measure_file,
            description="Parse and measure each file",
            foreach="files",
            process=True,
            timeout=60,
        ),
        Task(
            "count",
            sort_out,
            description="Add everything up",
            context_var="survey",
            subtasks=[
                Task("totals", count_totals, description="Lines, functions, classes", context_var="totals"),
                Task("hardest", find_hardest, description="The most complex functions"),
                Task("imports", count_imports, description="The most imported modules"),
                Task("packages", measure_packages, description="The size of each package"),
            ],
        ),
        Task(
            "report",
            description="Make the report",
            sequential=True,
            subtasks=[
                Task("draw", draw, description="Draw the plots"),
                Task(
                    "write",
                    compose,
                    dest="texts",
                    description="Write two files into one folder",
                    subtasks=[
                        Task("page", write_page, description="The page, for people", retry=busy),
                        Task("numbers", write_numbers, description="The numbers, for next time", retry=busy),
                    ],
                ),
                Task("check", check, description="Read it back", on_complete=lambda done: done["report"]),
            ],
        ),
    ]
