"""Execute: whether a call can be accepted, and the run that it becomes."""

from __future__ import annotations

from taskpath_proto.commands import Execute
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import Pattern
from taskpath_proto.records import Mode, RunRecord, Upstream
from taskpath_services.scheduler.frames import Run
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Tree
from taskpath_services.scheduler.readiness import first_unready
from taskpath_services.scheduler.selection import Around, Pick, Take, existing, overlap, resolve, widened
from taskpath_services.scheduler.walk import begin

_TAKES = {Mode.ALL: Take.ALL, Mode.STALE: Take.STALE, Mode.FAILED: Take.FAILED}


def execute(instance: Instance, command: Execute) -> None:
    """Accepts an execute and starts its run.

    Raises:
        TaskpathError: INVALID_PATH, CANNOT_FIND_TASK, INVALID_REQUEST, ALREADY_RUNNING or CANNOT_START_TASK.
    """
    pattern = Pattern(command.path)
    if command.argument is not None and pattern.names_items and not pattern.is_path:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"An argument cannot be given to {command.path}: each item of a foreach receives its own.",
            path=command.path,
        )
    tree = instance.tree
    there, upstream = _covered(tree, pattern, command)
    pick = _widened(tree, there, command.mode, upstream)
    claim = _widened(tree, resolve(tree, pattern.steps, _TAKES[command.mode]), command.mode, upstream)
    for run in instance.runs.values():
        busy = overlap(tree, run.claim, claim)
        if busy is not None:
            raise TaskpathError(
                ErrorCode.ALREADY_RUNNING, f"{busy} is part of an execute that is not over.", path=busy
            )
    if upstream is Upstream.REQUIRE:
        unready = first_unready(tree, there)
        if unready is not None:
            raise TaskpathError(
                ErrorCode.CANNOT_START_TASK,
                f"{command.path} cannot start: {unready.path} before it is not done, or is stale.",
                path=unready.path,
            )
    record = RunRecord(
        number=instance.next(),
        path=command.path,
        mode=command.mode,
        upstream=upstream,
        argument=command.argument,
    )
    instance.runs_changed = True
    instance.started_at = instance.now if not instance.runs else instance.started_at
    begin(instance, Run(record, pick, claim))


def named(tree: Tree, pattern: Pattern, take: Take = Take.ALL) -> Pick:
    """The tasks that a pattern stands for.

    Raises:
        TaskpathError: CANNOT_FIND_TASK.
    """
    pick = resolve(tree, pattern.steps, take)
    there = existing(tree.root, pick) if pick is not None else None
    if there is None:
        raise TaskpathError(
            ErrorCode.CANNOT_FIND_TASK,
            f"There is no task {pattern.text} in this instance."
            if pattern.is_path
            else f"No task of this instance matches {pattern.text}.",
            path=pattern.text,
        )
    return there


def _covered(tree: Tree, pattern: Pattern, command: Execute) -> tuple[Pick, Upstream]:
    """What the path stands for, and what is to be done about what stands before it.

    A path before which nothing is missing needs nothing to be run, so that two calls that might run the same
    tasks before theirs, but need not, can go side by side.
    """
    take = _TAKES[command.mode]
    possible = resolve(tree, pattern.steps, take) if command.upstream is Upstream.RUN else None
    if possible is not None:
        missing = first_unready(tree, possible, lists=True) is not None
        if missing:
            return possible, Upstream.RUN
        there = named(tree, pattern, take)
        return (there, Upstream.REQUIRE) if pattern.is_path else (possible, Upstream.RUN)
    return named(tree, pattern, take), command.upstream


def _widened(tree: Tree, pick: Pick | None, mode: Mode, upstream: Upstream) -> Pick:
    """Everything that a call covers: what it names, what it runs before that, what failures held up."""
    around = Around(upstream=upstream is Upstream.RUN, held=mode is Mode.FAILED)
    return widened(tree.root.spec, pick, around) if pick is not None else Pick()


def taken_up(tree: Tree, record: RunRecord) -> Run:
    """A run that an earlier owner began, with nothing under way yet."""
    possible = resolve(tree, Pattern(record.path).steps, _TAKES[record.mode])
    there = possible
    if possible is not None and record.upstream is not Upstream.RUN:
        # What it named was there when it was accepted, and may be gone: what it held up goes on all the same.
        there = existing(tree.root, possible) or possible
    pick = _widened(tree, there, record.mode, record.upstream)
    claim = _widened(tree, possible, record.mode, record.upstream)
    return Run(record, pick, claim)
