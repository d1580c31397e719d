"""What comes from outside in a random life and is no execution: names, data, updaters, keys."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from taskpath_proto.commands import Accepted, Execute, SetContextUpdaters, UpdateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from tests.support.scheduler_functions import inline
from tests.support.scheduler_model import ABSENT, Model, Refused
from tests.support.scheduler_trees import Grower, Workflow, known_paths
from tests.support.scheduler_world import World


@dataclass
class Life:
    """An instance of the simulation, and what is known of it."""

    id: str
    model: Model
    workflow: Workflow
    grower: Grower
    ephemeral: bool = False
    counter: int = 0
    revision: int = 0
    execute: Execute | None = None
    argument: Any = ABSENT
    call: int = 0
    again: int | None = None
    cancel: int | None = None
    update: int | None = None
    data: str = ""
    replanted: bool = False
    name: str | None = None
    renames: dict[int, str] = field(default_factory=dict)
    lost: set[tuple[str, int]] = field(default_factory=set)
    keys: dict[str, tuple[Execute, int]] = field(default_factory=dict)

    def replant(self) -> None:
        """The model has the new data, too."""
        self.model.replant(self.workflow.plan, self.workflow.does, self.data)

    def forgives(self, answer: Accepted | TaskpathError) -> bool:
        """Whether an answer only says that the instance is gone, as it may be."""
        return (
            self.ephemeral and isinstance(answer, TaskpathError) and answer.code is ErrorCode.UNKNOWN_INSTANCE
        )


class Outside:
    """Those who change instances without running them.

    Args:
        random: what they do.
        world: to whom.
    """

    def __init__(self, random: random.Random, world: World) -> None:
        self._random, self._world = random, world
        self._count = 0

    def _next(self, word: str) -> str:
        self._count += 1
        return f"{word} {self._count}"

    # Names.

    def rename(self, life: Life) -> None:
        """Gives an instance another name, while whatever happens to it."""
        name = self._next("name")
        life.renames[self._world.call(UpdateInstance(life.id, name=name))] = name

    def check_name(self, life: Life) -> None:
        """The name is the last one."""
        told = [(self._world.answers.pop(call), name) for call, name in life.renames.items()]
        life.renames.clear()
        shelf = self._world.read(life.id)
        accepted = [(answer.revision, name) for answer, name in told if isinstance(answer, Accepted)]
        assert all(isinstance(answer, Accepted) or life.forgives(answer) for answer, _ in told), told
        if accepted:
            # Of names that were given within one batch any may be the last.
            last = max(revision for revision, _ in accepted)
            life.name = shelf.record.name
            assert (last, life.name) in accepted, (life.name, accepted)
        # It may have ended and gone, with the name that it got, before the caller could be told of it.
        untold = {name for answer, name in told if not isinstance(answer, Accepted)}
        assert shelf.record.name in {life.name, *untold}, (shelf.record.name, life.name, untold)

    # Data.

    def update(self, life: Life) -> None:
        """Gives an instance new data, and with it another tree."""
        life.workflow.next = life.grower.changed(life.workflow)
        life.data = self._next("data")
        life.update = self._world.call(UpdateInstance(life.id, inline({"$set": life.data})))

    def updated(self, life: Life) -> int | None:
        """The revision at which the data has changed; None if it was refused, which may only be because the
        instance ran."""
        assert life.update is not None
        answer = self._world.answers.pop(life.update)
        life.update = None
        workflow = life.workflow
        if isinstance(answer, TaskpathError):
            assert answer.code is ErrorCode.CONFLICT or life.forgives(answer), answer
            if answer.code is not ErrorCode.CONFLICT and workflow.next is None:
                # It is stored; the instance has ended and is gone before a new owner could tell the caller.
                workflow.data = life.data
                return 0
            workflow.next = None
            return None
        assert workflow.next is None, "it was accepted, and is not stored"
        workflow.data = life.data
        shelf = self._world.read(life.id)
        assert shelf.read(shelf.record.data) == life.data
        assert shelf.record.plan == workflow.plan
        return answer.revision

    def update_at_rest(self, life: Life) -> None:
        """Gives an instance new data while nothing runs."""
        self.update(life)
        self._world.rest()
        assert self.updated(life) is not None, "it does not run"
        life.replant()

    # Updaters.

    def set_updaters(self, life: Life) -> None:
        """Replaces what a task left, while nothing runs."""
        shelf = self._world.read(life.id)
        path = self._random.choice([*known_paths(shelf), "#", "#.nothing"])
        mark = self._next("set")
        left: list[Any] = self._random.choice(
            [[], [{"last": {"$set": mark}}], [{"trail": {"$push": [mark]}}]]
        )
        told = None
        try:
            self._world.do(SetContextUpdaters(life.id, path, inline(left)))
        except TaskpathError as error:
            told = error.code
        if "[" in path and path not in shelf.tasks and told is ErrorCode.CANNOT_FIND_TASK:
            return  # an item that was not reached yet has nothing to be replaced
        meant = None
        try:
            life.model.set_updaters(path, left)
        except Refused as refused:
            meant = refused.code
        assert told == meant, (path, told, meant)

    # Keys.

    def keyed(self, life: Life, execute: Execute) -> Execute:
        """An execute that comes with a key."""
        return replace(execute, key=self._next("key"), digest="d")

    def repeat(self, life: Life) -> None:
        """Sends an execute of before again: nothing happens. With another content it is refused."""
        if not life.keys:
            return
        execute, revision = self._random.choice(list(life.keys.values()))
        answer = self._world.do(execute)
        assert answer.revision <= revision, (answer, revision)
        refused = self._world.answer(self._world.call(replace(execute, digest="other")))
        assert isinstance(refused, TaskpathError), "a key was taken twice"
        assert refused.code is ErrorCode.CONFLICT
