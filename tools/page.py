"""Builds the web page into the gateway's folder, if its sources have changed since it was built last.

python3 tools/page.py

It needs Node.js and npm only then. `make` and the build of the wheel run it; the gateway serves what it made.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients" / "page"
BUILT = ROOT / "services" / "taskpath_services" / "gateway" / "page"
STAMP = BUILT / "sources.sha256"

NODE = (20, 19)


class PageError(Exception):
    """The page cannot be built; the message says why, and what to do."""


def build() -> bool:
    """Builds the page if that is needed; whether it was.

    Raises:
        PageError: it cannot be built.
    """
    if not CLIENT.is_dir():
        # A source distribution has the page, and not what it is made of.
        if not (BUILT / "index.html").is_file():
            raise PageError("The web page is neither built nor are its sources here, in clients/page.")
        return False
    digest = digest_of_sources()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return False
    npm = _npm()
    _install(npm)
    _run(npm, "run", "build")
    shutil.rmtree(BUILT, ignore_errors=True)
    shutil.copytree(CLIENT / "dist", BUILT)
    STAMP.write_text(digest)
    return True


def sources() -> Iterator[Path]:
    """The files that the page is made of."""
    yield from (
        CLIENT / name for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts")
    )
    for folder in (CLIENT / "public", CLIENT / "src", ROOT / "clients" / "react" / "src"):
        yield from (file for file in folder.rglob("*") if file.is_file())


def digest_of_sources() -> str:
    """Another one for other sources; times of files say nothing after a checkout."""
    digest = hashlib.sha256()
    for file in sorted(sources()):
        digest.update(f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _npm() -> str:
    """The npm that is to be used, if there is one and its Node.js is new enough."""
    wanted = f"The web page is built with Node.js {NODE[0]}.{NODE[1]} or newer and npm"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PageError(f"{wanted}, which are not here: install both, or install Taskpath from a wheel.")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < NODE:
        raise PageError(f"{wanted}, and this one is {said}: install a newer one, or Taskpath from a wheel.")
    return npm


def _install(npm: str) -> None:
    """Puts in place what the page is built with, if it is not there."""
    lock, installed = CLIENT / "package-lock.json", CLIENT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run(npm, "ci", "--no-audit", "--no-fund", "--prefer-offline")
        installed.touch()


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}".strip()
        raise PageError(f"The web page could not be built: `npm {' '.join(command[1:])}` failed.\n{said}")


def main() -> int:
    """Builds it, or says why not."""
    try:
        if build():
            sys.stderr.write("taskpath: the web page was built\n")
    except PageError as error:
        sys.stderr.write(f"taskpath: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
