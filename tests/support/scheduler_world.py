"""A whole system around the scheduler's pure core, in which a seeded chance decides what happens next.

Reports are reordered, repeated and delayed; batches are cut differently; timers fire in time; the owner dies
between any two effects and another takes over. The order of effects is the one of a bus that is lost with the
process: events first, then commands, then answers; or, half of the time, that of a durable bus: commands,
then events, then answers, and a batch that was not acknowledged comes again. There executors outlive owners,
die by themselves and leave; an owner that was taken for dead may go on beside its successor; stores lose
changes.

One room, though a long one: which of these may happen between which others is what is simulated, and can only
be seen where all of them stand.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET

from taskpath import updaters
from taskpath_proto import codec
from taskpath_proto.calls import Call, Command
from taskpath_proto.codec import Message
from taskpath_proto.commands import Accepted, CreateInstance
from taskpath_proto.errors import TaskpathError
from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat, InstanceChanged, InstanceDeleted
from taskpath_proto.plan import Plan
from taskpath_proto.queries import AskWanted, Wanted
from taskpath_proto.records import TaskRecord
from taskpath_proto.work import CancelAttempts, ExpandPlan, PlanExpanded, RunHandler, RunTasks, WhatIsHeld
from taskpath_services.scheduler import windows as windows_module
from taskpath_services.scheduler.effects import Outcome, Timer
from taskpath_services.scheduler.partition import Partition
from tests.support.scheduler_calls import FAR, Calls
from tests.support.scheduler_executors import Executors, Job
from tests.support.scheduler_functions import inline
from tests.support.scheduler_handling import Handling
from tests.support.scheduler_limits import spied_cancels
from tests.support.scheduler_rivals import Rival, Step
from tests.support.scheduler_segments import Key
from tests.support.scheduler_storage import Shelf, Storage
from tests.support.scheduler_trees import Workflow
from tests.support.scheduler_twins import Twins, compare_tasks, same_instance

PARTITION = 0
LEASE = 30_000
QUEUES = ("default", "other")
MOST_CONCURRENCY = 4
"""So many works at once an executor says at most that it runs."""


class Crashed(Exception):
    """The owner has died."""


class World:
    """One partition with everything around it.

    Args:
        random: what happens next.
        crashes: how likely the owner dies while it lets the effects of a batch out.
        deaths: how likely an executor dies, on a durable bus.
        stalls: how likely an owner that is taken for dead goes on, on a durable bus.
        losses: how likely a store loses a change, on a durable bus.
        calm: reports arrive once, in order, and at once.
        durable: what the bus has taken survives the owner.
    """

    def __init__(
        self,
        random: random.Random,
        *,
        crashes: float = 0.0,
        deaths: float = 0.0,
        stalls: float = 0.0,
        losses: float = 0.0,
        calm: bool = False,
        durable: bool = False,
    ) -> None:
        self.random = random
        self.durable = durable
        self.deaths = deaths if durable else 0.0
        self.stalls = stalls if durable else 0.0
        self.crashes = crashes
        self.calm = calm
        self.now = 1_000_000
        self.storage = Storage()
        self.executors = Executors(self.storage, random)
        self.handling = Handling(random, durable=durable)
        self.twins = Twins(random, losses if durable else 0.0)
        self.calls = Calls()
        self.answers = self.calls.answers
        self.workflows: dict[str, Workflow] = {}
        self.wire: list[Message] = []
        self.on_event: Callable[[Shelf, InstanceChanged], None] | None = None
        self.messages = self.lives = self.rivals = 0
        self.cut: dict[str, set[str]] = {}
        self._cut_now: list[tuple[str, str]] = []
        self._timers: list[tuple[int, int, Timer]] = []
        self._armed = 0
        self._ghosts: list[Message] = []
        self._out: dict[Key, str] = {}
        self._again: list[Message] = []
        self._left: list[Step] = []
        self._rivals: list[Rival] = []
        self._beat_at = 0
        self._lease = LEASE if durable else None
        self.executors.functions.alike = not durable
        if durable:
            self.executors.names = ["e1", "e2", "e3"]
        self.partition = Partition(PARTITION, 0, self._lease)
        self.take_over()

    # What callers do.

    def create(self, id: str, workflow: Workflow, **fields: Any) -> int:
        """Asks for an instance; gives the number of the call."""
        self.workflows[id] = workflow
        self.executors.functions.behaviours[id] = workflow.does
        self.handling.fails[id] = workflow.handlers_fail
        data, base = inline(workflow.data), inline(workflow.base)
        return self.call(CreateInstance(id, "w", "default", "default", data, base, **fields))

    def call(self, body: Command, *, within: int | None = None) -> int:
        """Sends a call, and sends it again if the owner dies before it is answered; gives its number.

        Args:
            body: what is asked.
            within: after so many ms nobody waits for the answer any more, and it is not sent again.
        """
        call = self.calls.make(body, FAR if within is None else self.now + within)
        self.wire.append(call)
        return call.call

    def answer(self, number: int) -> Accepted | TaskpathError:
        """Goes on until a call has been answered."""
        while number not in self.answers:
            self.step()
        return self.answers.pop(number)

    def do(self, body: Command) -> Accepted:
        """Calls, and waits for the answer.

        Raises:
            TaskpathError: the call was refused.
        """
        found = self.answer(self.call(body))
        if isinstance(found, TaskpathError):
            raise found
        return found

    def rest(self) -> None:
        """Goes on until nothing is under way."""
        steps = 0
        while self.is_busy():
            self.step()
            steps += 1
            assert steps < 50_000, "it does not end"
        for shelf in self.storage.shelves.values():
            self.twins.at_rest(shelf)

    def is_busy(self) -> bool:
        """Whether something is under way."""
        return bool(self.wire or self.calls.waiting or self._rivals) or any(
            record.runs or record.handlers or record.deleting or (record.ephemeral and record.status.ended)
            for record in (shelf.record for shelf in self.storage.shelves.values())
        )

    def read(self, id: str) -> Shelf:
        """What is stored of an instance, or was before it went."""
        shelf = self.storage.shelves.get(id)
        return shelf if shelf is not None else self.storage.graves[id]

    # What happens.

    def step(self) -> None:
        """One thing happens: executors go on, or the owner takes a batch."""
        self.now += self.random.randrange(20)
        if not (self.wire or self.executors.jobs or self.handling.jobs or self._rivals):
            assert self._timers, "nothing happens any more"
            self.now = max(self.now, self._timers[0][0])
        if self.deaths and self.random.random() < self.deaths:
            self._lose_executor()
        if self.executors.beside and self.random.random() < 0.2:
            self._report(self.executors.end_beside())
        if self._rivals and self.random.random() < 0.5:
            self._let_rival_act()
        if self.handling.jobs and self.random.random() < 0.4:
            self._report(self.handling.work())
        if self.executors.jobs and (not self.wire or self.random.random() < 0.6):
            self._work()
        if self.wire or (self._timers and self._timers[0][0] <= self.now):
            try:
                self._batch()
            except Crashed:
                self.take_over()

    def _lose_executor(self) -> None:
        chance = self.random.random()
        if chance < 0.4:
            self.executors.die()
        elif chance < 0.6:
            self.executors.cut()
        else:
            self.wire.extend(self.executors.leave())

    def _work(self) -> None:
        ready = self.executors.is_ready
        keys = [key for key, job in self.executors.jobs.items() if not job.hangs and ready(job)]
        if not keys:
            if self._timers and not self.wire:
                self.now = max(self.now, self._timers[0][0])
            elif not self.wire and not self._rivals:
                self.executors.jobs.clear()  # of an owner that died before it had recorded them
            return
        if not self.calm:
            keys = self.random.sample(keys, self.random.randint(1, min(len(keys), 6)))
        for key in keys:
            job = self.executors.jobs.get(key)
            if job is not None:
                self._go_on(key, job)

    def _go_on(self, key: Key, job: Job) -> None:
        if job.after is not None:
            self._report(self.executors.confirm(key))
            return
        if job.doubtful:
            number = self.calls.next()
            self.wire.append(Call(self.executors.question(job, number), "executor", number, FAR))
            return
        try:
            reports = self.executors.work(key, self.now)
        except (LookupError, TypeError):
            # What a rival's order refers to may never have been stored.
            assert job.message.epoch < self.storage.epoch
            del self.executors.jobs[key]
            return
        self._report(reports)

    def _report(self, reports: list[Any]) -> None:
        self.wire.extend(reports)
        if not self.calm and self.random.random() < 0.1:
            self.wire.extend(reports)

    def _batch(self) -> None:
        if self.calm:
            batch, self.wire = self.wire, []
        else:
            self.executors.lines.shuffle(self.wire, self.random)
            size = self.random.randint(0 if self._timers else 1, max(1, min(len(self.wire), 8)))
            batch, self.wire = self.wire[:size], self.wire[size:]
            if self._ghosts and self.random.random() < 0.3:
                batch.append(self._ghosts.pop())
        self._decide(batch)

    def _decide(self, batch: list[Message]) -> None:
        """The owner takes a batch and lets its effects out."""
        self.messages += len(batch)
        timers: list[Timer] = []
        while self._timers and self._timers[0][0] <= self.now:
            timers.append(heapq.heappop(self._timers)[2])
        self._cut_now.clear()
        redelivered = any(message in self._again for message in batch)
        self._load(self.partition, self.partition.unknown(batch, redelivered=redelivered))
        heard: list[Message] = []
        if self.durable and self.now >= self._beat_at:
            self._beat_at = self.now + 2_000
            heard.extend(ExecutorBeat(name, self.now) for name in self.executors.names)
            concurrency = self.now // 2_000 % (MOST_CONCURRENCY + 1)  # with it windows grow and shrink
            heard.extend(
                ExecutorAnnounced(name, QUEUES, (), concurrency=concurrency) for name in self.executors.names
            )
        try:
            with spied_cancels(self._cut_now):
                outcome = self.partition.decide([*heard, *batch], timers, self.now, redelivered=redelivered)
            self.let_out(outcome)
            self._find_lost()
        except Crashed:
            if self.durable:
                self._go_on_beside(batch)
                self.wire = [*batch, *self.wire]
                self._again.extend(batch)
            raise
        self._again = [message for message in self._again if message not in batch]

    def _load(self, partition: Partition, ids: list[str]) -> None:
        for id in ids:
            partition.load(id, self.storage.load(id), self.now)

    def _find_lost(self) -> None:
        queues = self.partition.overdue(self.now)
        if queues:
            # What refers to something that was never stored has been taken, and is not done for ever.
            ready = self.executors.is_ready
            jobs = [job for job in self.executors.jobs.values() if not job.reported and ready(job)]
            full = {self._out[job.message.id, job.message.epoch, job.order.command] for job in jobs}
            self.partition.found_empty({queue for queue in queues if queue not in full}, self.now, self.now)
            self.let_out(self.partition.decide((), (), self.now))

    # What decisions lead to.

    def let_out(self, outcome: Outcome) -> None:
        """Lets effects out, in the order of the owner.

        Raises:
            Crashed: it has died on the way.
        """
        steps = self._steps(outcome)
        told = any(isinstance(one, CancelAttempts) for one in outcome.cancellations)
        quiet = not (outcome.events or outcome.commands or told or outcome.answers)
        dies = -1
        if not quiet and self.random.random() < self.crashes:
            dies = self.random.randrange(len(steps) + 1)
        for number, step in enumerate(steps):
            if number == dies:
                self._left = steps[number:]
                raise Crashed
            step()
        if dies >= 0 and not any(isinstance(answer, TaskpathError) for _, answer in outcome.answers):
            # What was refused, and was not acknowledged as dealt with, may be taken by the next owner.
            self._left = []
            raise Crashed
        for timer in outcome.timers:
            self._arm(self._timers, timer)

    def _steps(self, outcome: Outcome) -> list[Step]:
        events: list[Step] = [partial(self._apply, event, outcome) for event in outcome.events]
        commands: list[Step] = [partial(self._command, *command) for command in outcome.commands]
        cancels: list[Step] = [partial(self._tell_all, one) for one in outcome.cancellations]
        answers: Step = partial(self._answer, outcome)
        if self.durable:
            return [*commands, *cancels, *events, answers]
        return [*events, *commands, *cancels, answers]

    def _arm(self, timers: list[tuple[int, int, Timer]], timer: Timer) -> None:
        self._armed += 1
        if timer.due < FAR:
            heapq.heappush(timers, (timer.due, self._armed, timer))

    def _apply(self, event: InstanceChanged | InstanceDeleted, outcome: Outcome) -> None:
        event = self._over_the_wire(event)
        shelf = self.storage.shelves.get(event.id)
        if isinstance(event, InstanceDeleted):
            if self.storage.apply(event):
                assert shelf is not None
                self.handling.check_gone(shelf.record)
                self.twins.forget(event.id)
                self.executors.forget_instance(event.id)
                self._committed(event, outcome)
            return
        before = shelf.copy() if event.whole and shelf is not None else None
        without = self.twins.before(shelf) if shelf is not None else None
        last = (shelf or Shelf(event.id)).record
        status, handlers, deleting = last.status, last.handlers, last.deleting
        if not self.storage.apply(event):
            return
        shelf = self.storage.shelves[event.id]
        self.handling.check(status, handlers, deleting, shelf.record)
        if before is not None:
            same_instance(before.record, shelf.record)
            for path, task in before.tasks.items():
                compare_tasks(task, shelf.tasks.get(path) or TaskRecord(path=path))
        if event.instance is not None and event.instance.plan is not UNSET:
            self._planted(event.id, event.instance.plan)
        self.wire.extend(self.twins.after(shelf, event, without))
        for path in event.removed:
            self.executors.functions.forget(event.id, path, shelf)
        self._committed(event, outcome)
        if self.on_event is not None:
            self.on_event(shelf, event)

    def _planted(self, id: str, plan: Plan) -> None:
        """The tree of an instance is stored."""
        workflow = self.workflows[id]
        if workflow.next is not None and workflow.next[0] == plan:
            workflow.plan, workflow.does = workflow.next
            workflow.next = None
            self.executors.functions.behaviours[id] = workflow.does

    def _over_the_wire(self, event: InstanceChanged | InstanceDeleted) -> InstanceChanged | InstanceDeleted:
        """The event as it arrives."""
        messages, wrong = codec.decode_parcel(codec.join_parcel([codec.encode_message(event)]))
        assert not wrong, wrong
        (arrived,) = messages
        assert isinstance(arrived, InstanceChanged | InstanceDeleted)
        return arrived

    def _command(self, mailbox: str, command: RunTasks | ExpandPlan | RunHandler) -> None:
        self.messages += 1
        if isinstance(command, ExpandPlan):
            self.wire.append(self._expand(command))
        elif isinstance(command, RunHandler):
            self.handling.take(command)
        else:
            if not self.durable:
                self.executors.check_new(command)
            self.executors.take(command)
            for order in command.orders:
                queue = mailbox.removeprefix("executor.")
                self._out[command.id, command.epoch, order.command] = queue
            self._check_windows()

    def _tell_all(self, message: CancelAttempts | WhatIsHeld) -> None:
        if isinstance(message, CancelAttempts):
            self.wire.extend(self.executors.cancel(message))
        elif self.random.random() < 0.8:
            self.wire.extend(self.executors.held())

    def _expand(self, command: ExpandPlan) -> PlanExpanded:
        workflow = self.workflows[command.id]
        if command.updater is None:
            return PlanExpanded(command.id, command.epoch, command.command, workflow.plan)
        data = updaters.apply(_json(command.data), _json(command.updater))
        plan = workflow.next[0] if workflow.next is not None else workflow.plan
        return PlanExpanded(command.id, command.epoch, command.command, plan, data=inline(data))

    def _check_windows(self) -> None:
        for instance in self.partition.instances.values():
            if instance is not None:
                sizes = [len(window.out) for window in instance.windows.by_queue.values()]
                # An executor that has died counts until its lease is over; and a takeover finds out what an
                # owner that knew other executors has sent.
                most = 2 * MOST_CONCURRENCY * self.executors.born
                assert max(sizes, default=0) <= max(windows_module.WINDOW, most), sizes

    def _answer(self, outcome: Outcome) -> None:
        for call, answer in outcome.answers:
            if isinstance(answer, Wanted):
                self.executors.told(call.call, answer)
                continue
            assert isinstance(answer, Accepted | TaskpathError)
            self.calls.answered(call, answer)

    def _committed(self, event: InstanceChanged | InstanceDeleted, outcome: Outcome) -> None:
        """What an instance's event has made true is true, whether or not the callers will hear of it."""
        id = event.id
        self.cut.setdefault(id, set()).update(path for cut, path in self._cut_now if cut == id)
        for call, answer in outcome.answers:
            if isinstance(answer, Accepted) and answer.id == id and answer.revision <= event.revision:
                self.calls.answered(call, answer)

    # Owners come and go.

    def take_over(self) -> None:
        """Another owner takes over, with nothing but what is stored, and what the bus has kept."""
        while True:
            self.lives += 1
            if self.durable:
                self.executors.ask_again()
                kept = [one.call for one in self.wire if isinstance(one, Call)]
                self.wire = [one for one in self.wire if not _is_question(one)]
                waiting = self.calls.waiting
                self.wire.extend(call for number, call in waiting.items() if number not in kept)
            else:
                ghosts: list[Message] = [one for one in self.wire if not isinstance(one, Call | PlanExpanded)]
                self._ghosts = ghosts[:5]
                self.executors.forget()
                self.handling.forget()
                self.wire = list(self.calls.waiting.values())
                self._out.clear()
            self._timers = []
            self._cut_now.clear()
            epoch, active = self.storage.claim()
            self.partition = Partition(PARTITION, epoch, self._lease)
            self._load(self.partition, active)
            try:
                self.let_out(self.partition.decide((), (), self.now))
                return
            except Crashed:
                continue

    def _go_on_beside(self, batch: list[Message]) -> None:
        """The owner may not be dead: it goes on with what it has taken, which comes to its successor, too."""
        if self.random.random() >= self.stalls:
            return
        taken = [one for one in self.wire if not _is_question(one) and self.random.random() < 0.3]
        self._again.extend(taken)
        # It may answer nobody: storage does not tell it that its events are stored.
        left = [step for step in self._left if not self._is_answer(step)]
        self._rivals.append(Rival(self.partition, self._timers, left, taken))
        self.rivals += 1

    def _is_answer(self, step: Step) -> bool:
        return isinstance(step, partial) and step.func == self._answer

    def _let_rival_act(self) -> None:
        rival = self.random.choice(self._rivals)

        def let_out(outcome: Outcome) -> None:
            outcome.answers.clear()
            for step in self._steps(outcome):
                step()
            for timer in outcome.timers:
                self._arm(rival.timers, timer)

        if not rival.act(self.random, self.now, self._load, let_out):
            self._rivals.remove(rival)


def _json(value: Any) -> Any:
    return msgspec.json.decode(value.json)


def _is_question(message: Message) -> bool:
    return isinstance(message, Call) and isinstance(message.body, AskWanted)
