"""A partition: the instances of one mailbox, and the decision that a batch of its messages leads to.

Pure: messages, timers and the time go in, an :class:`~taskpath_services.scheduler.effects.Outcome` comes out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from taskpath_proto.calls import Call
from taskpath_proto.codec import Message
from taskpath_proto.commands import Cancel, CreateInstance, Delete, Execute
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import InstanceLoaded
from taskpath_proto.work import PlanExpanded, TaskFinished, TaskProgressed, TaskStarted
from taskpath_services.scheduler import attempts
from taskpath_services.scheduler.cancel import abandon, cancel
from taskpath_services.scheduler.changes import conclude
from taskpath_services.scheduler.creation import Creation, create, expansion
from taskpath_services.scheduler.effects import Outcome, Timer, TimerKind
from taskpath_services.scheduler.execute import execute
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.restore import restore
from taskpath_services.scheduler.walk import drain

IDLE_TASKS: Final = 100_000
"""How many tasks of instances that do not run are kept in memory, the latest used."""


def subject(message: Message) -> str | None:
    """The instance that a message is about, if its state is needed to deal with it."""
    if isinstance(message, Call):
        body = message.body
        if isinstance(body, (Execute, Cancel, Delete)):
            return body.id
        if isinstance(body, CreateInstance) and body.creation_key is not None:
            return body.id
    elif isinstance(message, (TaskFinished, TaskStarted, TaskProgressed)):
        return message.id
    return None


class Partition:
    """The state of one partition under one owner.

    Args:
        number: of the partition.
        epoch: of the owner.
    """

    def __init__(self, number: int, epoch: int) -> None:
        self.number = number
        self.epoch = epoch
        self.instances: dict[str, Instance | None] = {}
        self.creations: dict[str, Creation] = {}
        self._expansions = 0
        self._due: dict[Instance, None] = {}
        self._absent: list[str] = []
        self._idle: OrderedDict[str, int] = OrderedDict()
        self._idle_tasks = 0

    def unknown(self, messages: Sequence[Message]) -> list[str]:
        """The instances that have to be loaded before these messages can be decided."""
        wanted: dict[str, None] = {}
        for message in messages:
            id = subject(message)
            if id is not None and id not in self.instances and id not in self.creations:
                wanted[id] = None
        return list(wanted)

    def load(self, id: str, loaded: InstanceLoaded, now: int) -> None:
        """Takes in what storage has of an instance: nothing, if there is none."""
        if loaded.instance is None:
            self.instances[id] = None
            self._absent.append(id)
            return
        instance = restore(loaded.instance, loaded.tasks, self.number, self.epoch, now)
        self.instances[id] = instance
        self._due[instance] = None

    def decide(self, messages: Sequence[Message], timers: Sequence[Timer], now: int) -> Outcome:
        """Deals with a batch.

        Args:
            messages: from the mailbox, in order; every instance that they need has been loaded.
            timers: that have fired.
            now: ms since epoch.
        """
        outcome = Outcome()
        for timer in timers:
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
            elif isinstance(message, PlanExpanded):
                self._expanded(message, now, outcome)
        for instance in self._due:
            if not instance.deleted:
                drain(instance)
            conclude(instance, outcome)
            self._note_idle(instance)
        self._due.clear()
        self._forget()
        return outcome

    def _known(self, id: str, now: int) -> Instance | None:
        instance = self.instances.get(id)
        if instance is not None and not instance.deleted:
            instance.now = now
            self._due[instance] = None
            return instance
        return None

    def _fire(self, timer: Timer, now: int, outcome: Outcome) -> None:
        if timer.kind is TimerKind.EXPANSION:
            creation = self.creations.get(timer.id)
            if creation is not None and creation.number == timer.number:
                del self.creations[timer.id]
                error = TaskpathError(
                    ErrorCode.UNAVAILABLE,
                    f"No executor has expanded the workflow {creation.command.workflow} in time; try again.",
                )
                outcome.answers.extend((call, error) for call in creation.calls)
            return
        instance = self._known(timer.id, now)
        if instance is not None:
            attempts.fired(instance, timer)

    def _call(self, call: Call, now: int, outcome: Outcome) -> None:
        if call.deadline < now:
            return
        body = call.body
        if isinstance(body, CreateInstance):
            self._create(call, body, now, outcome)
            return
        if not isinstance(body, (Execute, Cancel, Delete)):
            return
        instance = self._known(body.id, now)
        if instance is None:
            error = TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {body.id}.")
            outcome.answers.append((call, error))
            return
        drain(instance)
        try:
            if isinstance(body, Execute):
                execute(instance, body)
            elif isinstance(body, Cancel):
                cancel(instance, body.path)
            else:
                abandon(instance)
                instance.deleted = True
        except TaskpathError as error:
            instance.effects.errors.append((call, error))
        else:
            instance.effects.answers.append((call, False))

    def _create(self, call: Call, command: CreateInstance, now: int, outcome: Outcome) -> None:
        pending = self.creations.get(command.id)
        existing = self.instances.get(command.id)
        if pending is not None or existing is not None:
            key = pending.command.creation_key if pending is not None else None
            if existing is not None:
                key = existing.identity.creation_key
            if command.creation_key is None or key != command.creation_key:
                error = TaskpathError(
                    ErrorCode.CONFLICT,
                    "The same Idempotency-Key was used before, for a request with another body.",
                )
                outcome.answers.append((call, error))
            elif pending is not None:
                pending.calls.append(call)
            elif existing is not None:
                self._due[existing] = None
                existing.effects.answers.append((call, False))
            return
        self._expansions += 1
        creation = Creation(command, call, self._expansions)
        self.creations[command.id] = creation
        outcome.commands.append(expansion(creation, self.number, self.epoch))
        outcome.timers.append(Timer(call.deadline, command.id, TimerKind.EXPANSION, "#", creation.number))

    def _expanded(self, report: PlanExpanded, now: int, outcome: Outcome) -> None:
        creation = self.creations.get(report.id)
        if creation is None or report.epoch != self.epoch or report.command != creation.number:
            return
        del self.creations[report.id]
        if report.plan is None:
            info = report.error
            error = (
                TaskpathError.of(info)
                if info is not None
                else TaskpathError(ErrorCode.SCHEDULER_ERROR, "The workflow's generator gave no tree.")
            )
            outcome.answers.extend((call, error) for call in creation.calls)
            return
        instance = create(creation, report.plan, self.number, self.epoch, now)
        self.instances[report.id] = instance
        self._due[instance] = None

    def _note_idle(self, instance: Instance) -> None:
        self._idle_tasks -= self._idle.pop(instance.id, 0)
        if instance.deleted:
            del self.instances[instance.id]
        elif not instance.runs:
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
