"""How times, counts and errors are said."""

from __future__ import annotations

from datetime import datetime

from taskpath_proto.errors import ErrorInfo


def duration(ms: float) -> str:
    """A duration, as exactly as a person wants it."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def rough(ms: float) -> str:
    """A duration that is only guessed: in whole seconds, at least one."""
    seconds = max(1, round(ms / 1_000))
    return f"{seconds} s" if seconds < 100 else duration(1_000 * seconds)


def moment(ms: int) -> str:
    """A time in the reader's time zone; the date only if it is not today's."""
    then = datetime.fromtimestamp(ms / 1_000).astimezone()
    today = then.date() == datetime.now().astimezone().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")


def count(number: int) -> str:
    """A count with its thousands apart."""
    return f"{number:,}"


def size(number: int) -> str:
    """A size in bytes."""
    if number < 1024:
        return f"{number} bytes"
    return f"{number / 1024:,.1f} KiB" if number < 1024 * 1024 else f"{number / 1024 / 1024:,.1f} MiB"


def error(info: ErrorInfo) -> str:
    """An error in one line."""
    message = " ".join(info.message.split())
    return f"{info.type}: {message}" if info.type and not message.startswith(info.type) else message
