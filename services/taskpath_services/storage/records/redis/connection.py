"""The connection to Redis: what its URL says, its scripts, and what its errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.faults import StoreUnavailable

CONNECTIONS: Final = 16
"""So many connections at most; who needs another waits for one."""

CONNECT_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 20.0
"""So long the server may take for what is sent to it at once."""

POOL_SECONDS: Final = 10.0

LOADS: Final = 3
"""So often a server may forget a script before it is given up."""

OPTIONS: Final = ("prefix", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")

# Errors of a server that will be better, by the first word of what they say.
_PASSING: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"}
    | {"NOAUTH", "NOPERM", "NOSCRIPT", "WRONGPASS"}
)


class Address(msgspec.Struct, frozen=True):
    """What the URL of the records says.

    Attributes:
        url: for the client, with what is secret.
        shown: for messages.
        prefix: goes before all keys.
    """

    url: str
    shown: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads ``redis://[[user]:password@]host[:port][/db][?prefix=…]``, or ``rediss://…`` for TLS.

        Raises:
            SettingsError: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 6379
            options = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
        except ValueError:
            raise _wrong("it cannot be read") from None
        database = unquote(parts.path).strip("/") or "0"
        if parts.scheme not in ("redis", "rediss") or not host or not database.isdecimal():
            raise _wrong("a part of it is missing or wrong")
        unknown = options.keys() - set(OPTIONS)
        if unknown:
            raise _wrong(f"it has the option {min(unknown)!r}; known are {', '.join(OPTIONS)}")
        prefix = options.pop("prefix", "")
        shown = f"{parts.scheme}://{host}:{port}/{database}"
        client = urlunsplit((parts.scheme, parts.netloc, f"/{database}", urlencode(options), ""))
        return cls(client, shown, prefix)


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        "TASKPATH_RECORDS is a redis URL that cannot be used: "
        f"{what}. redis://[user:password@]host[:port][/database][?prefix=…] is expected."
    )


class Connection:
    """Redis, by scripts and pipelines. Whatever goes wrong with the server is StoreUnavailable.

    Args:
        address: where it is.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: Redis | None = None

    async def open(self) -> None:
        """Connects, and looks whether the server can do what is needed.

        Raises:
            SettingsError: it is too old.
            StoreUnavailable: it is away.
        """
        if self._client is None:
            pool = BlockingConnectionPool.from_url(
                self._address.url,
                max_connections=CONNECTIONS,
                timeout=POOL_SECONDS,
                # Its own time-out of an answer loses a cancellation now and then (redis-py 8.1).
                socket_timeout=None,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_keepalive=True,
                protocol=2,
                # Everything that is sent can be sent again; a connection that lay idle may be dead.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                client_name="taskpath-storage",
            )
            self._client = Redis.from_pool(pool)
        with self._faults():
            async with asyncio.timeout(ANSWER_SECONDS):
                server = await self._client.info("server")
        version = str(server.get("redis_version", "0"))
        if int(version.partition(".")[0]) < 6:
            raise SettingsError(f"{self._address.shown} is Redis {version}; version 6 or later is expected.")

    async def run_id(self) -> str:
        """What tells the server's process from the one before it, or from a replica that took its place."""
        with self._faults():
            server = await self._open_client().info("server")
        return str(server.get("run_id", ""))

    async def close(self) -> None:
        """Disconnects."""
        client, self._client = self._client, None
        if client is not None:
            with self._faults():
                await client.aclose()

    async def run(self, script: Script, *arguments: Argument) -> Any:
        """What a script gives."""
        (result,) = await self.run_all(script, [arguments])
        return result

    async def run_all(self, script: Script, calls: Sequence[Sequence[Argument]]) -> list[Any]:
        """What a script gives for each of some calls, in their order."""
        prefix = self._address.prefix
        results: list[Any] = []
        loads = 0
        with self._faults():
            while len(results) < len(calls):
                pipeline = self._open_client().pipeline(transaction=False)
                for arguments in calls[len(results) :]:
                    pipeline.execute_command("EVALSHA", script.sha, 0, prefix, *arguments)
                async with asyncio.timeout(ANSWER_SECONDS):
                    answers = await pipeline.execute(raise_on_error=False)
                for result in answers:
                    if isinstance(result, NoScriptError) and loads < LOADS:
                        loads += 1
                        # The server has been restarted, or is another one by now. Those after this one were
                        # not run either.
                        async with asyncio.timeout(ANSWER_SECONDS):
                            await self._open_client().script_load(script.text)
                        break
                    if isinstance(result, Exception):
                        raise result
                    results.append(result)
        return results

    async def ask(self, *commands: Sequence[Argument]) -> list[Any]:
        """What some commands give that are sent at once."""
        with self._faults():
            pipeline = self._open_client().pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            async with asyncio.timeout(ANSWER_SECONDS):
                answers: list[Any] = await pipeline.execute()
            return answers

    def _open_client(self) -> Redis:
        if self._client is None:
            raise StoreUnavailable(f"The records ({self._address.shown}) are closed.")
        return self._client

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except ResponseError as error:
            # Anything else that the server says of a command is a bug, and trying again will not help.
            if str(error).partition(" ")[0] not in _PASSING:
                raise
            raise StoreUnavailable(f"The records ({self._address.shown}) cannot be used: {error}.") from error
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(
                f"The records ({self._address.shown}) cannot be reached: {type(error).__name__}."
            ) from error


Argument = str | bytes | int


class Script(msgspec.Struct, frozen=True):
    """A Lua script."""

    text: str
    sha: str


def script(name: str) -> Script:
    """The script of a file beside this one, after what all scripts begin with."""
    folder = Path(__file__).parent
    text = (folder / "common.lua").read_text() + (folder / f"{name}.lua").read_text()
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
