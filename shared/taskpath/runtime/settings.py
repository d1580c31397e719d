"""Settings: environment variables, and flags of the same names.

A wrong value stops the start with its name, the value (never a secret) and what is expected.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

T = TypeVar("T")

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class SettingsError(ValueError):
    """A setting has a wrong value; the message names it and says what is expected."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a service. Durations in seconds, sizes in bytes.

    Attributes:
        broker: ``memory://``, ``amqp://…`` or ``amqps://…``.
        records: where task results and logs are; None for the data folder's SQLite.
        index: where instances are indexed; None for the data folder's SQLite.
        partitions: how many mailboxes share the instances; fixed for a deployment.
        queues: the queues that an executor serves; None for all.
        concurrency: how many coroutines an executor runs at once.
        threads: how many plain functions an executor runs at once.
        processes: how many worker processes an executor has for ``process=True``.
        host: where health, metrics and the API are served.
        port: likewise.
        data: the folder of the embedded system.
        auth_secret: the secret that tokens are signed with.
        allowed_origins: origins that may use the API from a browser.
        grace: how long a drain may take.
        lease: after how long without a heartbeat an attempt counts as lost.
        max_body: of a request.
        max_value: of one value: data, context or result.
        debug: whether the ``debug`` functions of tasks are called.
    """

    broker: str = "memory://"
    records: str | None = None
    index: str | None = None
    partitions: int = 4
    queues: tuple[str, ...] | None = None
    concurrency: int = 200
    threads: int = 16
    processes: int = max(1, os.cpu_count() or 1)
    host: str = "127.0.0.1"
    port: int = 8080
    data: Path = Path(".taskpath")
    auth_secret: str | None = None
    allowed_origins: tuple[str, ...] = ()
    grace: float = 30.0
    lease: float = 30.0
    max_body: int = 8 * 1024 * 1024
    max_value: int = 64 * 1024 * 1024
    debug: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
        """The settings from the environment; a flag that is not None goes before it.

        Raises:
            SettingsError: a value is wrong.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for field, parse in _PARSERS.items():
            name = f"TASKPATH_{field.upper()}"
            given = flags.get(field)
            text = str(given) if given is not None else environ.get(name)
            if text is None or text == "":
                continue
            try:
                values[field] = parse(text)
            except ValueError as error:
                shown = "(a secret)" if field in _SECRETS else repr(_without_password(text))
                raise SettingsError(f"{name} is {shown}; expected is {error}.") from None
        return cls(**values)


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.strip().isdigit() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise ValueError("a number of seconds from 0 to 86400")
    return seconds


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _ON | _OFF:
        raise ValueError("1 or 0, true or false, yes or no, on or off")
    return word in _ON


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not any(text.startswith(scheme) for scheme in schemes):
            raise ValueError("a URL that begins with " + " or ".join(schemes))
        return text

    return parse


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _secret(text: str) -> str:
    if len(text.encode()) < 32:
        raise ValueError("at least 32 bytes")
    return text


_ON: Final = frozenset({"1", "true", "yes", "on"})
_OFF: Final = frozenset({"0", "false", "no", "off"})

_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "broker": _url("memory://", "amqp://", "amqps://"),
    "records": _url("sqlite:///", "redis://", "rediss://", "dynamodb://"),
    "index": _url("sqlite:///", "mysql://"),
    "partitions": _integer(1, 1024),
    "queues": _list,
    "concurrency": _integer(1, 100_000),
    "threads": _integer(1, 1_000),
    "processes": _integer(1, 1_000),
    "host": str,
    "port": _integer(0, 65_535),
    "data": Path,
    "auth_secret": _secret,
    "allowed_origins": _list,
    "grace": _seconds,
    "lease": _seconds,
    "max_body": _integer(1_024, 2**31),
    "max_value": _integer(1_024, 2**31),
    "debug": _flag,
}

_SECRETS: Final = frozenset({"auth_secret"})


def _without_password(text: str) -> str:
    try:
        password = urlsplit(text).password
    except ValueError:
        return text
    return text.replace(f":{password}@", ":***@") if password else text
