"""A whole system around the scheduler's pure core, in which a seeded chance decides what happens next.

Reports are reordered, repeated and delayed; batches are cut differently; timers fire in time; the owner dies
between any two effects and another takes over. The order of effects is the one of a bus that is lost with the
process: events first, then commands, then answers.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from taskpath_proto import paths
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.commands import Accepted, Cancel, CreateInstance, Delete, Execute
from taskpath_proto.errors import TaskpathError
from taskpath_proto.events import InstanceChanged
from taskpath_proto.work import ExpandPlan, PlanExpanded, RunHandler, RunTasks, TaskFinished
from taskpath_services.scheduler import cancel as cancel_module
from taskpath_services.scheduler import instance as instance_module
from taskpath_services.scheduler import results as results_module
from taskpath_services.scheduler import windows as windows_module
from taskpath_services.scheduler.effects import Outcome, Timer
from taskpath_services.scheduler.frames import Frame
from taskpath_services.scheduler.partition import Partition
from tests.support.scheduler_executors import Executors, inline
from tests.support.scheduler_storage import Shelf, Storage
from tests.support.scheduler_trees import Workflow

PARTITION = 0
FAR = 1 << 60


@contextmanager
def small_limits(random: random.Random) -> Iterator[None]:
    """Makes windows and values small, so that little trees meet the limits."""
    small: list[tuple[Any, str, list[int]]] = [
        (windows_module, "WINDOW", [1, 2, 3, 8]),
        (instance_module, "KEEP_BYTES", [40]),
        (instance_module, "RECENT_BYTES", [0, 500]),
        (results_module, "INLINE_BYTES", [120]),
        (results_module, "KEEP_BYTES", [40]),
    ]
    kept = [getattr(module, name) for module, name, _ in small]
    try:
        for (module, name, values), value in zip(small, kept, strict=True):
            setattr(module, name, random.choice([*values, value]))
        yield
    finally:
        for (module, name, _), value in zip(small, kept, strict=True):
            setattr(module, name, value)


@contextmanager
def spied_cancels(found: list[tuple[str, str]]) -> Iterator[None]:
    """Collects the foreaches that a cancel meets and that have more to start.

    A run that ends at once with the cancel stores no word of them.
    """
    remember = cancel_module._remember

    def spy(instance: instance_module.Instance, frame: Frame) -> None:
        found.append((instance.id, frame.node.path))
        remember(instance, frame)

    cancel_module._remember = spy
    try:
        yield
    finally:
        cancel_module._remember = remember


class Crashed(Exception):
    """The owner has died."""


class World:
    """One partition with everything around it.

    Args:
        random: what happens next.
        crashes: how likely the owner dies while it lets the effects of a batch out.
        calm: reports arrive once, in order, and at once.
    """

    def __init__(self, random: random.Random, *, crashes: float = 0.0, calm: bool = False) -> None:
        self.random = random
        self.crashes = crashes
        self.calm = calm
        self.now = 1_000_000
        self.storage = Storage()
        self.executors = Executors(self.storage, random)
        self.workflows: dict[str, Workflow] = {}
        self.wire: list[Message] = []
        self.answers: dict[int, Accepted | TaskpathError] = {}
        self.on_event: Callable[[Shelf, InstanceChanged], None] | None = None
        self.messages = 0
        self.lives = 0
        self.cut: dict[str, set[str]] = {}
        self._cut_now: list[tuple[str, str]] = []
        self._waiting: dict[int, Call] = {}
        self._calls = 0
        self._timers: list[tuple[int, int, Timer]] = []
        self._armed = 0
        self._ghosts: list[Message] = []
        self._out: dict[tuple[str, int], tuple[str, str]] = {}
        self.partition = Partition(PARTITION, 0)
        self.take_over()

    # What callers do.

    def create(self, id: str, workflow: Workflow, *, execute: bool = False, argument: Any = None) -> int:
        """Asks for an instance; gives the number of the call."""
        self.workflows[id] = workflow
        self.executors.behaviours[id] = workflow.does
        return self.call(
            CreateInstance(
                id=id,
                workflow="w",
                queue="default",
                realm="default",
                data=inline(workflow.data),
                base_context=inline(workflow.base),
                execute=execute,
                argument=inline(argument) if argument is not None else None,
            )
        )

    def call(self, body: CreateInstance | Execute | Cancel | Delete) -> int:
        """Sends a call, and sends it again if the owner dies before it is answered; gives its number."""
        self._calls += 1
        call = Call(body, "reply", self._calls, FAR)
        self._waiting[call.call] = call
        self.wire.append(call)
        return call.call

    def answer(self, number: int) -> Accepted | TaskpathError:
        """Goes on until a call has been answered."""
        while number not in self.answers:
            self.step()
        return self.answers.pop(number)

    def do(self, body: Execute | Cancel | Delete) -> Accepted:
        """Calls, and waits for the answer.

        Raises:
            TaskpathError: the call was refused.
        """
        found = self.answer(self.call(body))
        if isinstance(found, TaskpathError):
            raise found
        return found

    def rest(self, id: str | None = None) -> None:
        """Goes on until nothing is under way: nowhere, or of one instance."""
        steps = 0
        while self.is_busy(id):
            self.step()
            steps += 1
            assert steps < 50_000, "it does not end"

    def is_busy(self, id: str | None = None) -> bool:
        """Whether something is under way."""
        if id is not None:
            shelf = self.storage.shelves.get(id)
            return shelf is not None and bool(shelf.record.runs)
        return bool(self.wire or self._waiting) or any(
            shelf.record.runs for shelf in self.storage.shelves.values()
        )

    # What happens.

    def step(self) -> None:
        """One thing happens: executors go on, or the owner takes a batch."""
        self.now += self.random.randrange(20)
        if not self.wire and not self.executors.jobs:
            assert self._timers, "nothing happens any more"
            self.now = max(self.now, self._timers[0][0])
        if self.executors.jobs and (not self.wire or self.random.random() < 0.6):
            self._work()
        if self.wire or (self._timers and self._timers[0][0] <= self.now):
            try:
                self._batch()
            except Crashed:
                self.take_over()

    def _work(self) -> None:
        keys = [key for key, job in self.executors.jobs.items() if not job.hangs]
        if not keys:
            if not self.wire:
                self.now = max(self.now, self._timers[0][0])
            return
        if not self.calm:
            keys = self.random.sample(keys, self.random.randint(1, min(len(keys), 6)))
        for key in keys:
            reports = self.executors.work(key, self.now)
            self.wire.extend(reports)
            if not self.calm and self.random.random() < 0.1:
                self.wire.extend(reports)

    def _batch(self) -> None:
        if self.calm:
            batch, self.wire = self.wire, []
        else:
            self.random.shuffle(self.wire)
            size = self.random.randint(0 if self._timers else 1, max(1, min(len(self.wire), 8)))
            batch, self.wire = self.wire[:size], self.wire[size:]
            if self._ghosts and self.random.random() < 0.3:
                batch.append(self._ghosts.pop())
        self.decide(batch)

    def decide(self, batch: list[Message]) -> None:
        """The owner takes a batch and lets its effects out."""
        self.messages += len(batch)
        timers: list[Timer] = []
        while self._timers and self._timers[0][0] <= self.now:
            timers.append(heapq.heappop(self._timers)[2])
        for id in self.partition.unknown(batch):
            self.partition.load(id, self.storage.load(id), self.now)
        for message in batch:
            if isinstance(message, TaskFinished):
                self._out.pop((message.id, message.command), None)
        self._cut_now.clear()
        with spied_cancels(self._cut_now):
            outcome = self.partition.decide(batch, timers, self.now)
        self.let_out(outcome)

    def let_out(self, outcome: Outcome) -> None:
        """Lets effects out, in the order of an owner whose bus is lost with the process.

        Raises:
            Crashed: it has died on the way.
        """
        sent = len(outcome.commands) + len(outcome.cancellations)
        ends = len(outcome.events) + min(sent, 1) + 1
        dies = self.random.randrange(ends) if self.random.random() < self.crashes else -1
        for number, event in enumerate(outcome.events):
            if number == dies:
                raise Crashed
            self.storage.apply(event)
            self._committed(event.id, outcome)
            if isinstance(event, InstanceChanged):
                for path in event.removed:
                    self.executors.forget_items(event.id, path, self.storage.shelves[event.id])
                if self.on_event is not None:
                    self.on_event(self.storage.shelves[event.id], event)
            else:
                self.executors.forget_instance(event.id)
        if dies == len(outcome.events):
            raise Crashed
        for mailbox, command in outcome.commands:
            self.messages += 1
            if isinstance(command, ExpandPlan):
                self._expand(command)
            else:
                self._send(mailbox, command)
        for cancellation in outcome.cancellations:
            for number in cancellation.commands:
                self._out.pop((cancellation.id, number), None)
            self.wire.extend(self.executors.cancel(cancellation))
        self._check_windows()
        for call, answer in outcome.answers:
            assert isinstance(answer, Accepted | TaskpathError)
            if self._waiting.pop(call.call, None) is not None:
                self.answers[call.call] = answer
        if dies >= 0:
            raise Crashed
        for timer in outcome.timers:
            self._armed += 1
            heapq.heappush(self._timers, (timer.due, self._armed, timer))

    def _committed(self, id: str, outcome: Outcome) -> None:
        """What an instance's event has made true is true, whether or not the callers will hear of it."""
        self.cut.setdefault(id, set()).update(path for cut, path in self._cut_now if cut == id)
        for call, answer in outcome.answers:
            if isinstance(answer, Accepted) and answer.id == id and call.call in self._waiting:
                del self._waiting[call.call]
                self.answers[call.call] = answer

    def _send(self, mailbox: str, message: RunTasks | RunHandler) -> None:
        assert isinstance(message, RunTasks)
        self.executors.take(message)
        for order in message.orders:
            self._out[message.id, order.command] = (mailbox, order.path)

    def _check_windows(self) -> None:
        counts: dict[tuple[str, str], int] = {}
        for (id, _), (mailbox, _) in self._out.items():
            counts[id, mailbox] = counts.get((id, mailbox), 0) + 1
        assert max(counts.values(), default=0) <= windows_module.WINDOW, counts

    def _expand(self, command: ExpandPlan) -> None:
        plan = self.workflows[command.id].plan
        self.wire.append(PlanExpanded(command.id, command.epoch, command.command, plan))

    def take_over(self) -> None:
        """Another owner takes over, with nothing but what is stored."""
        while True:
            self.lives += 1
            ghosts: list[Message] = [one for one in self.wire if not isinstance(one, Call | PlanExpanded)]
            self._ghosts = ghosts[:5]
            self.executors.forget()
            self.wire = []
            self.wire.extend(self._waiting.values())
            self._timers.clear()
            self._out.clear()
            self._cut_now.clear()
            epoch, active = self.storage.claim()
            self.partition = Partition(PARTITION, epoch)
            for id in active:
                self.partition.load(id, self.storage.load(id), self.now)
            try:
                self.let_out(self.partition.decide((), (), self.now))
                return
            except Crashed:
                continue


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
