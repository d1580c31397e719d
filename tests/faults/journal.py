"""The test's own account of what bodies do: a server that bodies tell of each of their calls.

It takes no part in the system under test. What a body has told before its process is killed arrives. A body
may also ask to wait at a gate until the test opens it; so a test knows what runs without waiting for time.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

PATIENCE: Final = 60.0
"""Seconds after which what is waited for counts as not coming."""


class Call(msgspec.Struct):
    """One call of a body, as far as it was told of.

    Attributes:
        instance: the instance.
        path: the task.
        attempt: its number.
        pid: the process that it ran in.
        began: when it told of its start, in seconds of the monotonic clock.
        ended: likewise of its end; None if it never did.
    """

    instance: str
    path: str
    attempt: int
    pid: int
    began: float
    ended: float | None = None


class Journal:
    """Takes the accounts of bodies, in threads of its own. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._handlers: list[tuple[str, str]] = []
        self._gates: defaultdict[str, bool] = defaultdict(bool)
        self._waiting: list[tuple[str, socket.socket]] = []
        self._changed = threading.Condition()
        journal = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                journal._listen(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="journal", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where bodies find it."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()

    # -- what was told

    def calls(self, instance: str | None = None) -> list[Call]:
        """The calls so far, of one instance or of all, in the order of their starts."""
        with self._changed:
            return [call for call in self._calls if instance in (None, call.instance)]

    def handlers(self, instance: str) -> list[str]:
        """The handlers that were called for an instance, by their kinds."""
        with self._changed:
            return [kind for kind, whose in self._handlers if whose == instance]

    def running(self) -> list[Call]:
        """The calls that have not told of their end."""
        return [call for call in self.calls() if call.ended is None]

    def until(self, condition: Callable[[Sequence[Call]], object], patience: float = PATIENCE) -> None:
        """Waits until something holds for the calls.

        Raises:
            TimeoutError: it does not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._calls), patience):
                raise TimeoutError(f"it has not come after {patience} s; {len(self._calls)} calls were told")

    def until_more(self, count: int) -> None:
        """Waits until so many more bodies have begun."""
        with self._changed:
            wanted = len(self._calls) + count
        self.until(lambda calls: len(calls) >= wanted)

    # -- gates

    def open(self, gate: str) -> None:
        """Lets everyone through who waits at a gate or comes to it."""
        with self._changed:
            self._gates[gate] = True
            through = [one for name, one in self._waiting if name == gate]
            self._waiting = [entry for entry in self._waiting if entry[0] != gate]
        for one in through:
            self._let_through(one)

    @staticmethod
    def _let_through(one: socket.socket) -> None:
        try:
            one.sendall(b"open\n")
        except OSError:
            return  # its process was killed

    def _listen(self, handler: socketserver.StreamRequestHandler) -> None:
        open_calls: dict[str, Call] = {}
        try:
            for line in handler.rfile:
                self._take(json.loads(line), open_calls, handler.connection)
        except (OSError, ValueError):
            return  # a process was killed in the middle of a line

    def _take(self, told: dict[str, Any], open_calls: dict[str, Call], connection: socket.socket) -> None:
        with self._changed:
            word = told["word"]
            if word == "start":
                call = Call(
                    told["instance"], told["path"], told["attempt"], told["pid"], began=time.monotonic()
                )
                open_calls[told["call"]] = call
                self._calls.append(call)
            elif word == "end":
                open_calls.pop(told["call"]).ended = time.monotonic()
            elif word == "handler":
                self._handlers.append((told["kind"], told["instance"]))
            elif word == "gate":
                if self._gates[told["gate"]]:
                    self._let_through(connection)
                else:
                    self._waiting.append((told["gate"], connection))
            self._changed.notify_all()
