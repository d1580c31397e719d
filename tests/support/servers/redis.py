"""A private Redis."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from typing import Final

from tests.support.servers.keeper import Keeper
from tests.support.servers.program import Program, find_program

DATABASES: Final = 4096


class Redis(Program):
    """Redis on a free port.

    Args:
        keeper: ends it when this run ends.
        appendfsync: ``always``, for nothing lost, ``everysec`` or ``no``.
    """

    def __init__(self, keeper: Keeper, *, appendfsync: str = "always") -> None:
        super().__init__(keeper, "redis")
        self.port: Final = keeper.port()
        self._appendfsync = appendfsync
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """As in TASKPATH_RECORDS: its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def new_database(self) -> str:
        """The URL of a database that nobody has used."""
        number = next(self._numbers)
        assert number < DATABASES, "more databases than Redis was started with"
        return f"redis://127.0.0.1:{self.port}/{number}"

    def command(self) -> Sequence[str]:
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "databases": DATABASES,
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
        }
        program = find_program("redis-server", "redis-server")
        return [program, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
