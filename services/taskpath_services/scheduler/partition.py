"""A partition: the instances of one mailbox, and the decision that a batch of its messages leads to.

Pure: messages, timers and the time go in, an :class:`~taskpath_services.scheduler.effects.Outcome` comes out.

One room, though a long one: here it is seen which message leads to which rule, and that whatever one changes
is concluded in the same batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import UNSET

from taskpath_proto import paths
from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.commands import (
    Accepted,
    Cancel,
    CreateInstance,
    Delete,
    Execute,
    SetContextUpdaters,
    UpdateInstance,
)
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat, WantSnapshot
from taskpath_proto.queries import AskWanted, InstanceLoaded, Wanted
from taskpath_proto.work import (
    ExpandPlan,
    HandlerFinished,
    PlanExpanded,
    TaskFinished,
    TaskProgressed,
    TasksHeld,
    TasksReturned,
    TaskStarted,
    WhatIsHeld,
)
from taskpath_services.scheduler import attempts, handlers, keyed, losses, repeats, watch
from taskpath_services.scheduler.cancel import abandon, cancel
from taskpath_services.scheduler.changes import conclude
from taskpath_services.scheduler.creation import create, expansion_again, names_queues
from taskpath_services.scheduler.effects import Outcome, Timer, TimerKind
from taskpath_services.scheduler.execute import execute
from taskpath_services.scheduler.expansions import Expansions, failure, refuse
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.restore import restore
from taskpath_services.scheduler.update import Update, refuse_while_running, rename, replant, set_updaters
from taskpath_services.scheduler.walk import drain, widened

STALLED_MS: Final = 5_000
"""Who looks so much too late was stalled itself, and has not heard what was said meanwhile."""

IDLE_TASKS: Final = 100_000
"""How many tasks of instances that do not run are kept in memory, the latest used."""


_Carried: TypeAlias = Execute | Cancel | Delete | UpdateInstance | SetContextUpdaters
_Report: TypeAlias = TaskFinished | TaskStarted | TaskProgressed | TasksHeld | TasksReturned | HandlerFinished


def subject(message: Message, *, redelivered: bool = False) -> str | None:
    """The instance that a message is about, if its state is needed to deal with it."""
    if isinstance(message, Call):
        body = message.body
        if isinstance(body, (_Carried, AskWanted)):
            return body.id
        if isinstance(body, CreateInstance):
            return body.id if redelivered or message.again or body.creation_key is not None else None
    elif isinstance(message, (_Report, WantSnapshot)):
        return message.id
    return None


class Partition:
    """The state of one partition under one owner.

    Args:
        number: of the partition.
        epoch: of the owner.
        lease: after how many ms of silence what an executor holds is lost; None if executors live and die
            with this process.
    """

    def __init__(self, number: int, epoch: int, lease: int | None = None) -> None:
        self.number = number
        self.epoch = epoch
        self.fleet = Fleet(lease)
        self.instances: dict[str, Instance | None] = {}
        self._expansions = Expansions(number, epoch)
        self._replay: list[Call] = []
        self._due: dict[Instance, None] = {}
        self._running: dict[Instance, None] = {}
        self._watching = False
        self._redelivered = False
        self._absent: list[str] = []
        self._buried: set[str] = set()
        self._announced: list[tuple[str, ExpandPlan]] = []
        self._idle: OrderedDict[str, int] = OrderedDict()
        self._idle_tasks = 0

    def unknown(self, messages: Sequence[Message], *, redelivered: bool = False) -> list[str]:
        """The instances that have to be loaded before these messages can be decided."""
        wanted: dict[str, None] = {}
        for message in messages:
            id = subject(message, redelivered=redelivered)
            if id is not None and id not in self.instances and id not in self._expansions.creations:
                wanted[id] = None
        return list(wanted)

    def load(self, id: str, loaded: InstanceLoaded, now: int) -> None:
        """Takes in what storage has of an instance: nothing, if there is none."""
        if loaded.instance is None:
            self.instances[id] = None
            self._absent.append(id)
            if loaded.tombstone is not None:
                self._buried.add(id)
            return
        instance = restore(loaded.instance, loaded.tasks, self.number, self.epoch, now, self.fleet)
        self.instances[id] = instance
        self._due[instance] = None
        if instance.runs and names_queues(instance.identity.plan.tasks):
            self._announced.append(expansion_again(instance))

    def decide(
        self,
        messages: Sequence[Message],
        timers: Sequence[Timer],
        now: int,
        *,
        redelivered: bool = False,
    ) -> Outcome:
        """Deals with a batch.

        Args:
            messages: from the mailbox, in order; every instance that they need has been loaded.
            timers: that have fired.
            now: ms since epoch.
            redelivered: whether some of the messages may have been dealt with by an earlier owner.
        """
        outcome = Outcome()
        self._redelivered = redelivered
        outcome.commands.extend(self._announced)
        self._announced.clear()
        for timer in timers:
            if timer.kind is not TimerKind.WATCH:
                self._fire(timer, now, outcome)
        for message in messages:
            if isinstance(message, TaskFinished):
                if (instance := self._known(message.id, now)) is not None:
                    attempts.finished(instance, message)
            elif isinstance(message, Call):
                self._call(message, now, outcome)
            elif isinstance(message, TaskStarted):
                if (instance := self._known(message.id, now)) is not None:
                    attempts.started(instance, message)
            elif isinstance(message, TaskProgressed):
                if (instance := self._known(message.id, now)) is not None:
                    attempts.progressed(instance, message)
            else:
                self._hear(message, now, outcome)
        while self._replay:
            self._call(self._replay.pop(0), now, outcome)
        for timer in timers:
            if timer.kind is TimerKind.WATCH:
                self._watch(timer.due, now, outcome)  # knowing what was said by now
        for instance in self._due:
            if not instance.deleted:
                drain(instance)
            conclude(instance, outcome)
            if instance.deleted:
                self._expansions.drop(instance, outcome)
            self._note_idle(instance)
        self._due.clear()
        self._forget()
        if self.fleet.ask and not self._watching:
            outcome.cancellations.append(WhatIsHeld(self.number))
        if self._running and not self._watching:
            self._watching = True
            outcome.timers.append(Timer(now + watch.EVERY_MS, "", TimerKind.WATCH, paths.ROOT, 0))
        return outcome

    def _hear(self, message: Message, now: int, outcome: Outcome) -> None:
        """What comes more seldom than calls and reports of tasks that run."""
        if isinstance(message, PlanExpanded):
            self._expanded(message, now, outcome)
        elif isinstance(message, ExecutorAnnounced):
            if self.fleet.announced(message, now):
                self._widen(now)
        elif isinstance(message, ExecutorBeat):
            if message.gone:
                self._due.update(dict.fromkeys(watch.lose(self.fleet.gone(message.executor), now)))
            else:
                self.fleet.beat(message.executor, now)
        elif isinstance(message, (TasksHeld, TasksReturned, HandlerFinished, WantSnapshot)):
            instance = self._known(message.id, now)
            if instance is None:
                return
            if isinstance(message, TasksHeld):
                attempts.held(instance, message)
            elif isinstance(message, TasksReturned):
                losses.returned(instance, message)
            elif isinstance(message, HandlerFinished):
                handlers.finished(instance, message)
            else:
                instance.snapshot_wanted = True

    def overdue(self, now: int) -> set[str]:
        """The queues of what was sent long ago and is not reported: whether it still waits in them has to be
        found out."""
        return watch.overdue(self.fleet, self._running, now)

    def found_empty(self, queues: set[str], look: int, now: int) -> bool:
        """In these queues nothing waited: what was overdue of them then has got lost, and goes out again with
        the next decision.

        Args:
            queues: their names.
            look: when they were empty, ms since epoch.
            now: likewise.

        Returns:
            Whether there is anything.
        """
        concerned = watch.send_again(self.fleet, self._running, queues, look, now)
        self._due.update(dict.fromkeys(concerned))
        return bool(concerned)

    def _watch(self, due: int, now: int, outcome: Outcome) -> None:
        self._watching = False
        if now - due < STALLED_MS:
            self._due.update(dict.fromkeys(watch.lapse(self.fleet, now)))
            watch.doubt(self.fleet, self._running, now)
            self._due.update(dict.fromkeys(watch.unclaimed(self.fleet, self._running, now)))
            self._due.update(dict.fromkeys(watch.explain(self.fleet, self._running, now)))
            if self.fleet.ask:
                outcome.cancellations.append(WhatIsHeld(self.number))

    def _widen(self, now: int) -> None:
        """There are other executors than before: more may go out."""
        for instance in self._running:
            instance.now = now
            widened(instance)
        self._due.update(self._running)

    def _known(self, id: str, now: int) -> Instance | None:
        instance = self.instances.get(id)
        if instance is not None and not instance.deleted:
            instance.now = now
            self._due[instance] = None
            return instance
        return None

    def _fire(self, timer: Timer, now: int, outcome: Outcome) -> None:
        if timer.kind is TimerKind.EXPANSION:
            self._expired(timer, now, outcome)
            return
        instance = self._known(timer.id, now)
        if instance is None:
            return
        if timer.kind is TimerKind.HANDLER:
            handlers.fired(instance, timer)
        else:
            attempts.fired(instance, timer)

    def _call(self, call: Call, now: int, outcome: Outcome) -> None:
        if call.deadline < now and not self._redelivered:
            return  # of one that came before some effects may be out already: it is carried out to its end
        body = call.body
        if isinstance(body, CreateInstance):
            existing = self.instances.get(body.id)
            if existing is not None:
                self._due[existing] = None
            buried = body.id in self._buried
            self._expansions.create(call, body, existing, outcome, buried=buried)
            return
        if isinstance(body, AskWanted):
            instance = self._known(body.id, now)
            outcome.answers.append((call, attempts.wanted(instance, body) if instance else Wanted()))
            return
        if not isinstance(body, _Carried):
            return
        instance = self._known(body.id, now)
        if instance is None or instance.deleting:
            if isinstance(body, Delete) and (self._redelivered or call.again):
                outcome.answers.append((call, Accepted(body.id, 0)))
                return
            error = TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {body.id}.")
            outcome.answers.append((call, error))
            return
        update = self._expansions.updates.get(body.id)
        if update is not None and not isinstance(body, Delete):
            if not repeats.is_among(call, (update.call, *update.waiting)):
                update.waiting.append(call)
            return
        if repeats.is_known(instance, call):
            instance.effects.answers.append((call, False, None))
            return
        drain(instance)
        if instance.runs_changed and not instance.runs:
            conclude(instance, outcome)  # how it ended is recorded, whatever comes next
            if instance.deleted:
                self._note_idle(instance)
                del self._due[instance]
            if instance.deleted or instance.deleting:
                self._call(call, now, outcome)
                return
        try:
            repeated = self._carry_out(instance, call, body, outcome)
        except TaskpathError as error:
            instance.effects.errors.append((call, error))
        else:
            if body.id not in self._expansions.updates:
                repeats.remember(instance, call)
                instance.effects.answers.append((call, False, repeated))

    def _carry_out(
        self,
        instance: Instance,
        call: Call,
        body: _Carried,
        outcome: Outcome,
    ) -> int | None:
        """Does what a command says; gives the revision of an earlier one, if this is its repeat.

        Raises:
            TaskpathError: it is refused.
        """
        if isinstance(body, (Execute, Cancel, SetContextUpdaters)):
            repeated = keyed.earlier(instance, body.key, body.digest)
            if repeated is not None:
                return repeated
            if isinstance(body, Execute):
                execute(instance, body)
            elif isinstance(body, Cancel):
                cancel(instance, body.path)
            else:
                set_updaters(instance, body)
            keyed.remember(instance, body.key, body.digest)
        elif isinstance(body, Delete):
            self._delete(instance, outcome)
        else:
            self._update(instance, call, body, outcome)
        return None

    def _delete(self, instance: Instance, outcome: Outcome) -> None:
        abandon(instance)
        self._expansions.drop(instance, outcome)
        instance.handlers.clear()
        instance.runs_changed = instance.handlers_changed = True
        instance.deleting = handlers.deleting(instance)
        instance.deleted = not instance.deleting

    def _update(self, instance: Instance, call: Call, body: UpdateInstance, outcome: Outcome) -> None:
        if body.data is not None:
            refuse_while_running(instance)
        if body.name is not UNSET:
            rename(instance, body.name)
        if body.data is not None:
            self._expansions.update(instance, call, body, body.data, outcome)

    def _expanded(self, report: PlanExpanded, now: int, outcome: Outcome) -> None:
        waited = self._expansions.came(report)
        error = failure(report)
        if isinstance(waited, Update):
            self._updated(waited, error or report, now)
        elif waited is not None and report.plan is not None:
            instance = create(waited, report.plan, self.number, self.epoch, now, self.fleet)
            self.instances[report.id] = instance
            self._due[instance] = None
        elif waited is not None and error is not None:
            refuse(waited.calls, error, outcome)

    def _expired(self, timer: Timer, now: int, outcome: Outcome) -> None:
        waited = self._expansions.expired(timer)
        if isinstance(waited, Update):
            late = "No executor has made the new tree in time; nothing has changed."
            self._updated(waited, TaskpathError(ErrorCode.UNAVAILABLE, late), now)
        elif waited is not None:
            late = f"No executor has expanded the workflow {waited.command.workflow} in time; try again."
            refuse(waited.calls, TaskpathError(ErrorCode.UNAVAILABLE, late), outcome)

    def _updated(self, update: Update, result: PlanExpanded | TaskpathError, now: int) -> None:
        """An update has its new plan, or cannot have one; what waited for it goes on."""
        instance = self._known(update.command.id, now)
        if instance is None:
            return
        if isinstance(result, TaskpathError):
            instance.effects.errors.append((update.call, result))
        elif result.plan is not None:
            replant(instance, result.plan, result.data or instance.identity.data)
            repeats.remember(instance, update.call)
            instance.effects.answers.append((update.call, False, None))
        self._replay.extend(update.waiting)

    def _note_idle(self, instance: Instance) -> None:
        self._idle_tasks -= self._idle.pop(instance.id, 0)
        if instance.runs and not instance.deleted:
            self._running[instance] = None
        else:
            self._running.pop(instance, None)
        if instance.deleted:
            del self.instances[instance.id]
        elif not instance.runs and not instance.handlers and instance.id not in self._expansions.updates:
            size = self._idle[instance.id] = len(instance.tree.nodes) + 100
            self._idle_tasks += size

    def _forget(self) -> None:
        """Lets go of instances that do not run, the longest unused first, and of ids that are none."""
        while self._idle_tasks > IDLE_TASKS and len(self._idle) > 1:
            id, size = self._idle.popitem(last=False)
            self._idle_tasks -= size
            del self.instances[id]
        for id in self._absent:
            if self.instances.get(id) is None:
                self.instances.pop(id, None)
        self._absent.clear()
        self._buried.clear()
