"""Random lives of random workflows, compared with the model.

``python -m tests.support.scheduler_chaos --seed 7 --steps 100000``: ``--steps`` says after how many messages
to stop. A failure names the seed of its life; ``--life`` lives that one again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from msgspec import UNSET
from msgspec.structs import replace

from taskpath_proto import paths
from taskpath_proto.commands import Accepted, Cancel, Delete, Execute, SetContextUpdaters
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import Mode, Upstream
from tests.support.scheduler_behaviour import digest
from tests.support.scheduler_checks import check_blame, check_fresh, check_rest, check_tree, compare
from tests.support.scheduler_functions import Seen, inline
from tests.support.scheduler_limits import small_limits
from tests.support.scheduler_model import ABSENT, Model, Refused
from tests.support.scheduler_outside import Life, Outside
from tests.support.scheduler_storage import Shelf
from tests.support.scheduler_trees import Grower, known_paths, some_path
from tests.support.scheduler_world import World

REFUSALS = (
    ErrorCode.CANNOT_FIND_TASK,
    ErrorCode.CANNOT_START_TASK,
    ErrorCode.ALREADY_RUNNING,
    ErrorCode.INVALID_REQUEST,
    ErrorCode.INVALID_PATH,
    ErrorCode.CONFLICT,
)


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
        source: of everything that happens.
    """

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.world = World(
            source,
            crashes=source.choice([0.0, 0.02, 0.1, 0.3]),
            deaths=source.choice([0.0, 0.01, 0.05]),
            stalls=source.choice([0.0, 0.3, 1.0]),
            losses=source.choice([0.0, 0.0, 0.05, 0.3]),
            calm=source.random() < 0.1,
            durable=source.random() < 0.5,
        )
        self.outside = Outside(source, self.world)
        self.lives: dict[str, Life] = {}
        self.checks = source.choice([0.05, 0.3, 1.0])
        self.world.on_event = self._event
        self.given: set[str] = set()

    def _event(self, shelf: Shelf, event: InstanceChanged) -> None:
        life = self.lives[event.id]
        for gone in event.removed:
            life.lost = {one for one in life.lost if not paths.is_under(one[0], gone)}
        for change in event.tasks:
            if change.attempts is not UNSET:
                life.lost.update(
                    (change.path, one.attempt) for one in change.attempts if one.status == "lost"
                )
        if not shelf.record.deleting and self.random.random() < self.checks:
            check_tree(shelf, self.lives[event.id].model)

    def birth(self, id: str, *, size: int, trouble: float) -> Life:
        """A new instance, at rest."""
        source = self.random
        poison = 0.03 if self.world.durable and source.random() < 0.5 else 0.0
        grower = Grower(source, trouble, poison)
        workflow = grower.workflow(size)
        model = Model(workflow.plan, workflow.does, workflow.data, workflow.base)
        ephemeral = source.random() < 0.15
        life = self.lives[id] = Life(id, model, workflow, grower, ephemeral)
        key = "key" if source.random() < 0.2 else None
        calls = [
            self.world.create(id, workflow, ephemeral=ephemeral, creation_key=key)
            for _ in range(1 if key is None else 2)
        ]
        created = [self.world.answer(call) for call in calls]
        assert all(isinstance(one, Accepted) and one.id == id for one in created), created
        assert sum(isinstance(one, Accepted) and one.created for one in created) <= 1
        if key is not None:
            other = self.world.answer(self.world.create(id, workflow, creation_key="other"))
            assert isinstance(other, TaskpathError)
            assert other.code is ErrorCode.CONFLICT
        return life

    def shelf(self, life: Life) -> Shelf:
        """What is stored of an instance."""
        return self.world.read(life.id)

    def seen(self, life: Life) -> dict[str, Seen]:
        """What its tasks were given, by what counted last."""
        seen = self.world.executors.functions.seen
        return {
            path: seen[life.id, path, *task.command]
            for path, task in self.shelf(life).tasks.items()
            if task.command is not None and (life.id, path, *task.command) in seen
        }

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
            lives = [life for life in lives if life.id in self.world.storage.shelves]
            if number:
                for life in lives:
                    self._from_outside(life)
                lives = [life for life in lives if life.id in self.world.storage.shelves]
            for life in lives:
                self._send(life, first=number == 0)
            if self.random.random() < cancels:
                self._cancel_some(lives)
            self.world.rest()
            for life in lives:
                self._settle(life)
        for life in lives:
            if life.id in self.world.storage.shelves and self.random.random() < 0.2:
                self.delete(life)

    def _from_outside(self, life: Life) -> None:
        """Something changes while nothing runs."""
        source = self.random
        if source.random() < 0.2:
            self.outside.update_at_rest(life)
        if life.id not in self.world.storage.shelves:
            return
        if source.random() < 0.2:
            self.outside.set_updaters(life)
        if source.random() < 0.2:
            self.outside.repeat(life)
        if source.random() < 0.3:
            check_rest(self.shelf(life), life.model)
            compare(self.shelf(life), life.model, self.seen(life))

    def _send(self, life: Life, *, first: bool) -> None:
        source, world = self.random, self.world
        self.next_execute(life, first=first)
        assert life.execute is not None
        if source.random() < 0.2:
            life.execute = self.outside.keyed(life, life.execute)
        record = self.shelf(life).record
        life.counter, life.revision = record.counter, record.revision
        life.cancel = life.again = None
        world.cut.pop(life.id, None)
        if source.random() < 0.15:
            self.outside.update(life)
            for _ in range(source.choice([0, 0, 1, 3, 10])):
                if world.wire:
                    world.step()
        life.call = world.call(life.execute)
        if life.execute.key is not None and source.random() < 0.5:
            life.again = world.call(life.execute)
        if source.random() < 0.2:
            self.outside.rename(life)

    def _cancel_some(self, lives: list[Life]) -> None:
        lives = [life for life in lives if life.update is None]
        if not lives:
            return
        life = self.random.choice(lives)
        while life.call not in self.world.answers:
            self.world.step()
        for _ in range(self.random.randint(0, 12)):
            if self.world.wire or self.world.executors.jobs:
                self.world.step()
        if life.id not in self.world.storage.shelves or not self.shelf(life).record.runs:
            return
        life.cancel = self.world.call(Cancel(life.id, some_path(self.random, known_paths(self.shelf(life)))))

    def _settle(self, life: Life) -> None:
        answer = self.world.answers.pop(life.call)
        other = self.world.answers.pop(life.again) if life.again is not None else None
        if isinstance(other, Accepted) and isinstance(answer, TaskpathError):
            answer, other = other, answer  # it was carried out when the other one came
        execute, model = life.execute, life.model
        assert execute is not None
        told = (answer.code, answer.info.path) if isinstance(answer, TaskpathError) else None
        self._settle_key(life, execute, answer, other)
        self.outside.check_name(life)
        updated = self.outside.updated(life) if life.update is not None else None
        before = updated is not None
        if updated is not None and isinstance(answer, Accepted):
            before = updated <= answer.revision
        elif updated is not None and told is not None:
            # Whether it was refused before or after that, nothing says.
            before = told != self._refusal(life, execute)
        if before:
            life.replant()
        if life.forgives(answer):
            assert life.id not in self.world.storage.shelves
            if before:
                return  # new data has taken away all that was left to be done
            # It has come to its end, and is gone, before a new owner could tell the caller so.
            told = None
        meant = self._refusal(life, execute)
        assert told == meant, f"{execute}: it is {told} and should be {meant}"
        if meant is None:
            self._run(life, execute)
        if updated is not None and not before:
            life.replant()
        shelf = self.shelf(life)
        if life.ephemeral and shelf.record.status.ended:
            assert life.id not in self.world.storage.shelves
        check_rest(shelf, model)
        compare(shelf, model, self.seen(life))
        check_blame(shelf, life.workflow.does)

    def _settle_key(
        self,
        life: Life,
        execute: Execute,
        answer: Accepted | TaskpathError,
        other: Accepted | TaskpathError | None,
    ) -> None:
        """A keyed execute that was sent twice is answered twice, and carried out once at the most."""
        key = execute.key
        if key is None or not isinstance(answer, Accepted):
            assert not isinstance(other, Accepted)
            return
        life.keys[key] = (execute, answer.revision)
        if other is not None and not life.forgives(other):
            if isinstance(other, TaskpathError):
                assert life.update is not None, other  # it came before there was another tree
                return
            assert min(other.revision, answer.revision) > life.revision
            life.keys[key] = (execute, max(other.revision, answer.revision))

    def _refusal(self, life: Life, execute: Execute) -> tuple[ErrorCode, str] | None:
        try:
            life.model.check(execute.path, execute.mode, execute.upstream, life.argument)
        except Refused as refused:
            return refused.code, refused.path
        return None

    def _run(self, life: Life, execute: Execute) -> None:
        """The model runs what was run."""
        shelf = self.shelf(life)
        stopped: dict[str, int] = {}
        if life.cancel is not None:
            stopped = {
                path: task.attempt
                for path, task in shelf.tasks.items()
                if task.bound > life.counter and (task.own or task.status) == "cancelled"
            }
        unstarted = Unstarted(shelf, life.counter, self.world.cut.get(life.id, set()))
        life.model.execute(
            execute.path,
            execute.mode,
            execute.upstream,
            life.argument,
            stopped,
            unstarted,
            unstarted.cut,
            [path for path, task in shelf.tasks.items() if task.joining == "cancelled"],
            life.lost,
        )

    def delete(self, life: Life) -> None:
        """An instance is deleted, whatever it does."""
        self.world.call(Execute(life.id))
        if self.random.random() < 0.3:
            self.world.call(Cancel(life.id))
        self.world.handling.deleted.add(life.id)
        self.world.answer(self.world.call(Delete(life.id)))
        self.world.rest()
        assert life.id not in self.world.storage.shelves

    # Many at a time: everything ends, and nothing looks fresh that is not.

    def together(self, calls: int) -> None:
        """One instance with executes and cancels side by side."""
        self.world.executors.functions.alike = False
        life = self.birth(
            "i", size=self.random.choice([6, 12, 20]), trouble=self.random.choice([0, 0.1, 0.3])
        )
        numbers = [self.world.call(Execute(life.id))]
        if self.random.random() < 0.8:
            self.world.rest()
            self._at_rest(life)
        for _ in range(calls):
            if life.id not in self.world.storage.shelves:
                break
            numbers.extend(self._some_calls(life))
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
                assert answer.code in REFUSALS or life.forgives(answer), answer
        if life.id in self.world.storage.shelves and self.random.random() < 0.2:
            self.delete(life)

    def _some_calls(self, life: Life) -> list[int]:
        """Sends something; gives the numbers of the calls that are to be answered."""
        source, call = self.random, self.world.call
        numbers = [call(self._some_part(life))]
        path = some_path(source, known_paths(self.shelf(life)))
        if source.random() < 0.1:
            numbers.append(call(Cancel(life.id, path)))
        if source.random() < 0.2:
            hasty = Cancel(life.id, path) if source.random() < 0.5 else self._some_part(life)
            call(hasty, within=source.choice([0, 20, 100, 1000]))
        if source.random() < 0.1:
            self.outside.rename(life)
        if source.random() < 0.05:
            left = inline([{"last": {"$set": path}}])
            numbers.append(call(SetContextUpdaters(life.id, path, left)))
        if source.random() < 0.05 and life.update is None:
            self.outside.update(life)
        return numbers

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
        self.outside.check_name(life)
        if life.update is not None and self.outside.updated(life) is not None:
            life.replanted = True
        check_rest(self.shelf(life), life.model)
        check_blame(self.shelf(life), life.workflow.does)
        if not life.replanted:
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
