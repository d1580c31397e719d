"""Random lives of random workflows, compared with the model.

``python -m tests.support.scheduler_chaos --seed 7 --steps 100000``: ``--steps`` says after how many messages
to stop. A failure names the seed of its life; ``--life`` lives that one again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from taskpath_proto.commands import Accepted, Cancel, Delete, Execute
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import Mode, Upstream
from tests.support.scheduler_behaviour import digest
from tests.support.scheduler_checks import check_fresh, check_rest, check_tree, compare
from tests.support.scheduler_executors import Seen, inline
from tests.support.scheduler_model import ABSENT, Model, Refused
from tests.support.scheduler_storage import Shelf
from tests.support.scheduler_trees import Grower, some_path
from tests.support.scheduler_world import World, known_paths, small_limits

REFUSALS = (
    ErrorCode.CANNOT_FIND_TASK,
    ErrorCode.CANNOT_START_TASK,
    ErrorCode.ALREADY_RUNNING,
    ErrorCode.INVALID_REQUEST,
)


@dataclass
class Life:
    """An instance of the simulation, and what is known of it."""

    id: str
    model: Model
    counter: int = 0
    execute: Execute | None = None
    argument: Any = ABSENT
    call: int = 0
    cancel: int | None = None


class Unstarted:
    """The tasks that a cancel kept from starting: in foreaches that had more to start when it met them.

    Args:
        shelf: what is stored of the instance.
        counter: where its counter stood before the execute.
        cut: the paths of those foreaches.
    """

    def __init__(self, shelf: Shelf, counter: int, cut: set[str]) -> None:
        self._shelf, self._counter = shelf, counter
        self.cut = cut

    def __contains__(self, path: object) -> bool:
        assert isinstance(path, str)
        record = self._shelf.tasks.get(path)
        begun = record is not None and max(record.bound, record.left) > self._counter
        return not begun and any(path.startswith(f"{foreach}[") for foreach in self.cut)


class Chaos:
    """One life of the world.

    Args:
        seed: of everything that happens.
    """

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.world = World(source, crashes=source.choice([0.0, 0.02, 0.1, 0.3]), calm=source.random() < 0.1)
        self.lives: dict[str, Life] = {}
        self.checks = source.choice([0.05, 0.3, 1.0])
        self.world.on_event = self._event
        self.given: set[str] = set()

    def _event(self, shelf: Shelf, event: InstanceChanged) -> None:
        if self.random.random() < self.checks:
            check_tree(shelf, self.lives[event.id].model)

    def birth(self, id: str, *, size: int, trouble: float) -> Life:
        """A new instance, at rest."""
        workflow = Grower(self.random, trouble).workflow(size)
        life = self.lives[id] = Life(id, Model(workflow.plan, workflow.does, workflow.data, workflow.base))
        created = self.world.answer(self.world.create(id, workflow))
        assert isinstance(created, Accepted)
        return life

    def shelf(self, life: Life) -> Shelf:
        """What is stored of an instance."""
        return self.world.storage.shelves[life.id]

    def seen(self, life: Life) -> dict[str, Seen]:
        """What its tasks were given last."""
        return {path: seen for (id, path), seen in self.world.executors.seen.items() if id == life.id}

    def next_execute(self, life: Life, *, first: bool) -> None:
        """Some execute, not yet sent."""
        source = self.random
        path = "#" if first and source.random() < 0.8 else some_path(source, known_paths(self.shelf(life)))
        mode = source.choice(
            [Mode.ALL, Mode.STALE, Mode.FAILED] if not first else [Mode.ALL, Mode.ALL, Mode.STALE]
        )
        upstream = source.choice(list(Upstream))
        life.argument = ABSENT
        if source.random() < 0.2:
            life.argument = f"argument {source.randrange(1000)}"
            self.given.add(digest(life.argument))
        argument = inline(life.argument) if life.argument is not ABSENT else None
        life.execute = Execute(life.id, path, mode, upstream, argument)

    # One execute at a time: everything is as the model says.

    def alone(self, rounds: int, cancels: float) -> None:
        """A few instances, each with one execute at a time."""
        lives = [
            self.birth(
                f"i{number}",
                size=self.random.choice([3, 6, 12, 20]),
                trouble=self.random.choice([0, 0.2, 0.4]),
            )
            for number in range(self.random.randint(1, 2))
        ]
        for number in range(rounds):
            for life in lives:
                self._send(life, first=number == 0)
            if self.random.random() < cancels:
                self._cancel_some(lives)
            self.world.rest()
            for life in lives:
                self._settle(life)

    def _send(self, life: Life, *, first: bool) -> None:
        self.next_execute(life, first=first)
        assert life.execute is not None
        life.counter = self.shelf(life).record.counter
        life.cancel = None
        self.world.cut.pop(life.id, None)
        life.call = self.world.call(life.execute)

    def _cancel_some(self, lives: list[Life]) -> None:
        life = self.random.choice(lives)
        while life.call not in self.world.answers:
            self.world.step()
        for _ in range(self.random.randint(0, 12)):
            if self.world.wire or self.world.executors.jobs:
                self.world.step()
        if not self.shelf(life).record.runs:
            return
        life.cancel = self.world.call(Cancel(life.id, some_path(self.random, known_paths(self.shelf(life)))))

    def _settle(self, life: Life) -> None:
        answer = self.world.answers.pop(life.call)
        shelf, execute = self.shelf(life), life.execute
        assert execute is not None
        stopped: dict[str, int] = {}
        if life.cancel is not None:
            stopped = {
                path: task.attempt
                for path, task in shelf.tasks.items()
                if task.bound > life.counter and (task.own or task.status) == "cancelled"
            }
        unstarted = Unstarted(shelf, life.counter, self.world.cut.get(life.id, set()))
        told = (answer.code, answer.info.path) if isinstance(answer, TaskpathError) else None
        meant = None
        try:
            life.model.execute(
                execute.path,
                execute.mode,
                execute.upstream,
                life.argument,
                stopped,
                unstarted,
                unstarted.cut,
                [path for path, task in shelf.tasks.items() if task.joining == "cancelled"],
            )
        except Refused as refused:
            meant = (refused.code, refused.path)
        assert told == meant, f"{execute}: it is {told} and should be {meant}"
        check_rest(shelf, life.model)
        compare(shelf, life.model, self.seen(life))

    # Many at a time: everything ends, and nothing looks fresh that is not.

    def together(self, calls: int) -> None:
        """One instance with executes and cancels side by side."""
        self.world.executors.alike = False
        life = self.birth(
            "i", size=self.random.choice([6, 12, 20]), trouble=self.random.choice([0, 0.1, 0.3])
        )
        numbers = [self.world.call(Execute(life.id))]
        if self.random.random() < 0.8:
            self.world.rest()
            self._at_rest(life)
        for _ in range(calls):
            numbers.append(self.world.call(self._some_part(life)))
            if self.random.random() < 0.1:
                path = some_path(self.random, known_paths(self.shelf(life)))
                numbers.append(self.world.call(Cancel(life.id, path)))
            for _ in range(self.random.choice([0, 0, 1, 2, 5, 20])):
                if self.world.wire or self.world.executors.jobs:
                    self.world.step()
            if self.random.random() < 0.2:
                self.world.rest()
                self._at_rest(life)
        self.world.rest()
        self._at_rest(life)
        for call in numbers:
            answer = self.world.answers[call]
            if isinstance(answer, TaskpathError):
                assert answer.code in REFUSALS, answer
        if self.random.random() < 0.2:
            self.world.call(Execute(life.id))
            self.world.answer(self.world.call(Delete(life.id)))
            assert not self.world.storage.shelves

    def _some_part(self, life: Life) -> Execute:
        """An execute of a small part, so that several have room beside each other."""
        self.next_execute(life, first=False)
        execute = life.execute
        assert execute is not None
        if self.random.random() < 0.7:
            execute = replace(execute, upstream=Upstream.IGNORE)
        while execute.path in ("#", "#.**", "#.*") and self.random.random() < 0.9:
            execute = replace(execute, path=some_path(self.random, known_paths(self.shelf(life))))
        if execute.argument is not None and self.random.random() < 0.7:
            execute = replace(execute, argument=None)
        return execute

    def _at_rest(self, life: Life) -> None:
        check_rest(self.shelf(life), life.model)
        check_fresh(self.shelf(life), life.model, self.seen(life), self.given)


def live(source: random.Random) -> World:
    """One life."""
    with small_limits(source):
        chaos = Chaos(source)
        if source.random() < 0.6:
            chaos.alone(source.randint(1, 6), source.choice([0.0, 0.0, 0.7]))
        else:
            chaos.together(source.randint(2, 12))
        chaos.world.rest()
        return chaos.world


def main() -> None:
    """Lives one life after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="where to begin")
    parser.add_argument("--steps", type=int, default=100_000, help="after how many messages to stop")
    parser.add_argument("--life", type=int, help="the one life to be lived")
    parser.add_argument("--go-on", action="store_true", help="do not stop at a failure, but count them")
    options = parser.parse_args()
    if options.life is not None:
        live(random.Random(options.life))
        return
    begun, seed, messages, lives = time.perf_counter(), options.seed * 1_000_000, 0, 0
    failures: dict[str, list[int]] = {}
    while messages < options.steps:
        try:
            world = live(random.Random(seed))
            messages += world.messages
            lives += world.lives
        except BaseException as error:
            if not options.go_on or isinstance(error, KeyboardInterrupt):
                print(f"--life {seed} failed", file=sys.stderr)
                raise
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
            failures.setdefault(f"{type(error).__name__} {where}", []).append(seed)
            messages += 10
        seed += 1
    seconds = time.perf_counter() - begun
    print(f"{messages} messages, {seed - options.seed * 1_000_000} lives, {lives} owners, {seconds:.1f} s")
    for name, seeds in sorted(failures.items(), key=lambda one: -len(one[1])):
        print(f"{len(seeds):5} {name}  --life {seeds[0]} {seeds[1:4]}")


if __name__ == "__main__":
    main()
