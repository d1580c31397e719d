"""A private MariaDB."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from tests.support.servers.keeper import Keeper
from tests.support.servers.program import Program, StartFailed, find_program

USER: Final = "taskpath"
PASSWORD: Final = "taskpath"

# Read at every start, so each statement must bear to be repeated.
INIT: Final = f"""\
CREATE DATABASE IF NOT EXISTS taskpath CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1';
"""


class MariaDB(Program):
    """MariaDB on a free port; its user may create databases."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper, "mariadb")
        self.port: Final = keeper.port()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """As in TASKPATH_INDEX: the database ``taskpath``, which exists and is empty at first."""
        return self._url("taskpath")

    def new_database(self) -> str:
        """Creates an empty database.

        Returns:
            Its URL.
        """
        name = f"taskpath_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return self._url(name)

    def execute(self, statements: str) -> str:
        """Runs SQL statements by the command line client.

        Returns:
            The rows, columns separated by tabs.
        """
        client = find_program("mariadb", "mariadb-client")
        said = subprocess.run(
            [
                client,
                "--no-defaults",
                "--protocol=tcp",
                "--host=127.0.0.1",
                f"--port={self.port}",
                f"--user={USER}",
                "--batch",
                "--skip-column-names",
                f"--execute={statements}",
            ],
            env={**os.environ, "MYSQL_PWD": PASSWORD},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode != 0:
            raise RuntimeError(f"MariaDB refused {statements!r}: {said.stderr}")
        return said.stdout

    def command(self) -> Sequence[str]:
        server = find_program("mariadbd", "mariadb-server")
        data = self.folder / "data"
        as_whom = ["--user=root"] if os.geteuid() == 0 else []
        if not data.exists():
            self._install(data.as_posix(), as_whom)
        init = self.folder / "init.sql"
        init.write_text(INIT)
        return [
            server,
            "--no-defaults",
            *as_whom,
            f"--datadir={data}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--init-file={init}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
        ]

    def is_ready(self) -> bool:
        # It listens only after its init file; a server that has ended its start greets whoever connects.
        with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
            return len(connection.recv(5)) > 0

    def _install(self, data: str, as_whom: Sequence[str]) -> None:
        said = subprocess.run(
            [
                find_program("mariadb-install-db", "mariadb-server"),
                "--no-defaults",
                *as_whom,
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode != 0:
            raise StartFailed(f"mariadb-install-db ended with {said.returncode}.\n{said.stdout}{said.stderr}")

    def _url(self, database: str) -> str:
        return f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"
