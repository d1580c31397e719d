"""Execute: whether a call can be accepted, and the run that it becomes."""

from __future__ import annotations

from taskpath.staleness import after
from taskpath_proto.commands import Execute
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import Pattern
from taskpath_proto.records import Mode, RunRecord, Upstream
from taskpath_services.scheduler.frames import Run
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node, Tree
from taskpath_services.scheduler.selection import WHOLE, Pick, Take, child_of, overlap, resolve
from taskpath_services.scheduler.statuses import is_done
from taskpath_services.scheduler.walk import begin


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
    pick = picked(instance.tree, command.path, command.mode, command.upstream)
    for run in instance.runs.values():
        busy = overlap(run.pick, pick, instance.tree.root)
        if busy is not None:
            raise TaskpathError(
                ErrorCode.ALREADY_RUNNING,
                f"{busy.path} is part of an execute that is not over.",
                path=busy.path,
            )
    if command.upstream is Upstream.REQUIRE:
        unready = first_unready(instance.tree.root, pick, 0)
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
        upstream=command.upstream,
        argument=command.argument,
    )
    instance.runs_changed = True
    instance.started_at = instance.now if not instance.runs else instance.started_at
    begin(instance, Run(record, pick))


def picked(tree: Tree, path: str, mode: Mode, upstream: Upstream) -> Pick:
    """Everything that a call covers: what its path stands for, what failures held up, what is run before it.

    Raises:
        TaskpathError: INVALID_PATH, or CANNOT_FIND_TASK.
    """
    pick = resolve(tree, path, mode)
    if mode is Mode.FAILED:
        return _with_held(pick)
    if upstream is Upstream.RUN:
        return _with_upstream(tree.root, pick)
    return pick


def _with_held(pick: Pick) -> Pick:
    """Besides what is picked, whatever never ran, wherever it is."""
    if pick.take is not None:
        return pick
    wide = Pick(Take.HELD)
    wide.children = {key: _with_held(child) for key, child in pick.children.items()}
    wide.every = _with_held(pick.every) if pick.every is not None else None
    return wide


def _with_upstream(node: Node, pick: Pick) -> Pick:
    """Besides what is picked, whatever stands before it and is not fresh."""
    if pick.take is not None or node.group is None:
        return pick
    wide = Pick()
    wide.own = Take.STALE if node.inside.own is not None else None
    wide.every = pick.every
    for key, below in pick.children.items():
        child = child_of(node, key)
        wide.children[key] = _with_upstream(child, below) if child is not None else below
    if node.spec.sequential and node.kind is not Kind.FOREACH:
        last = max(
            (node.inside.by_name[key].position for key in pick.children if isinstance(key, str)), default=0
        )
        for child in node.inside.children[:last]:
            if child is not None and child.key not in wide.children:
                wide.children[child.key] = WHOLE[Take.STALE]
    return wide


def first_unready(node: Node, pick: Pick, threshold: int) -> Node | None:
    """The first task outside the pick that stands before a picked one and is not fresh.

    Args:
        node: a group.
        pick: what is picked in it.
        threshold: the greatest ``left`` before it.
    """
    if pick.take is not None or node.group is None:
        return None
    inside = node.inside
    if inside.own is not None:
        if pick.own is None and (
            not is_done(inside.own) or (node.bound <= threshold and node.kind is Kind.GROUP)
        ):
            return node
        threshold = after(threshold, is_done(inside.own), inside.own_left)
    if node.kind is Kind.FOREACH or not node.spec.sequential:
        for key, below in pick.children.items():
            child = child_of(node, key)
            found = first_unready(child, below, threshold) if child is not None else None
            if found is not None:
                return found
        return None
    if pick.every is not None:
        return None
    last = max((inside.by_name[key].position for key in pick.children if isinstance(key, str)), default=-1)
    for child in inside.children[: last + 1]:
        assert child is not None
        picked_here = pick.below(child.key)
        if picked_here is None:
            found = first_stale(child, threshold)
        else:
            found = first_unready(child, picked_here, threshold)
        if found is not None:
            return found
        if picked_here is None or is_done(child.status):
            threshold = after(threshold, is_done(child.status), child.left)
    return None


def first_stale(node: Node, threshold: int) -> Node | None:
    """The first task at or below a node that is not done or not fresh."""
    if not is_done(node.status):
        return node
    if node.group is None:
        return node if node.bound <= threshold else None
    inside = node.inside
    if inside.own is not None:
        if node.bound <= threshold:
            return node
        threshold = after(threshold, is_done(inside.own), inside.own_left)
    if node.kind is Kind.FOREACH and not node.spec.subtasks:
        stale = any(count for bound, count in inside.bounds.items() if bound <= threshold)
        if not stale:
            return None
    for child in inside.children:
        if child is None:
            continue
        found = first_stale(child, threshold)
        if found is not None:
            return found
        if node.spec.sequential and node.kind is not Kind.FOREACH:
            threshold = after(threshold, is_done(child.status), child.left)
    return None
