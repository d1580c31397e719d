"""Keeps account of what was started here, and ends it with whoever started it.

An ``atexit`` does not run when a process is killed, and the kernel's parent-death signal comes when the
*thread* that started the child ends. So a second process (reaper.py) holds the list: when the pipe to it
closes, for whatever reason, it kills what is on the list and removes the folders.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from tests.support.servers.ports import Port


class Keeper:
    """The folders and processes of one run. :meth:`close` ends them all.

    Args:
        logs: a folder for the logs, which stays; None for one that goes with the rest.
    """

    def __init__(self, logs: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="taskpath-"))
        self.logs = logs if logs is not None else self.root / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._ports: list[Port] = []
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("reaper.py")), str(self.root)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def folder(self, name: str) -> Path:
        """A new folder that goes with this keeper."""
        number = 1
        while True:
            folder = self.root / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder

    def port(self) -> int:
        """A free port that nobody else takes before this keeper is closed."""
        port = Port()
        self._ports.append(port)
        return port.number

    def started(self, process: subprocess.Popen[bytes]) -> None:
        """A process that leads a group of its own was started."""
        self._started[process.pid] = process
        self._say(f"+{process.pid}")

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """It has ended, and its id may belong to another from now on."""
        self._started.pop(process.pid, None)
        self._say(f"-{process.pid}")

    def close(self) -> None:
        """Kills what is still there, and removes the folders. Safe to call twice."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.close()
        self._process.wait()
        for process in self._started.values():
            process.wait()
        for port in self._ports:
            port.release()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            if not self._process.stdin.closed:
                print(line, file=self._process.stdin, flush=True)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
