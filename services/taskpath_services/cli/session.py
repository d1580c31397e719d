"""How every command runs: with a client, to an exit code, and never to a traceback."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from rich.console import Console
from rich.text import Text

from taskpath.client import Client, TaskpathError
from taskpath_proto.errors import ErrorCode
from taskpath_proto.records import InstanceStatus
from taskpath_services.cli.live.follow import Form

DONE: Final = 0
NOT_DONE: Final = 1
NOT_CARRIED_OUT: Final = 2
INTERRUPTED: Final = 130

UNBOUNDED: Final = 10_000
"""How wide a line may be that goes into a file or a pipe."""


class Access(NamedTuple):
    """Which gateway a command asks, and with which token."""

    url: str | None
    token: str | None

    def client(self) -> Client:
        """A client of it. A person waits: where no gateway is, that is said at once."""
        return Client(self.url, self.token, patience=0.5)


class Refused(Exception):
    """The command was given what it cannot use; the message says what is expected."""


def carry_out(work: Coroutine[Any, Any, int]) -> int:
    """Runs a command; returns its exit code."""
    try:
        return asyncio.run(work)
    except TaskpathError as error:
        complain(str(error) + _advice(error))
    except Refused as error:
        complain(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return NOT_CARRIED_OUT


def complain(sentence: str) -> None:
    """Says on standard error why the command was not carried out."""
    said = Text.assemble(("taskpath:", "bold red"), " ", sentence)
    Console(stderr=True, highlight=False, soft_wrap=True).print(said)


def _advice(error: TaskpathError) -> str:
    if error.code is ErrorCode.UNAVAILABLE and "No gateway answers" in str(error):
        return " Start one with `taskpath up app.py`, or name another with --url."
    if error.code is ErrorCode.UNAUTHENTICATED:
        return " Give one with --token or TASKPATH_TOKEN."
    return ""


def exit_code(status: InstanceStatus | None) -> int:
    """What a command that watched an instance exits with; one that rests with a part of it run is fine."""
    return DONE if status in (InstanceStatus.DONE, InstanceStatus.INACTIVE) else NOT_DONE


def console() -> Console:
    """Where people read: what they wrote themselves is no markup, and only a terminal has an edge."""
    out = Console(highlight=False, markup=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = UNBOUNDED
    return out


def form(json: bool, out: Console) -> Form:
    """How to show what moves: it depends on who reads."""
    if json:
        return Form.JSON
    return Form.BARS if out.is_terminal and not out.is_dumb_terminal else Form.LINES


def print_json(document: object) -> None:
    """Prints one document."""
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")


def parse_json(text: str, what: str) -> Any:
    """A value given on the command line.

    Raises:
        Refused: it is no JSON.
    """
    source = text
    try:
        if text == "-":
            source = sys.stdin.read()
        elif text.startswith("@"):
            source = Path(text[1:]).read_text(encoding="utf-8")
        return msgspec.json.decode(source)
    except OSError as error:
        raise Refused(f"{what}: {text[1:]!r} cannot be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = source if len(source) <= 60 else source[:57] + "…"
        raise Refused(f"{what} is {shown!r}; expected is JSON ({error}).") from None
