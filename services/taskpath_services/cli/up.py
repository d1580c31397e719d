"""`taskpath up`: everything in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskpath.app import App
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.serving import (
    configure_logs,
    import_app,
    on_signals,
    run_loop,
    start_failure,
    stopped,
)
from taskpath_services.cli.session import DONE, NOT_CARRIED_OUT, NOT_DONE, complain, console
from taskpath_services.embedded import Embedded

DEFAULT_URL = "http://127.0.0.1:8080"


def serve(reference: str, flags: Mapping[str, Any]) -> int:
    """Serves an app until a signal or a failure; returns the exit code.

    Args:
        reference: ``app.py`` or ``module:name``.
        flags: settings as they were given, by name; None for those that were not.
    """
    try:
        settings = Settings.read(**flags)
        if settings.broker != "memory://":
            raise SettingsError(
                "TASKPATH_BROKER is not memory://; `taskpath up` is one process and needs no broker."
            )
        app = import_app(reference)
    except (SettingsError, TaskpathError) as error:
        complain(str(error))
        return NOT_CARRIED_OUT
    # In a terminal only what needs attention is said; a log that is kept tells everything.
    configure_logs(logging.WARNING if sys.stderr.isatty() else logging.INFO)
    return run_loop(_serve(reference, app, settings))


async def _serve(reference: str, app: App, settings: Settings) -> int:
    stop = asyncio.Event()
    try:
        system = Embedded(app, settings)
        await system.start()
    except (SettingsError, TaskpathError) as error:
        complain(str(error))
        return NOT_CARRIED_OUT
    except OSError as error:
        complain(start_failure(error, settings))
        return NOT_CARRIED_OUT
    try:
        on_signals(stop, settings.grace)
        announce(console(), reference, app, system.url, settings)
        if not await stopped(system, stop):
            return NOT_DONE
    finally:
        await system.stop()
    return DONE


def announce(out: Console, reference: str, app: App, url: str, settings: Settings) -> None:
    """Says what is served, and where."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("  web page", Text(url + "/", style="bold cyan"))
    facts.add_row("  API", f"{url}/api/v1")
    facts.add_row("  data", Text(str(settings.data)))
    workflows = Table.grid(padding=(0, 2, 0, 0))
    for workflow in app.workflows.values():
        workflows.add_row(Text(workflow.name, style="bold"), Text(workflow.description, style="dim"))
    facts.add_row(
        "  workflows", workflows if app.workflows else "none: register one with @app.workflow(name)"
    )
    out.print(Text.assemble("\n", ("Taskpath", "bold"), f" serves {reference}\n"))
    out.print(facts)
    if app.workflows:
        where = "" if url == DEFAULT_URL else f" --url {url}"
        run = f"taskpath run {next(iter(app.workflows))}{where}"
        out.print(Text.assemble("\nIn another terminal: ", (run, "bold")), soft_wrap=True)
    out.print("Ctrl-C stops.\n", style="dim")
    sys.stdout.flush()
