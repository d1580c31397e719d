"""How a command serves: its app, its log, its event loop and its signals."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from rich.console import Console
from structlog.typing import Processor

from taskpath.app import App, load
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.session import NOT_DONE, complain

T = TypeVar("T")

log = structlog.get_logger("taskpath")


_YOUNG: Final = 10_000
"""So many new containers let Python look for cycles among them; by default 700."""


def collect_seldom() -> None:
    """Has Python look for cycles seldom, and never at what was imported.

    What services keep has few cycles and is much: by default a tenth of the CPU goes into looking, and the
    loop stands still for a tenth of a second where 100,000 tasks are kept (decision 0025).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Runs work in an event loop: uvloop's where it is installed. Everything has been imported."""
    collect_seldom()
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
    """Sends the log to standard error: for people in a terminal, else JSON, one line each.

    What libraries log as a warning or worse goes the same way, unless the app has set up logging itself.

    Args:
        level: from which on the services' own log is kept.
    """
    people = sys.stderr.isatty()
    known: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if people else "iso", utc=not people),
    ]
    shown: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if people
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*known, *shown],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[*known, structlog.stdlib.add_logger_name],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown],
            )
        )
        logging.getLogger().addHandler(handler)


async def stopped(system: Service, stop: asyncio.Event) -> bool:
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
        if not sys.stderr.isatty():
            log.info("stopping", grace=grace)
            return
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
