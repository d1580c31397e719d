"""`taskpath ls`, `show` and `logs`: what is there."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

import msgspec
from msgspec import UNSET
from rich.console import Console
from rich.text import Text

from taskpath.client import Client, Instance, Logs, SetTasksStatuses, TaskDetails, TaskLogs
from taskpath_proto.packets import TaskLogLine
from taskpath_proto.paths import Pattern
from taskpath_proto.records import TaskStatus
from taskpath_services.cli.listing import table
from taskpath_services.cli.live import words
from taskpath_services.cli.live.bars import Picture
from taskpath_services.cli.live.tree import Tree
from taskpath_services.cli.run import gone, say_failures, title
from taskpath_services.cli.session import DONE, Access, console, print_json

AT_ONCE: Final = 16
"""How many logs are read at once."""
MOST_ITEMS: Final = 20_000
"""Of a foreach of more items those that failed are not looked for."""
SHOWN: Final = 4_000
"""How many characters of a value are shown; `--json` prints all of it."""


async def ls(
    access: Access,
    *,
    realm: str | None,
    status: str | None,
    workflow: str | None,
    name: str | None,
    limit: int,
    cursor: str | None,
    json: bool,
) -> int:
    """Lists instances."""
    async with access.client() as client:
        page = await client.list(
            realm=realm, status=status, workflow=workflow, name=name, limit=limit, cursor=cursor
        )
    if json:
        print_json(page)
        return DONE
    out = console()
    if page.items:
        # A line that is wider than the terminal is broken by it, and whole when it is copied.
        out.print(table(page.items, out.width), crop=False, no_wrap=True, overflow="ignore")
    elif cursor is not None or any((realm, status, workflow, name)):
        out.print("No instances are like that.")
    else:
        out.print(Text.assemble("No instances. Create one with ", ("taskpath run WORKFLOW", "bold"), "."))
    if page.next_cursor:
        out.print(f"More: --cursor {page.next_cursor}", style="dim", soft_wrap=True)
    return DONE


async def show(access: Access, id: str, path: str | None, *, json: bool) -> int:
    """Shows an instance, or one of its tasks."""
    async with access.client() as client:
        if path is not None:
            task = await client.task(id, path)
            if json:
                print_json(task)
            else:
                _print_task(path, task)
            return DONE
        instance = await client.get(id)
        if not json and not instance.deleted:
            await _add_failed_items(client, instance)
    if json:
        print_json(instance)
        return DONE
    out = console()
    if instance.deleted:
        out.print(gone(instance))
        return DONE
    now = time.time_ns() // 1_000_000
    elapsed = None
    if instance.started_at is not None:
        elapsed = (instance.finished_at or now) - instance.started_at
    tree = Tree.of(instance)
    out.print(Picture(tree, title(instance), now, elapsed))
    say_failures(tree, out)
    if instance.data is not None:
        _print_value(out, "data", instance.data)
    return DONE


async def _add_failed_items(client: Client, instance: Instance) -> None:
    """Reads the items that failed of a foreach that was sent as counts only, if that is not too much."""
    for path, state in list(instance.statuses.items()):
        rollup = state.rollup
        if rollup is not None and rollup.failed and rollup.total <= MOST_ITEMS and "[" not in path:
            items = (await client.get(instance.id, paths=[f"{path}[*]"])).statuses
            instance.statuses.update(
                {item: state for item, state in items.items() if state.status is TaskStatus.FAILED}
            )


def _print_task(path: str, task: TaskDetails) -> None:
    out = console()
    head = f"{path}  {task.status.value}" + ("  stale" if task.stale else "")
    out.print(head, style="bold", soft_wrap=True)
    if task.execution_time is not None:
        out.print(_when(task, task.execution_time), style="dim")
    if task.reason:
        out.print(task.reason, style="yellow")
    for attempt in task.attempts[:-1]:
        error = f": {words.error(attempt.error)}" if attempt.error else ""
        out.print(f"attempt {attempt.attempt} {attempt.status.value}{error}", style="dim")
    if task.error is not None:
        out.print(words.error(task.error), style="red", soft_wrap=True)
        if task.error.traceback:
            out.print(task.error.traceback.rstrip(), style="dim", soft_wrap=True)
    values = {
        "argument": task.argument, "result": task.body, "context": task.context,
        "context updaters": task.context_updaters or UNSET,
    }  # fmt: skip
    for what, value in values.items():
        if value is not UNSET:
            _print_value(out, what, value)


def _when(task: TaskDetails, began: int) -> str:
    """When a task ran; what is above others, and does nothing itself, only has a beginning."""
    if not task.attempt:
        return f"began at {words.moment(began)}"
    took = f", took {words.duration(task.duration)}" if task.duration is not None else ""
    usual = task.expected_duration
    usually = f", usually {words.duration(usual)}" if usual is not None else ""
    return f"attempt {task.attempt} at {words.moment(began)}{took}{usually}"


def _print_value(out: Console, what: str, value: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if len(text) > SHOWN:
        text = text[:SHOWN] + f"\n… {words.size(len(text))} in all; --json prints everything"
    out.print(what, style="bold")
    out.print(text, soft_wrap=True)


async def logs(access: Access, id: str, path: str | None, *, follow: bool, json: bool) -> int:
    """Prints what tasks logged: of one task, of those that a pattern names, or of all."""
    single = path is not None and Pattern(path).is_path
    async with access.client() as client:
        found = await _read_logs(client, id, path)
        if json and not follow:
            packets = [TaskLogs(id=id, task_path=task, lines=log.lines, next=log.next) for task, log in found]
            print_json(found[0][1] if single else packets)
            return DONE
        lines = [
            (line.time, number, task, line) for number, (task, log) in enumerate(found) for line in log.lines
        ]
        lines.sort(key=lambda entry: entry[:2])
        for _, _, task, line in lines:
            if json:
                print_json(TaskLogs(id=id, task_path=task, lines=[line], next=0))
            else:
                _print_line(None if single else task, line)
        if follow:
            sys.stdout.flush()
            await _follow_logs(client, id, path, {task: log.next for task, log in found}, json)
    return DONE


async def _read_logs(client: Client, id: str, path: str | None) -> list[tuple[str, Logs]]:
    if path is not None and Pattern(path).is_path:
        return [(path, await _whole_log(client, id, path))]
    instance = await client.get(id, paths=None if path is None else [path])
    wanted = [task for task, state in instance.statuses.items() if state.attempt > 0]
    for task, state in instance.statuses.items():
        if state.rollup is not None:
            note = f"The items of {task} are many, so they are left out; to read them: logs {id} '{task}[*]'"
            Console(stderr=True, markup=False).print(note, style="dim", highlight=False, soft_wrap=True)
    places = asyncio.Semaphore(AT_ONCE)

    async def read(task: str) -> Logs:
        async with places:
            return await _whole_log(client, id, task)

    return list(zip(wanted, await asyncio.gather(*map(read, wanted)), strict=True))


async def _whole_log(client: Client, id: str, path: str, after: int = 0) -> Logs:
    lines: list[TaskLogLine] = []
    while True:
        page = await client.logs(id, path, after=after)
        lines += page.lines
        if not page.lines or page.next == after:
            return Logs(lines=lines, next=page.next)
        after = page.next


async def _follow_logs(client: Client, id: str, path: str | None, have: dict[str, int], json: bool) -> None:
    """Prints lines as they are written, those first that were written since a log was read.

    Args:
        client: an open client.
        id: the instance.
        path: a path or pattern; None for all tasks.
        have: by task, the `next` of the lines that were printed; it is kept up to date.
        json: whether to print packets.
    """
    single = path is not None and Pattern(path).is_path

    def say(task: str, lines: list[TaskLogLine], after: int, dropped: int) -> None:
        new = min(len(lines), after - have.get(task, 0))
        lines = lines[len(lines) - new :] if new > 0 else []
        have[task] = max(after, have.get(task, 0))
        if json and (lines or dropped):
            print_json(TaskLogs(id=id, task_path=task, lines=lines, next=after, dropped=dropped))
        elif not json:
            if dropped:
                sys.stdout.write(f"… {words.count(dropped)} lines were too many to be sent\n")
            for line in lines:
                _print_line(None if single else task, line)
        sys.stdout.flush()

    first = True
    async for change in client.watch(id, None if path is None else [path], logs=True, logs_since=have):
        if isinstance(change, TaskLogs):
            say(change.task_path, change.lines, change.next, change.dropped)
        elif isinstance(change, SetTasksStatuses) and first:
            # Tasks that began between the reading and the watching.
            first = False
            for task, state in change.statuses.items():
                if state.attempt > 0 and task not in have:
                    log = await _whole_log(client, id, task)
                    say(task, log.lines, log.next, 0)


def _print_line(path: str | None, line: TaskLogLine) -> None:
    level = "" if line.level == "info" else f"{line.level}: "
    task = "" if path is None else f"{path} "
    sys.stdout.write(f"{words.moment(line.time)} {task}{level}{line.text}\n")
