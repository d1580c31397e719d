"""What a worker process does: imports the app, takes jobs, runs functions, says how they ended.

One thread reads what the executor sends and ends the process when the executor is gone; the main thread runs
the functions.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections import OrderedDict
from typing import Any, Final

from taskpath.app import App, Workflow, load
from taskpath.context import TaskContext, left_by
from taskpath.encoding import encode
from taskpath.frozen import freeze
from taskpath.task import Task
from taskpath_proto.records import TaskStatus
from taskpath_services.executor.author_calls import listed, settled
from taskpath_services.executor.logs import cut
from taskpath_services.executor.outcome import Outcome, ValueTooLarge, failed, message_of
from taskpath_services.executor.trees import Tree, grow
from taskpath_services.executor.values import decode
from taskpath_services.executor.workers import frames
from taskpath_services.executor.workers.frames import (
    Broken,
    Done,
    FromChild,
    Given,
    Hello,
    Job,
    Progressed,
    Said,
    Want,
)

_MAX_TREES: Final = 64


class Connection:
    """The process's end of the line to the executor.

    Args:
        line: the socket.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self.jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._given: queue.SimpleQueue[Given] = queue.SimpleQueue()

    def hello(self) -> Hello:
        """The first message."""
        message = frames.to_child.decode(self._read())
        if not isinstance(message, Hello):
            raise TypeError(f"the first message is {type(message).__name__}")
        return message

    def listen(self) -> None:
        """Reads messages in a thread; ends the process when there will be no more."""
        threading.Thread(target=self._listen, name="taskpath line", daemon=True).start()

    def _listen(self) -> None:
        while True:
            message = frames.to_child.decode(self._read())
            if isinstance(message, Job):
                self.jobs.put(message)
            elif isinstance(message, Given):
                self._given.put(message)

    def _read(self) -> bytes:
        (length,) = frames.LENGTH.unpack(self._read_exactly(frames.LENGTH.size))
        return self._read_exactly(length)

    def _read_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self._line.recv(min(size - len(data), 1 << 20))
            except OSError:
                part = b""
            if not part:
                os._exit(0)  # the executor is gone: whatever runs here is in vain
            data += part
        return bytes(data)

    def send(self, message: FromChild) -> None:
        """Sends a message; safe in threads."""
        data = frames.frame(message)
        with self._sending:
            self._line.sendall(data)

    def ask(self, what: str) -> str:
        """The JSON text that the executor has for the present job."""
        with self._asking:
            self.send(Want(what))
            given = self._given.get()
        if given.error is not None:
            raise RuntimeError(given.error)
        return given.json


class Link:
    """What a :class:`~taskpath.TaskContext` is linked to in this process."""

    cancelled = False

    def __init__(self, connection: Connection, job: Job) -> None:
        self._connection = connection
        self.instance_id = job.id
        self.realm = job.realm
        self.path = job.path
        self.attempt = job.attempt

    def read_context(self) -> Any:
        return freeze(decode(self._connection.ask("context")))

    def read_data(self) -> Any:
        return decode(self._connection.ask("data"))

    def read_previous(self) -> list[Any]:
        return list(decode(self._connection.ask("previous")))

    def write_log(self, level: str, text: str) -> None:
        self._connection.send(Said(level, cut(text)))

    def note_progress(self, fraction: float, message: str | None) -> None:
        self._connection.send(Progressed(fraction, message))


class _Records(logging.Handler):
    """Takes what the module ``logging`` is told to the task's log."""

    link: Link | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.link is not None:
            try:
                self.link.write_log(record.levelname.lower(), self.format(record))
            except Exception:
                self.handleError(record)


class Child:
    """Runs jobs.

    Args:
        connection: the line to the executor.
        app: the app.
        max_value: how large a result may be, in bytes.
    """

    def __init__(self, connection: Connection, app: App, max_value: int) -> None:
        self._connection = connection
        self._app = app
        self._max_value = max_value
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._records = _Records()
        root = logging.getLogger()
        root.addHandler(self._records)
        if root.level == logging.WARNING:
            root.setLevel(logging.INFO)

    def run(self, job: Job) -> Outcome:
        """Runs a job; what the author's code raises becomes its outcome."""
        link = self._records.link = Link(self._connection, job)
        task = _NOBODY
        try:
            task = self._task(job)
            result, ctx = self._call(task, link, decode(job.argument))
            text = encode(result)
            if len(text) * 4 > self._max_value and (size := len(text.encode())) > self._max_value:
                raise ValueTooLarge(
                    f"the result has {size} bytes as JSON; at most {self._max_value} are allowed"
                )
            return Outcome(TaskStatus.OK, json=text, updaters=left_by(ctx))
        except BaseException as error:
            return failed(error, task, job.path)
        finally:
            self._records.link = None

    def _call(self, task: Task, link: Link, argument: Any) -> tuple[Any, TaskContext]:
        ctx = TaskContext(link)
        run = task.run
        assert run is not None
        result = run(*(argument, ctx)[: task.arity])
        return (asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result), ctx

    def _task(self, job: Job) -> Task:
        tree = self._trees.get(job.tree)
        if tree is None:
            data = self._connection.ask("data")
            tree = self._trees[job.tree] = asyncio.run(grow(self._app, job.workflow, data, _generate))
            while len(self._trees) > _MAX_TREES:
                self._trees.popitem(last=False)
        task = tree.find(job.path)
        if task is None:
            raise tree.missing(job.path)
        return task


_NOBODY: Final = Task("unknown", bool)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


async def _generate(workflow: Workflow, arguments: tuple[Any, ...]) -> Any:
    return await settled(listed(workflow.generator(*arguments)))


def main(descriptor: int) -> None:
    """Runs jobs until the executor is gone.

    Args:
        descriptor: of the socket to the executor.
    """
    # Ctrl-C in a terminal reaches every process; the executor ends this one when it is done with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(socket.socket(fileno=descriptor))
    hello = connection.hello()
    sys.path[:] = hello.path
    try:
        app = load(hello.source)
    except BaseException as error:
        reason = (
            f"the worker process cannot import {hello.source}: {type(error).__name__}: {message_of(error)}"
        )
        connection.send(Broken(reason))
        return
    connection.listen()
    child = Child(connection, app, hello.max_value)
    while True:
        connection.send(Done(child.run(connection.jobs.get())))


if __name__ == "__main__":
    main(int(sys.argv[1]))
