"""Executors that take orders, report, hold, return, die and leave, whenever they are asked to."""

from __future__ import annotations

import random
from dataclasses import dataclass

from taskpath_proto.events import ExecutorBeat
from taskpath_proto.queries import AskWanted, Wanted
from taskpath_proto.records import TaskStatus
from taskpath_proto.work import (
    CancelAttempts,
    Order,
    RunTasks,
    TaskFinished,
    TaskProgressed,
    TasksHeld,
    TasksReturned,
    TaskStarted,
)
from tests.support.scheduler_functions import Asked, Functions
from tests.support.scheduler_segments import Key, Lines, following
from tests.support.scheduler_storage import Storage

Report = TaskStarted | TaskProgressed | TasksHeld | TasksReturned | TaskFinished | ExecutorBeat

MOST_BLAMES = 2
"""So often an executor may die by chance under a task that runs alone on it: once more, and it is blamed."""

MOST_DEATHS = 50
"""So many executors end by chance in one life: more, and nothing long is ever done."""


@dataclass(eq=False)
class Job:
    """One order at an executor.

    Attributes:
        executor: which one.
        reported: as started, or as waiting: the delivery was acknowledged, the order is leased.
        doubtful: it came redelivered, or from an older owner: it has to be asked whether it is wanted.
        suspect: it may have ended an executor: it runs alone, reported first.
        alone: it runs, and nothing else does.
        began_alone: so it was when it began.
        asked: the number of the call that asks.
        after: of a step, the report of the task before it, until that is confirmed.
        step: it was gone on to: no delivery brings it to another executor.
        cut: its executor lost the connection, and does not go on from it.
    """

    message: RunTasks
    order: Order
    executor: str
    started: bool = False
    hangs: bool = False
    reported: bool = False
    doubtful: bool = False
    suspect: bool = False
    alone: bool = False
    began_alone: bool = False
    asked: int | None = None
    after: TaskFinished | None = None
    step: bool = False
    cut: bool = False

    @property
    def named(self) -> tuple[tuple[str, int]]:
        """Its path and command, as reports have them."""
        return ((self.order.path, self.order.command),)


