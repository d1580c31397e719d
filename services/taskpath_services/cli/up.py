"""`taskpath up`: everything in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskpath.app import App, load
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.session import DONE, NOT_CARRIED_OUT, NOT_DONE, complain, console
from taskpath_services.embedded import Embedded

T = TypeVar("T")

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


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs work in an event loop: uvloop's where it is installed."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        from uvloop import new_event_loop as factory
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def import_app(reference: str) -> App:
    """The app that a reference names.

    Raises:
        SettingsError: it cannot be imported; the message says where that went wrong.
        TaskpathError: there is no such file, module or app.
    """
    # A module is looked for where the command is given, as `python -m` does.
    sys.path.insert(0, str(Path.cwd()))
    try:
        return load(reference)
    except TaskpathError:
        raise
    except Exception as error:
        raise SettingsError(f"{reference!r} cannot be imported: {_where(error)}") from error


def _where(error: Exception) -> str:
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})."
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
    ]
    return f"{what} ({frames[-1].filename}, line {frames[-1].lineno})." if frames else f"{what}."


def configure_logs(level: int) -> None:
    """Sends the services' own log to standard error: for people in a terminal, else JSON, one line each."""
    people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
            *([] if people else [structlog.processors.dict_tracebacks]),
            structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


async def _serve(reference: str, app: App, settings: Settings) -> int:
    system = Embedded(app, settings)
    stop = asyncio.Event()
    try:
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


async def stopped(system: Embedded, stop: asyncio.Event) -> bool:
    """Waits until the stop is asked for; false if a service failed before."""
    asked = asyncio.ensure_future(stop.wait())
    failed = asyncio.ensure_future(system.wait())
    await asyncio.wait([asked, failed], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if failed.done() and (error := failed.exception()) is not None:
        complain(f"A service has failed, so everything stops: {type(error).__name__}: {error}")
        return False
    failed.cancel()
    return True


def on_signals(stop: asyncio.Event, grace: float) -> None:
    """Makes SIGINT and SIGTERM ask for a stop; a second one ends the process at once, and nothing is lost."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            os._exit(NOT_DONE)
        stop.set()
        Console(stderr=True).print(
            f"\nStopping; running tasks have {grace:g} s to end. Once more stops at once.",
            style="dim",
        )

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)


def start_failure(error: OSError, settings: Settings) -> str:
    """Why the system could not start, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"TASKPATH_PORT is '{settings.port}', which another program uses; "
            "expected is a free one (0 takes any: --port 0)."
        )
    place = f" ({error.filename})" if error.filename else ""
    return f"It cannot start: {error.strerror or error}{place}."


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
        out.print(
            f"\nIn another terminal: [bold]taskpath run {next(iter(app.workflows))}{where}[/bold]",
            soft_wrap=True,
        )
    out.print("[dim]Ctrl-C stops.[/dim]\n")
    sys.stdout.flush()
