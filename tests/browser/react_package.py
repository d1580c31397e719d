"""The React package: its tools, and a server, of an origin of its own, of what was built with them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clients" / "react"


def install() -> None:
    """Puts what the package is made with in its place, if it is not there."""
    lock, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        run("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
        installed.touch()


def run(*command: str, cwd: Path = PACKAGE, timeout: float = 300) -> str:
    """Runs a command; what it says.

    Args:
        command: the program and its arguments.
        cwd: where.
        timeout: in seconds.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def tool(name: str, *arguments: str, cwd: Path = PACKAGE) -> str:
    """Runs a tool that was installed with the package; what it says."""
    return run(str(PACKAGE / "node_modules" / ".bin" / name), *arguments, cwd=cwd)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on a free port; gives its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, name="static files", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