class Executors:
    """All executors.

    Attributes:
        jobs: what is out, by (instance, epoch, command).
        functions: what they run.
        names: those that live.
        born: how many have lived so far.
        blames: how often one died under a task that had begun alone on it, by instance and path.
    """

    def __init__(self, storage: Storage, random: random.Random) -> None:
        self._storage, self._random = storage, random
        self.functions = Functions(storage)
        self.jobs: dict[Key, Job] = {}
        self.beside: list[Job] = []
        self.lines = Lines()
        self.steps = 0
        self._cancelled: set[Key] = set()
        self.names = ["e1"]
        self.blames: dict[tuple[str, str], int] = {}
        self.born = 3
        self._epoch = 0

    def take(self, message: RunTasks) -> None:
        """Takes orders."""
        assert message.orders
        self.lines.add(message)
        if message.id in self._storage.graves and message.id not in self._storage.shelves:
            return  # whoever asks is told that it is not wanted
        name = self._random.choice(self.names)
        # What an older owner has sent may have been decided anew meanwhile.
        doubtful = message.epoch < self._epoch and self._random.random() < 0.9
        self._epoch = max(self._epoch, message.epoch)
        for order in message.orders:
            key = (message.id, message.epoch, order.command)
            assert key not in self.jobs, "a command's number was used twice"
            self.jobs[key] = Job(message, order, name, doubtful=doubtful, suspect=order.suspect)

    def check_new(self, message: RunTasks) -> None:
        """Sees that orders of the present owner refer to what is stored, and that nothing done runs again."""
        shelf = self._storage.shelves[message.id]
        assert message.revision <= shelf.record.revision
        for order in message.orders:
            assert (order.path, order.attempt) not in shelf.finished, (
                order,
                "what was committed as done runs again",
            )

    # How they come and go.

    def die(self) -> None:
        """Some executor ends, but for one that would put the blame on a task once too often."""
        if self.born > MOST_DEATHS:
            return
        name = self._random.choice(self.names)
        blamed = self._blamed(name)
        if blamed is None or self.blames.get(blamed, 0) < MOST_BLAMES:
            self.end(name)

    def end(self, name: str) -> None:
        """An executor ends, and another one comes. What it had not reported comes back to somebody else."""
        blamed = self._blamed(name)
        if blamed is not None:
            self.blames[blamed] = self.blames.get(blamed, 0) + 1
        self._replace(name)
        self.beside = [job for job in self.beside if job.executor != name]
        for key, job in list(self.jobs.items()):
            if job.executor != name:
                continue
            if job.reported or job.step or self._random.random() < 0.1:
                del self.jobs[key]
            else:
                other = self._random.choice(self.names)
                self.jobs[key] = Job(job.message, job.order, other, doubtful=True, suspect=True)

    def cut(self) -> None:
        """Some executor loses its connection and has another: what it had not reported comes to others; what
        of that had begun goes on beside it."""
        name = self._random.choice(self.names)
        for key, job in list(self.jobs.items()):
            if job.executor != name:
                continue
            if job.reported or job.step:
                job.cut = True
                continue
            if not job.doubtful and not job.suspect and self._random.random() < 0.5:
                self.beside.append(job)
            other = self._random.choice([one for one in self.names if one != name])
            self.jobs[key] = Job(job.message, job.order, other, doubtful=True, suspect=True)

    def end_beside(self) -> list[Report]:
        """Something ends that another executor has been given, too."""
        job = self.beside.pop(self._random.randrange(len(self.beside)))
        asked = self.functions.asked(job.message, job.order) if self.is_ready(job) else None
        if asked is None or asked.kills or asked.hangs:
            return []
        report = self.functions.end(asked, job.executor, hangs=False)
        if report.status is not TaskStatus.OK or not job.order.then:
            return [report]
        _, order = following(job.message, job.order, report, asked.spec)
        named = ((order.path, order.command),)
        return [report, TasksReturned(job.message.id, job.message.epoch, job.executor, named)]

    def leave(self) -> list[Report]:
        """An executor is told to end: it returns what waits, reports what it runs as finished, and says that
        it is gone."""
        reports: list[Report] = []
        if self.born > MOST_DEATHS:
            return reports
        name = self._random.choice(self.names)
        for key, job in list(self.jobs.items()):
            if job.executor != name or job.hangs or job.asked is not None or job.doubtful:
                continue
            asked = self.functions.asked(job.message, job.order) if self.is_ready(job) else None
            if job.started and asked is not None and not asked.kills:
                report = self.functions.end(asked, name, hangs=False)
                reports.append(report)
                self._follow(job, asked, report)
                reports.extend(self._give_up_step(key))
            elif not job.started:
                reports.append(TasksReturned(job.message.id, job.message.epoch, name, job.named))
            else:
                continue
            self.jobs.pop(key, None)
        self.end(name)
        if self._random.random() < 0.8:
            reports.append(ExecutorBeat(name, 0, gone=True))
        return reports

    def _replace(self, name: str) -> None:
        self.names.remove(name)
        self.born += 1
        self.names.append(f"e{self.born}")

    def _blamed(self, name: str) -> tuple[str, str] | None:
        """The task that might be blamed if an executor ended now: that it is not alone may be heard late."""
        for job in self.jobs.values():
            if job.executor == name and job.began_alone:
                return job.message.id, job.order.path
        return None

    # Questions.

    def is_ready(self, job: Job) -> bool:
        """Whether a job can go on: what it refers to is stored, and it waits for no answer."""
        shelf = self._storage.shelves.get(job.message.id)
        return shelf is not None and job.message.revision <= shelf.record.revision and job.asked is None

    def question(self, job: Job, call: int) -> AskWanted:
        """Asks whether a doubtful job is wanted."""
        job.asked = call
        return AskWanted(job.message.id, job.message.epoch, job.executor, job.named)

    def told(self, call: int, answer: Wanted) -> None:
        """A question was answered."""
        for key, job in list(self.jobs.items()):
            if job.asked == call:
                job.asked, job.doubtful = None, False
                if job.order.command not in answer.commands:
                    del self.jobs[key]

    def ask_again(self) -> None:
        """The owner that was asked is gone."""
        for job in self.jobs.values():
            job.asked = None

    def cancel(self, message: CancelAttempts) -> list[Report]:
        """Stops attempts; some had just ended, and are reported nevertheless."""
        late: list[Report] = []
        for command in message.commands:
            key = (message.id, message.epoch, command)
            job = self.jobs.get(key)
            if job is None or job.after is not None:
                self._cancelled.add(key)
                continue
            del self.jobs[key]
            asked = None
            if self._random.random() < 0.3 and self.is_ready(job):
                asked = self.functions.asked(job.message, job.order)
            if asked is not None and not asked.kills:
                report = self.functions.end(asked, job.executor, hangs=False)
                late.append(report)
                self._follow(job, asked, report)
            elif job.step:
                late.append(TasksReturned(message.id, message.epoch, job.executor, job.named))
        return late

    def held(self) -> list[Report]:
        """What executors say that they hold, when they are asked."""
        return [
            TasksHeld(job.message.id, job.message.epoch, job.executor, job.named)
            for job in self.jobs.values()
            if (job.reported and job.after is None) or self._random.random() < 0.5
        ]

    # Segments.

    def _follow(self, job: Job, asked: Asked, report: TaskFinished) -> None:
        """What follows a job that has ended well begins when the report of that is confirmed."""
        if report.status is TaskStatus.OK and job.order.then:
            message, order = following(job.message, job.order, report, asked.spec)
            key = (message.id, message.epoch, order.command)
            assert key not in self.jobs
            self.jobs[key] = Job(
                message,
                order,
                job.executor,
                reported=True,
                suspect=job.suspect or job.cut,
                after=report,
                step=True,
            )

    def _give_up_step(self, key: Key) -> list[Report]:
        """An executor does not go on after a job that has just ended."""
        job = self.jobs.pop((key[0], key[1], key[2] + 1), None)
        return [TasksReturned(key[0], key[1], job.executor, job.named)] if job is not None else []

    def confirm(self, key: Key) -> list[Report]:
        """The report of what is before a step is confirmed: its executor goes on, or returns it."""
        job = self.jobs[key]
        job.after = None
        if job.suspect or key in self._cancelled or self._random.random() < 0.05:
            del self.jobs[key]
            return [TasksReturned(key[0], key[1], job.executor, job.named)]
        self.steps += 1
        job.doubtful = job.message.epoch < self._epoch and self._random.random() < 0.9
        return []

    def forget(self) -> None:
        """They die with the process."""
        self.jobs.clear()
        self.beside.clear()

    def forget_instance(self, id: str) -> None:
        """An instance is gone."""
        for key in [key for key in self.jobs if key[0] == id]:
            del self.jobs[key]
        self.beside = [job for job in self.beside if job.message.id != id]

    # Work.

    def work(self, key: Key, now: int) -> list[Report]:
        """Goes on with a job; gives what is reported."""
        job = self.jobs[key]
        asked = self.functions.asked(job.message, job.order)
        if asked is None:
            del self.jobs[key]  # of a tree that is no more
            return []
        runs, chance = asked.runs, self._random.random()
        kills = runs and asked.kills
        hangs = runs and asked.hangs and not kills
        if kills and (job.started or not job.suspect) and chance < 0.8:
            if not job.started and chance < 0.3:
                return self._start(job, now, alone=False)
            self.end(job.executor)
            return []
        if not job.started and runs:
            if job.suspect:
                return self._start_suspect(job, now)
            if hangs or chance < 0.2:
                job.hangs = hangs
                reports = [*self._company(job, now), *self._start(job, now, alone=False)]
                return reports if chance >= 0.1 else [*reports, self._progress(job)]
        if kills or (hangs and runs):
            return []
        if not job.reported and chance > 0.97:
            job.reported = True
            return [TasksHeld(job.message.id, job.message.epoch, job.executor, job.named)]
        if not job.started and chance > 0.95:
            del self.jobs[key]
            return [TasksReturned(job.message.id, job.message.epoch, job.executor, job.named)]
        ended = self._ended(job, asked, hangs=hangs)
        return ended if job.started else [*self._company(job, now), *ended]

    def _ended(self, job: Job, asked: Asked, *, hangs: bool) -> list[Report]:
        report = self.functions.end(asked, job.executor, hangs=hangs)
        del self.jobs[job.message.id, job.message.epoch, job.order.command]
        self._follow(job, asked, report)
        return [report]

    def _start_suspect(self, job: Job, now: int) -> list[Report]:
        """A suspect is reported before it begins, and whether it is alone; it may have to wait for that."""
        running = [one for one in self.jobs.values() if one.executor == job.executor and one.started]
        if running and self._random.random() < 0.8:
            return []
        asked = self.functions.asked(job.message, job.order)
        job.hangs = asked is not None and asked.hangs and asked.runs and not asked.kills
        return [*self._company(job, now), *self._start(job, now, alone=not running)]

    def _start(self, job: Job, now: int, *, alone: bool) -> list[Report]:
        job.started = job.reported = True
        job.alone, job.began_alone = alone, job.began_alone or alone
        message, order = job.message, job.order
        return [
            TaskStarted(message.id, message.epoch, order.command, order.path, now, job.executor, alone=alone)
        ]

    def _company(self, job: Job, now: int) -> list[Report]:
        """What ran alone beside this job does so no more."""
        for one in self.jobs.values():
            if one.executor == job.executor and one.alone:
                return self._start(one, now, alone=False)
        return []

    def _progress(self, job: Job) -> Report:
        fraction = round(self._random.random(), 2)
        message, order = job.message, job.order
        return TaskProgressed(message.id, message.epoch, order.command, order.path, fraction, "going on")
