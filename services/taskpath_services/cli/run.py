"""`taskpath run`, `watch` and `rerun`: what executes, and what watches."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import UNSET
from rich.console import Console
from rich.text import Text

from taskpath.client import Client, Instance, TaskpathError
from taskpath_proto.errors import ErrorCode
from taskpath_proto.paths import ROOT, Pattern
from taskpath_proto.records import InstanceStatus
from taskpath_services.cli.live import words
from taskpath_services.cli.live.follow import Form, Viewer
from taskpath_services.cli.live.tree import Tree
from taskpath_services.cli.session import DONE, Access, console, exit_code, form, parse_json, print_json


async def run(
    access: Access,
    workflow: str,
    *,
    data: str | None,
    name: str | None,
    realm: str | None,
    argument: str | None,
    logs: bool,
    detach: bool,
    json: bool,
) -> int:
    """Creates an instance, executes it, and watches it unless detached."""
    value = None if data is None else parse_json(data, "--data")
    first = UNSET if argument is None else parse_json(argument, "--argument")
    async with access.client() as client:
        # Log lines come from the moment of watching on, so then the watching begins before the workflow.
        late = logs and not detach
        argued = UNSET if late else first
        instance = await client.create(
            workflow, value, name=name, realm=realm, execute=not late, argument=argued
        )
        if detach:
            if json:
                print_json(instance)
            else:
                console().print(instance.id)
            return DONE
        start = partial(client.execute, instance.id, argument=first) if late else None
        return await _follow(client, instance.id, title(instance), None, logs=logs, json=json, start=start)


async def watch(access: Access, id: str, path: str | None, *, logs: bool, json: bool) -> int:
    """Watches an instance until it has ended."""
    async with access.client() as client:
        instance = await client.get(id, paths=[ROOT])
        if instance.deleted:
            return _say_deleted(instance, json)
        paths = None if path is None else [path]
        if path is not None and Pattern(path).is_path and instance.status is not InstanceStatus.WORKING:
            await client.task(id, path)  # what is not there will not come either: that is said
        began = instance.started_at
        return await _follow(client, id, title(instance), began, paths=paths, logs=logs, json=json)


async def rerun(
    access: Access,
    id: str,
    path: str | None,
    *,
    mode: str,
    upstream: str,
    argument: str | None,
    watch: bool,
    json: bool,
) -> int:
    """Executes an instance, or a part of it, again."""
    first = UNSET if argument is None else parse_json(argument, "--argument")
    async with access.client() as client:
        revision = await client.execute(id, path or ROOT, mode=mode, upstream=upstream, argument=first)
        if watch:
            instance = await client.get(id, paths=[ROOT])
            return await _follow(client, id, title(instance), None, logs=False, json=json)
        if json:
            print_json({"revision": revision})
        else:
            what = f"{path} of {id}" if path else id
            out = console()
            out.print(
                Text.assemble(f"Started {what}. To see it: ", (command("watch", id), "bold")), soft_wrap=True
            )
    return DONE


async def _follow(
    client: Client,
    id: str,
    title: str,
    began: int | None,
    *,
    paths: list[str] | None = None,
    logs: bool,
    json: bool,
    start: Callable[[], Awaitable[object]] | None = None,
) -> int:
    out = console()
    how = form(json, out)
    viewer = Viewer(
        client, id, title, console=out, form=how, hint="Ctrl-C ends the watching, not the workflow."
    )
    try:
        status = await viewer.show(paths, _logs(logs, paths), began=began, start=start)
    except asyncio.CancelledError:
        if how is not Form.JSON:
            come_back = command("watch", id)
            out.print(Text.assemble("It goes on. To come back: ", (come_back, "bold")), soft_wrap=True)
        raise
    if how is Form.JSON:
        await _print_last(client, id)
    else:
        say_end(viewer.tree, out)
    return exit_code(status)


async def _print_last(client: Client, id: str) -> None:
    """The instance is the last line, unless it was deleted in the meantime."""
    try:
        print_json(await client.get(id))
    except TaskpathError as error:
        if error.code is not ErrorCode.UNKNOWN_INSTANCE:
            raise


def say_end(tree: Tree, out: Console) -> None:
    """After the bars: what failed, and what to do about it."""
    if tree.status is not InstanceStatus.FAILED:
        return
    failed = say_failures(tree, out)
    if failed:
        more = command("show", tree.id, failed)
        again = command("rerun", tree.id, "--mode", "failed", "--watch")
        out.print(Text.assemble("More of it: ", (more, "bold")), soft_wrap=True)
        out.print(Text.assemble("To go on from there: ", (again, "bold")), soft_wrap=True)


def say_failures(tree: Tree, out: Console) -> str | None:
    """Says which tasks failed, and why, as far as a person wants to read it; returns the first of them."""
    failed = tree.failures()
    for path, state in failed[:3]:
        if state.error is not None:
            out.print(Text.assemble((f"✗ {path}", "red"), " ", words.error(state.error)), soft_wrap=True)
    if len(failed) > 3:
        out.print(f"  and {words.count(len(failed) - 3)} more", style="dim")
    return failed[0][0] if failed else None


def command(*words: str) -> str:
    """A command of ours as it is to be typed."""
    return shlex.join(("taskpath", *words))


def _logs(wanted: bool, paths: list[str] | None) -> bool | list[str]:
    return paths if wanted and paths else wanted


def _say_deleted(instance: Instance, json: bool) -> int:
    if json:
        print_json(instance)
    else:
        console().print(gone(instance))
    return exit_code(instance.status)


def gone(instance: Instance) -> str:
    """What there is to be said of an ephemeral instance that has ended."""
    return f"{instance.id} was ephemeral; it ended {instance.status.value} and was deleted."


def title(instance: Instance) -> str:
    """What an instance is called."""
    return f"{instance.workflow} · {instance.name}" if instance.name else instance.workflow
