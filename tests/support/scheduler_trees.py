"""Random workflows: a tree and what its functions do."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from taskpath_proto import paths
from taskpath_proto.plan import Handler, Plan, RetrySpec, TaskSpec
from tests.support.scheduler_behaviour import EVER, Behaviour, Behaviours
from tests.support.scheduler_storage import Shelf


@dataclass
class Workflow:
    """A workflow with everything that its instances need.

    Attributes:
        next: the tree that its generator makes of new data, and what the functions there do.
        handlers_fail: how many of the first calls of a handler fail.
    """

    plan: Plan
    does: Behaviours
    data: Any = "data"
    base: dict[str, Any] = field(default_factory=lambda: {"trail": [], "numbers": [1, 2, 3], "slot": []})
    next: tuple[Plan, Behaviours] | None = None
    handlers_fail: dict[Handler, int] = field(default_factory=dict)


class Grower:
    """Grows workflows.

    Args:
        random: where chance comes from.
        trouble: how likely things fail, are skipped and the like; from 0 to 1.
        poison: how likely a task ends whoever runs it.
    """

    def __init__(self, random: random.Random, trouble: float = 0.3, poison: float = 0.0) -> None:
        self._random, self._trouble, self._poison = random, trouble, poison
        self._does = Behaviours()
        self._lists = ["numbers"]
        self._left = 0
        self._chains = False

    def workflow(self, size: int = 12) -> Workflow:
        """A workflow of about so many tasks, not counting items."""
        self._left = self._random.randint(1, size)
        self._chains = self._chance(0.4)  # plain tasks, one behind the other
        count = self._random.randint(0 if self._chance(0.05) else 1, 8 if self._chains else 4)
        handlers = tuple(handler for handler in Handler if self._chance(0.25))
        return Workflow(
            Plan(tasks=self._list("#", count, 0), handlers=handlers),
            self._does,
            handlers_fail={handler: self._random.choice([0, 0, 0, 1, 2, 5]) for handler in handlers},
        )

    def changed(self, workflow: Workflow) -> tuple[Plan, Behaviours]:
        """What becomes of a tree when the data changes."""
        self._left = self._random.randint(0, 4)
        self._does = Behaviours(dict(workflow.does.by_path), set(workflow.does.killers))
        return replace(workflow.plan, tasks=self._changed("#", workflow.plan.tasks, 0)), self._does

    def _changed(self, above: str, tasks: tuple[TaskSpec, ...], depth: int) -> tuple[TaskSpec, ...]:
        kept = [self._changed_task(above, task, depth) for task in tasks if not self._chance(0.1)]
        if len(kept) > 1 and self._chance(0.1):
            kept[0], kept[1] = kept[1], kept[0]
        if self._chance(0.2):
            free = sorted({*"abcdef"} - {task.name for task in tasks})
            if free:
                new = self._task(above, self._random.choice(free), depth)
                kept.insert(self._random.randint(0, len(kept)), new)
        return tuple(kept)

    def _changed_task(self, above: str, task: TaskSpec, depth: int) -> TaskSpec:
        if self._chance(0.1):
            return _as_parallel(task, self._task(above, task.name, depth))
        if task.subtasks is None:
            return task
        fields: dict[str, Any] = {}
        if self._chance(0.15):
            fields["sequential"] = False
        if self._chance(0.15) and task.foreach is None:
            fields["run"] = not task.run
        below = self._changed(f"{above}.{task.name}", task.subtasks, depth + 1)
        return replace(task, subtasks=below, **fields)

    def _chance(self, likely: float) -> bool:
        return self._random.random() < likely

    def _list(self, above: str, count: int, depth: int) -> tuple[TaskSpec, ...]:
        names = ["a", "b", "c", "d", "e", "f", "g", "h"][:count]
        return tuple(self._task(above, name, depth) for name in names)

    def _task(self, above: str, name: str, depth: int) -> TaskSpec:
        self._left -= 1
        path = f"{above}.{name}"
        is_group = depth < 3 and self._left > 0 and self._chance(0.15 if self._chains else 0.4)
        is_foreach = self._chance(0.1 if self._chains else 0.25)
        has_run = not is_group or self._chance(0.5)
        does = self._behaviour(has_run)
        fields: dict[str, Any] = {"name": name, "run": has_run}
        if self._chance(0.3):
            fields["condition"] = True
            does.skips = self._random.choice([0, 1, 4, 8, 16]) if self._chance(self._trouble * 2) else 0
            does.raises = 1 if self._chance(self._trouble / 3) else 0
        if has_run and self._chance(0.3):
            fields["context_var"] = self._random.choice(["u", "v", "w"])
        if has_run and self._chance(0.2):
            fields["context_vars"] = ("k", "l")
        if does.fails or does.fails_from < EVER:
            if self._chance(0.7):
                fields["retry"] = RetrySpec(
                    self._random.randint(1, 4), self._random.choice([0.0, 0.5, 3.0]), 5.0
                )
            if does.hangs:
                fields["timeout"] = 600.0
        if self._chance(0.1):
            fields["queue"] = "other"
        if is_foreach:
            fields["foreach"] = True if self._chance(0.25) else self._random.choice(self._lists)
            if self._chance(0.3):
                fields["max_parallel"] = self._random.randint(1, 2)
            if not is_group and does.items is not None and not self._chance(0.3):
                does.items = None
        elif not is_group and does.items is not None:
            fields["context_var"] = f"list_{name}"
            self._lists.append(f"list_{name}")
        self._does.put(path, does)
        if is_group:
            if has_run and self._chance(0.4):
                fields["dest"] = self._random.choice(["u", "dest"])
            fields["sequential"] = self._chance(0.9 if self._chains else 0.5)
            count = 0 if self._chance(0.06) else self._random.randint(1, 6 if self._chains else 3)
            fields["subtasks"] = self._list(path, count, depth + 1)
        return TaskSpec(**fields)

    def _behaviour(self, has_run: bool) -> Behaviour:
        does = Behaviour()
        if has_run and self._chance(self._trouble):
            kind = self._random.choice(["first", "ever", "later", "hang"])
            does.fails = {"first": self._random.randint(1, 3), "ever": EVER, "later": 0, "hang": 1}[kind]
            does.fails_from = 2 if kind == "later" else EVER
            does.hangs = kind == "hang"
            does.retryable = not self._chance(0.2)
        if has_run and self._chance(0.3):
            does.items = tuple(
                self._random.choice([0, 1, 2, 3, 3, 4, 5]) for _ in range(self._random.randint(1, 3))
            )
        if has_run and self._chance(0.2):
            does.padding = self._random.choice([50, 400])
        does.kills = has_run and self._chance(self._poison)
        does.updates = has_run and self._chance(0.25)
        does.clashes = has_run and self._chance(self._trouble / 2)
        return does


def _as_parallel(old: TaskSpec, new: TaskSpec) -> TaskSpec:
    """A task in another's place, parallel if that was: in which order its subtasks ran no model knows."""
    was_parallel = old.subtasks is not None and not old.sequential
    return replace(new, sequential=False) if was_parallel else new


