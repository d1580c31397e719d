"""The command: which checks there are, and how what they find is said."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from taskpath.runtime.buses import bus_of
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.doctor import embedded
from taskpath_services.cli.doctor.findings import Finding, Verdict, note, ok, within, wrong
from taskpath_services.cli.doctor.port import port_and_page
from taskpath_services.cli.serving import import_app
from taskpath_services.cli.session import DONE, NOT_CARRIED_OUT, NOT_DONE, console, print_json
from taskpath_services.gateway.access import Access
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.stores import index_of, records_of

_OTHERS: Final = frozenset({"TASKPATH_URL", "TASKPATH_TOKEN"})
_MARKS: Final = {"ok": ("✓", "green"), "note": ("•", "yellow"), "wrong": ("✗", "red")}


async def doctor(
    reference: str | None,
    flags: Mapping[str, Any],
    *,
    json: bool,
    management: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Checks everything; returns the exit code: 2 for wrong settings, 1 for anything else that is wrong.

    Args:
        reference: the app, ``app.py`` or ``module:name``; None to leave it.
        flags: settings as they were given, by name; None for those that were not.
        json: whether to print one document.
        management: where RabbitMQ's management API is, if not at its usual port.
        environ: the environment; the process's if not given.
    """
    environ = os.environ if environ is None else environ
    findings = [*_strangers(environ)]
    code = DONE
    try:
        settings = Settings.read(environ, **flags)
        records = _settings(settings)
    except SettingsError as error:
        findings.append(wrong("settings", str(error)))
        code = NOT_CARRIED_OUT
    else:
        findings.append(ok("settings", "All settings are valid."))
        findings.extend(_app(reference))
        findings.extend(await _servers(settings, records, management))
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
        out.print(Text.assemble(_MARKS[finding.verdict], " ", (finding.check, "bold")), end="  ")
        out.print(finding.message, soft_wrap=True)
    count = sum(finding.verdict is Verdict.WRONG for finding in findings)
    out.print("Everything is well." if code == DONE else f"{count} wrong.", style="bold")


def _settings(settings: Settings) -> RecordStore:
    """The record store, which is not opened; whatever can be said of settings by themselves is said now.

    Raises:
        SettingsError: a setting is wrong.
    """
    if not _distributed(settings):
        Access(settings)
    bus_of(settings)
    index_of(settings)
    return records_of(settings)


def _distributed(settings: Settings) -> bool:
    return not settings.broker.startswith("memory://")


def _strangers(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that look like settings and are none: mostly slips of the pen."""
    known = {f"TASKPATH_{name.upper()}" for name in Settings.__struct_fields__} | _OTHERS
    for name in sorted(environ):
        if name.startswith("TASKPATH_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Is {near[0]} meant?" if near else ""
            yield note("settings", f"{name} is no setting, and has no effect.{hint}")


def _app(reference: str | None) -> Iterator[Finding]:
    if reference is None:
        return
    try:
        workflows = import_app(reference).workflows
    except (SettingsError, TaskpathError) as error:
        yield wrong("app", str(error))
        return
    if not workflows:
        yield note("app", f"{reference} registers no workflow: @app.workflow(name) does.")
        return
    yield ok("app", f"{reference} has the workflows {', '.join(workflows)}.")


async def _servers(settings: Settings, records: RecordStore, management: str | None) -> list[Finding]:
    """What the checks of files, servers and the port find, in a fixed order; they run side by side."""
    holder: str | None = None
    here: list[Finding] = []
    if not _distributed(settings):
        holder = embedded.holder_of(settings.data)
        here = [*embedded.folder(settings.data, holder), *embedded.sqlite(settings)]
    checks: list[tuple[str, AsyncIterator[Finding]]] = []
    if _distributed(settings):
        from taskpath_services.cli.doctor.broker import broker

        checks.append(("broker", broker(settings, management)))
        for name in ("records", "index"):
            if getattr(settings, name) is None:
                here.append(
                    note(
                        name,
                        f"TASKPATH_{name.upper()} is not given; only storage needs it, and has to have it.",
                    )
                )
    if (settings.records or "sqlite:").partition(":")[0] != "sqlite":
        checks.append(("records", _records(settings, records)))
    if (settings.index or "").startswith("mysql://"):
        from taskpath_services.cli.doctor.mysql import mysql

        checks.append(("index", mysql(settings.index or "")))
    checks.append(("port", port_and_page(settings, holder)))
    found = await asyncio.gather(*(within(check, findings) for check, findings in checks))
    return [*here, *(finding for findings in found for finding in findings)]


async def _records(settings: Settings, store: RecordStore) -> AsyncIterator[Finding]:
    """The record store's server; if nothing is wrong there, how many partitions the deployment began with."""
    url = settings.records or ""
    if url.startswith("dynamodb://"):
        from taskpath_services.cli.doctor.dynamodb import dynamodb as check
    else:
        from taskpath_services.cli.doctor.redis import redis as check
    # The first finding is whether it answers, and is what it should be.
    first: Finding | None = None
    async for finding in check(url):
        first = first or finding
        yield finding
    if first is None or first.verdict is Verdict.WRONG:
        return
    try:
        await store.open()
        began = await store.partitions()
    except (SettingsError, StoreUnavailable) as error:
        yield wrong("records", str(error))
        return
    finally:
        await store.close()
    if began is None:
        yield note("partitions", "The deployment has not begun; `taskpath migrate` begins it.")
    elif began != settings.partitions:
        yield wrong(
            "partitions",
            f"TASKPATH_PARTITIONS is {settings.partitions}; expected is {began}, with which these records "
            "were begun.",
        )
    else:
        yield ok("partitions", f"There are {began}, as is set.")
