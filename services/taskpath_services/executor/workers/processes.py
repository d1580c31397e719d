"""Worker processes for functions that want a core of their own.

Author code is not pickled: a process imports the app by its reference, calls the generator and finds the
function by the task's path. Each process has a second job waiting, so that it need not wait for us
between two. When a process dies, the job that it ran fails, the one that waited goes to another, and the
process is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog

from taskpath.app import App
from taskpath.runtime.service import Service
from taskpath_services.executor.outcome import Outcome, WorkerDied, failed
from taskpath_services.executor.workers import frames
from taskpath_services.executor.workers.frames import Broken, Done, Given, Hello, Job, Progressed, Said, Want

if TYPE_CHECKING:
    from taskpath_services.executor.attempt import Attempt

log = structlog.get_logger("taskpath.executor")

_AHEAD: Final = 2
"""How many jobs a process has: the one that it runs, and the next."""
_STOP_SECONDS: Final = 2.0


class _Ticket:
    """A job on its way, and where its outcome is waited for."""

    __slots__ = ("attempt", "ended", "worker")

    def __init__(self, attempt: Attempt, ended: asyncio.Future[Outcome]) -> None:
        self.attempt = attempt
        self.ended = ended
        self.worker: _Worker | None = None

    def end(self, outcome: Outcome) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)


class _Worker:
    """One process and its jobs; the first of them runs."""

    __slots__ = ("jobs", "process", "reason", "writer")

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.writer = writer
        self.jobs: deque[_Ticket] = deque()
        self.reason: str | None = None

    def kill(self) -> None:
        if self.process.returncode is None:
            # Not process.kill(): it takes the exit code on the way, and who waits for it gets none.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)


class ProcessWorkers(Service):
    """A bounded number of worker processes, started when they are needed.

    Args:
        app: the app; its ``source`` is what the processes import.
        limit: how many processes there are at most.
        max_value: how large a result may be, in bytes.
    """

    def __init__(self, app: App, limit: int, max_value: int) -> None:
        super().__init__("worker processes")
        self._app = app
        self._limit = limit
        self._max_value = max_value
        self._waiting: deque[_Ticket] = deque()
        self._workers: set[_Worker] = set()
        self._tickets: dict[Attempt, _Ticket] = {}
        self._starting = 0
        self.done = 0
        """How many functions have ended, ever."""
        self._closing = False

    async def run(self, attempt: Attempt) -> Outcome:
        """Runs the function of an attempt's task in a process.

        Args:
            attempt: its argument has been read.
        """
        if self._app.source is None:
            raise RuntimeError(
                "a task with process=True needs an app that a worker process can import; "
                "expected is an App that is a variable of a module"
            )
        ticket = _Ticket(attempt, asyncio.get_running_loop().create_future())
        self._tickets[attempt] = ticket
        try:
            self._waiting.append(ticket)
            self._hand_out()
            return await ticket.ended
        finally:
            del self._tickets[attempt]

    def recall(self, attempt: Attempt) -> bool:
        """Takes an attempt back if no process has got it; whether none has. It will not begin any more."""
        ticket = self._tickets.get(attempt)
        if ticket is None:
            return attempt.execution_time is None
        if ticket not in self._waiting:
            return False
        ticket.ended.cancel()
        self._waiting.remove(ticket)
        return True

    def kill(self, attempt: Attempt) -> None:
        """Ends an attempt: its process is killed if it runs there, and nothing happens if it is not here."""
        ticket = self._tickets.get(attempt)
        if ticket is None:
            return
        ticket.ended.cancel()
        worker = ticket.worker
        if worker is None:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        elif worker.jobs and worker.jobs[0] is ticket:
            worker.kill()
        # The second job of a process is left there; it is passed over or killed when its turn comes.

    async def on_stop(self) -> None:
        """Ends the processes."""
        self._closing = True
        self._waiting.clear()
        for worker in list(self._workers):
            worker.writer.close()
            if worker.jobs:
                worker.kill()
        ends = [asyncio.ensure_future(worker.process.wait()) for worker in self._workers]
        if ends:
            _, late = await asyncio.wait(ends, timeout=_STOP_SECONDS)
            for worker in list(self._workers):
                worker.kill()
            if late:
                await asyncio.wait(late)

    def _hand_out(self) -> None:
        """Gives jobs to the processes that have fewest, and starts more of them while all have some."""
        while self._waiting and not self._closing:
            worker = min(self._workers, key=lambda one: len(one.jobs), default=None)
            busy = worker is None or len(worker.jobs) >= 1
            if busy and len(self._workers) + self._starting < self._limit:
                if self._starting >= len(self._waiting):
                    return
                self._starting += 1
                self.spawn(self._start_worker(), "process")
                if self._starting >= len(self._waiting):
                    return
                continue
            if worker is None or len(worker.jobs) >= (1 if self._starting else _AHEAD):
                return
            self._give(worker, self._waiting.popleft())

    def _give(self, worker: _Worker, ticket: _Ticket) -> None:
        ticket.worker = worker
        worker.jobs.append(ticket)
        attempt = ticket.attempt
        message = attempt.group.message
        argument = attempt.argument
        worker.writer.write(
            frames.frame(
                Job(
                    id=message.id,
                    realm=message.realm,
                    workflow=message.workflow,
                    # A new owner may count from a version that the last one never stored.
                    tree=f"{message.id}/{message.epoch}/{message.plan_version}",
                    path=attempt.path,
                    attempt=attempt.order.attempt,
                    argument=argument if isinstance(argument, str) else bytes(argument).decode(),
                )
            )
        )
        if len(worker.jobs) == 1:
            self._begins(worker)

    def _begins(self, worker: _Worker) -> None:
        """The first job of a process has its turn."""
        ticket = worker.jobs[0]
        if ticket.ended.done():
            worker.kill()  # it was cancelled while it waited there
        else:
            ticket.attempt.execution_time = ticket.attempt.host.clock.now()

    async def _start_worker(self) -> None:
        """Starts a process and hears it until it ends."""
        source = self._app.source
        assert source is not None
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "taskpath_services.executor.workers.child",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            reader, writer = await asyncio.open_connection(sock=ours)
        except OSError as error:
            self._starting -= 1
            ours.close()
            self._fail_one(f"no worker process can be started: {error}")
            return
        finally:
            theirs.close()
        worker = _Worker(process, writer)
        self._starting -= 1
        self._workers.add(worker)
        try:
            writer.write(frames.frame(Hello(source=source, path=list(sys.path), max_value=self._max_value)))
            self._hand_out()
            await self._hear(worker, reader)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        finally:
            worker.kill()
            await process.wait()
            writer.close()
            self._bury(worker)

    async def _hear(self, worker: _Worker, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                (length,) = frames.LENGTH.unpack(await reader.readexactly(frames.LENGTH.size))
                message = frames.from_child.decode(await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if isinstance(message, Broken):
                worker.reason = message.reason
                return
            if not worker.jobs:
                continue
            attempt = worker.jobs[0].attempt
            if isinstance(message, Done):
                ticket = worker.jobs.popleft()
                self.done += 1
                ticket.end(message.outcome)
                if worker.jobs:
                    self._begins(worker)
                self._hand_out()
            elif isinstance(message, Said):
                attempt.write_log(message.level, message.text)
            elif isinstance(message, Progressed):
                attempt.note_progress(message.fraction, message.message)
            else:
                worker.writer.write(frames.frame(self._given(attempt, message)))

    def _given(self, attempt: Attempt, want: Want) -> Given:
        """What a process asked for."""
        try:
            if want.what == "data":
                return Given(attempt.group.data.json)
            if want.what == "previous":
                previous = attempt.previous
                return Given(previous or "[]")
            return Given(attempt.context_json())
        except Exception as error:
            return Given("null", str(error))

    def _bury(self, worker: _Worker) -> None:
        """A process has ended: the job that it ran fails, the one that waited goes first again."""
        self._workers.discard(worker)
        code = worker.process.returncode
        jobs = [ticket for ticket in worker.jobs if not ticket.ended.done()]
        if jobs and jobs[0] is worker.jobs[0]:
            ran = jobs.pop(0)
            how = (
                f"was ended by signal {-code}"
                if code is not None and code < 0
                else f"ended with exit code {code}"
            )
            text = worker.reason or f"the worker process that ran the task {how}"
            log.warning("a worker process ended", reason=text)
            ran.end(failed(WorkerDied(text), ran.attempt.task, ran.attempt.path))
        for ticket in reversed(jobs):
            ticket.worker = None
            self._waiting.appendleft(ticket)
        self._hand_out()

    def _fail_one(self, text: str) -> None:
        if self._waiting:
            ticket = self._waiting.popleft()
            ticket.end(failed(WorkerDied(text), ticket.attempt.task, ticket.attempt.path))
        self._hand_out()