def some_path(random: random.Random, known: list[str]) -> str:
    """A path or pattern that has to do with the tasks at these paths."""
    if random.random() < 0.15 or not known:
        return "#"
    path = random.choice(known)
    if random.random() < 0.6:
        return path
    if random.random() < 0.15:
        return random.choice(
            ["#.**", "#.nothing", "#.*", "#.**.a", "#.**.b", "#.**[*]", "#.a.**", "#.**.c.**", "#.*.*"]
        )
    steps = path.replace("[", ".[").split(".")[1:]
    changed = []
    for step in steps:
        if random.random() < 0.4:
            changed.append("[*]" if step.startswith("[") else "*")
        elif step.startswith("[") and random.random() < 0.1:
            changed.append("[7]")
        else:
            changed.append(step)
    if random.random() < 0.15:
        del changed[random.randrange(len(changed))]
        changed.insert(0, "**")
    path = "#" + "".join(step if step.startswith("[") else "." + step for step in changed)
    return path if "][" not in path and not path.startswith("#[") else "#.**"


def known_paths(shelf: Shelf) -> list[str]:
    """Some paths of an instance's tree."""
    found: list[str] = []
    pending = [(paths.child(paths.ROOT, spec.name), spec, False) for spec in shelf.record.plan.tasks]
    while pending:
        path, spec, item = pending.pop()
        found.append(path)
        if spec.foreach is not None and not item:
            record = shelf.tasks.get(path)
            count = record.count if record is not None and record.count else 0
            pending.extend((paths.item(path, index), spec, True) for index in range(count))
        else:
            pending.extend((paths.child(path, sub.name), sub, False) for sub in spec.subtasks or ())
    return found
