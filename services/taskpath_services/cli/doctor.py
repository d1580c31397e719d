"""`taskpath doctor`: whether the embedded system could serve here, and what is wrong if it could not.

It changes nothing: where a server runs, it is asked; where none does, it is seen whether one could.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.session import DONE, NOT_CARRIED_OUT, NOT_DONE, console, print_json
from taskpath_services.cli.up import import_app
from taskpath_services.gateway.access import Access
from taskpath_services.gateway.pages import PAGE
from taskpath_services.storage.stores import index_of, records_of

SQLITE: Final = (3, 38, 0)
"""The oldest SQLite that has what the statements use."""
SPACE: Final = 100 * 1024 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_OTHERS: Final = frozenset({"TASKPATH_URL", "TASKPATH_TOKEN"})
_MARKS: Final = {"ok": "[green]✓[/]", "note": "[yellow]•[/]", "wrong": "[red]✗[/]"}


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """What a check found: of what, how it is, and a sentence about it."""

    check: str
    verdict: Verdict
    message: str


async def doctor(
    reference: str | None, flags: Mapping[str, Any], *, json: bool, environ: Mapping[str, str] | None = None
) -> int:
    """Checks everything; returns the exit code: 2 for wrong settings, 1 for anything else that is wrong.

    Args:
        reference: the app, ``app.py`` or ``module:name``; None to leave it.
        flags: settings as they were given, by name; None for those that were not.
        json: whether to print one document.
        environ: the environment; the process's if not given.
    """
    environ = os.environ if environ is None else environ
    findings = [*_strangers(environ)]
    code = DONE
    try:
        settings = _settings(environ, flags)
    except SettingsError as error:
        findings.append(Finding("settings", Verdict.WRONG, str(error)))
        code = NOT_CARRIED_OUT
    else:
        findings.append(Finding("settings", Verdict.OK, "All settings are valid."))
        findings.extend(_app(reference))
        holder = _holder(settings.data)
        findings.extend(_folder(settings.data, holder))
        findings.extend(_sqlite(settings))
        findings.extend([finding async for finding in _gateway(settings, holder)])
        if any(finding.verdict is Verdict.WRONG for finding in findings):
            code = NOT_DONE
    if json:
        print_json({"ok": code == DONE, "findings": findings})
    else:
        _say(findings, code)
    return code


def _say(findings: list[Finding], code: int) -> None:
    out = console()
    for finding in findings:
        out.print(f"{_MARKS[finding.verdict]} [bold]{finding.check}[/]", end="  ")
        out.print(finding.message, markup=False, soft_wrap=True)
    wrong = sum(finding.verdict is Verdict.WRONG for finding in findings)
    out.print("Everything is well." if code == DONE else f"{wrong} wrong.", style="bold")


def _settings(environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    settings = Settings.read(environ, **flags)
    if settings.broker != "memory://":
        raise SettingsError("TASKPATH_BROKER is not memory://; this version checks the embedded system only.")
    Access(settings)
    records_of(settings)
    index_of(settings)
    return settings


def _strangers(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like settings and are none: mostly slips of the pen."""
    known = {f"TASKPATH_{name.upper()}" for name in Settings.__struct_fields__} | _OTHERS
    for name in sorted(environ):
        if name.startswith("TASKPATH_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Is {near[0]} meant?" if near else ""
            yield Finding("settings", Verdict.NOTE, f"{name} is no setting, and has no effect.{hint}")


def _app(reference: str | None) -> Iterator[Finding]:
    if reference is None:
        return
    try:
        workflows = import_app(reference).workflows
    except (SettingsError, TaskpathError) as error:
        yield Finding("app", Verdict.WRONG, str(error))
        return
    if not workflows:
        yield Finding("app", Verdict.NOTE, f"{reference} registers no workflow: @app.workflow(name) does.")
        return
    yield Finding("app", Verdict.OK, f"{reference} has the workflows {', '.join(workflows)}.")


def _holder(folder: Path) -> str | None:
    """The process that serves from a data folder; None if none does."""
    try:
        with (folder / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read().strip() or "unknown"
    except OSError:
        pass  # there is none yet, or none that may be read
    return None


def _folder(folder: Path, holder: str | None) -> Iterator[Finding]:
    shown = f"TASKPATH_DATA is {str(folder)!r}"
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    if not there.is_dir():
        yield Finding("data folder", Verdict.WRONG, f"{shown}, and {str(there)!r} is no folder.")
        return
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield Finding("data folder", Verdict.WRONG, f"{shown}, and nothing can be written there: {reason}.")
        return
    free = shutil.disk_usage(there).free
    if free < SPACE:
        yield Finding(
            "data folder", Verdict.WRONG, f"{shown}, where only {free // 1024 // 1024} MiB are free."
        )
        return
    if holder is not None:
        yield Finding("data folder", Verdict.OK, f"{shown}; the server with process {holder} uses it.")
    elif folder.exists():
        yield Finding("data folder", Verdict.OK, f"{shown}; it can be written, and no server uses it.")
    else:
        yield Finding("data folder", Verdict.OK, f"{shown}; it is not there yet, and will be made.")


def _sqlite(settings: Settings) -> Iterator[Finding]:
    needed = ".".join(map(str, SQLITE))
    if sqlite3.sqlite_version_info < SQLITE:
        yield Finding(
            "SQLite",
            Verdict.WRONG,
            f"Its version is {sqlite3.sqlite_version}; at least {needed} is expected.",
        )
        return
    yield Finding("SQLite", Verdict.OK, f"Its version is {sqlite3.sqlite_version}; {needed} would do.")
    for file in (settings.data / "records.sqlite", settings.data / "index.sqlite"):
        if not file.exists():
            continue
        try:
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
            try:
                connection.execute("select count(*) from sqlite_schema").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            yield Finding("SQLite", Verdict.WRONG, f"{str(file)!r} cannot be read: {error}.")


async def _gateway(settings: Settings, holder: str | None) -> AsyncIterator[Finding]:
    """The port, and the page behind it."""
    shown = f"TASKPATH_PORT is '{settings.port}'"
    if settings.port == 0 or (trouble := _bind(settings)) is None:
        yield Finding("port", Verdict.OK, f"{shown}; {'any' if settings.port == 0 else 'it'} is free.")
        if holder is not None and settings.port != 0:
            message = f"The server with process {holder} listens elsewhere; name its address with --port."
            yield Finding("port", Verdict.NOTE, message)
        if (PAGE / "index.html").is_file():
            yield Finding("page", Verdict.OK, "The web page's files are there.")
        else:
            yield Finding("page", Verdict.WRONG, f"The web page's files are not in {str(PAGE)!r}.")
        return
    if trouble.errno != errno.EADDRINUSE:
        reason = (trouble.strerror or str(trouble)).lower()
        message = f"{shown} and TASKPATH_HOST {settings.host!r}: nothing can listen there: {reason}."
        yield Finding("port", Verdict.WRONG, message)
        return
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        version = await _version(session, url)
        if version is None:
            yield Finding(
                "port", Verdict.WRONG, f"{shown}, which another program uses; a free one is expected."
            )
            return
        yield Finding("port", Verdict.OK, f"{shown}; Taskpath {version} answers at {url}.")
        yield await _fetch(session, f"{url}/readyz", "server", "It is ready.", "It is not ready")
        yield await _fetch(
            session, f"{url}/", "page", f"The web page is at {url}/.", "The web page is not there"
        )


def _bind(settings: Settings) -> OSError | None:
    """Why nothing can listen; None if it can."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        return error
    return None


async def _version(session: aiohttp.ClientSession, url: str) -> str | None:
    """The version of the Taskpath that answers; None if none does."""
    try:
        async with session.get(f"{url}/api/v1/openapi.json") as response:
            info = msgspec.json.decode(await response.read(), type=_Document).info
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return info.version if info.title == "Taskpath" else None


async def _fetch(session: aiohttp.ClientSession, url: str, check: str, fine: str, wrong: str) -> Finding:
    try:
        async with session.get(url) as response:
            if response.status == 200:
                return Finding(check, Verdict.OK, fine)
            return Finding(check, Verdict.WRONG, f"{wrong}: it answers {response.status}.")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding(check, Verdict.WRONG, f"{wrong}: {str(error) or 'it does not answer'}.")


class _Info(msgspec.Struct):
    title: str
    version: str


class _Document(msgspec.Struct):
    info: _Info
