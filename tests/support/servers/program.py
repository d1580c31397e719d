"""A process with a port, a log and a moment from which it is ready."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.support.servers.keeper import Keeper

POLL: Final = 0.05
"""Seconds between two looks at a process that is starting. Its end is noticed at once."""


class ProgramMissing(Exception):
    """A server that the tests need is not installed."""


class StartFailed(Exception):
    """A server ended, or was not ready in time; the message has the end of its log."""


def find_program(name: str, package: str, *places: str) -> str:
    """The path of an installed program: one of these places, or in the search path.

    Raises:
        ProgramMissing: it is not there.
    """
    for place in places:
        if os.access(place, os.X_OK):
            return place
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ProgramMissing(f"{name} is needed and not installed: apt-get install {package}")
    return found


class Program:
    """A program that is started, killed and started again, always in the same place.

    Subclasses say how it is called and when it is ready.

    Args:
        keeper: ends it when this run ends.
        name: of its folder.
        patience: how many seconds it may take to start, and to stop.
    """

    def __init__(self, keeper: Keeper, name: str, *, patience: float = 60.0) -> None:
        self.name = name
        self.folder = keeper.folder(name)
        self.log = keeper.logs / f"{self.folder.name}.log"
        self._keeper = keeper
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def environ(self) -> Mapping[str, str]:
        """Its environment."""
        return os.environ

    def is_ready(self) -> bool:
        """Whether it answers now. An OSError means that it does not yet."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The id of its process."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it, on the same port and data as before, and waits until it is ready.

        Raises:
            ProgramMissing: it is not installed.
            StartFailed: it ended, or was not ready in time.
        """
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Starts it, and does not wait."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environ(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._keeper.started(self._process)

    def wait_ready(self) -> None:
        """Waits until it is ready.

        Raises:
            StartFailed: it ended, or was not ready in time.
        """
        self.wait_until(self.is_ready)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Waits until something holds for it; an OSError means that it does not yet.

        Raises:
            StartFailed: it ended, or was not ready in time.
        """
        assert self._process is not None
        latest = time.monotonic() + self._patience
        while True:
            code = self._ended_within(POLL)
            if code is not None:
                self._forget()
                raise StartFailed(f"{self.name} ended with {code} before it was ready.\n{self.last_lines()}")
            try:
                if ready():
                    return
            except OSError:
                pass
            if time.monotonic() > latest:
                self.kill()
                raise StartFailed(
                    f"{self.name} was not ready after {self._patience:.0f} s.\n{self.last_lines()}"
                )

    def stop(self) -> int | None:
        """Asks it to end (SIGTERM), and waits; what does not end is killed.

        Returns:
            Its exit code: negative for a signal, None when it was not running.
        """
        if not self.running:
            return None
        self.send_signal(signal.SIGTERM)
        code = self._ended_within(self._patience)
        if code is None:
            self.kill()
            return -signal.SIGKILL
        self._forget()
        return code

    def kill(self) -> None:
        """Kills it (SIGKILL), as a crash does."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def restart(self) -> None:
        """Stops it in order and starts it again."""
        self.stop()
        self.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal. After SIGSTOP it has stalled: none of its threads does anything any more."""
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def wait_end(self, seconds: float) -> int:
        """Waits until it has ended by itself.

        Returns:
            Its exit code: negative for a signal.

        Raises:
            TimeoutError: it has not.
        """
        code = self._ended_within(seconds)
        if code is None:
            raise TimeoutError(f"{self.name} has not ended after {seconds} s.\n{self.last_lines()}")
        self._forget()
        return code

    def last_lines(self, count: int = 25) -> str:
        """The end of what it said."""
        return "\n".join(
            f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-count:])
            for path in self.logs()
            if path.exists()
        )

    def logs(self) -> Sequence[Path]:
        """The files that it writes to."""
        return [self.log]

    def _ended_within(self, seconds: float) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _forget(self) -> None:
        """It has ended: what it left behind in its group ends, too."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._keeper.ended(self._process)
