"""Where a MySQL server is, and how it is spoken to: the parts of a URL.

``mysql://user:password@host:port/database?ssl=verify`` or
``mysql://user:password@/database?socket=/run/mysqld/mysqld.sock``
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from taskpath.runtime.settings import SettingsError

PORT: Final = 3306
EXPECTED: Final = (
    "expected is mysql://USER:PASSWORD@HOST:PORT/DATABASE, with ?ssl=verify or ?ssl=require if it is to be "
    "encrypted, or mysql://USER:PASSWORD@/DATABASE?socket=FILE"
)
_PARAMETERS: Final = ("ssl", "ssl_ca", "ssl_cert", "ssl_key", "socket")
_SSL: Final = ("off", "require", "verify")


class Address(msgspec.Struct, frozen=True):
    """A database on a server. It shows without its password.

    Attributes:
        database: its name.
        host: of the server; not used with a socket.
        port: likewise.
        user: who connects.
        password: the user's.
        socket: the file of a Unix socket.
        encryption: ``off``; ``require``: encrypted, whoever answers; ``verify``: encrypted, and the
            certificate has to be the host's.
        ssl_ca: the file of the authorities that are believed; the system's if there is none.
        ssl_cert: the file of our own certificate, if the server wants one.
        ssl_key: the file of its key.
    """

    database: str
    host: str = "localhost"
    port: int = PORT
    user: str = "root"
    password: str = ""
    socket: str | None = None
    encryption: str = "off"
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None

    @classmethod
    def of(cls, url: str, name: str = "TASKPATH_INDEX") -> Address:
        """The address that a URL stands for.

        Args:
            url: of a database.
            name: of the setting, for messages.

        Raises:
            SettingsError: it stands for none. The message never shows the password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or PORT
            given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise SettingsError(f"{name} is no URL that can be read; {EXPECTED}.") from None
        more = dict(given)
        if strange := [key for key in more if key not in _PARAMETERS]:
            raise SettingsError(
                f"{name} has the parameter {strange[0]!r}; expected are {', '.join(_PARAMETERS)}."
            )
        if len(more) < len(given):
            raise SettingsError(f"{name} has a parameter twice; each is expected once.")
        database = unquote(parts.path.removeprefix("/"))
        if not database or "/" in database or "`" in database:
            raise SettingsError(f"{name} names no database; {EXPECTED}.")
        if parts.fragment:
            raise SettingsError(
                f"{name} has a '#', which ends a URL; in a password it is written %23. {EXPECTED[:1].upper()}"
                f"{EXPECTED[1:]}."
            )
        if (mode := more.get("ssl", "verify" if "ssl_ca" in more else "off")) not in _SSL:
            raise SettingsError(f"{name} has ssl={mode!r}; expected is one of {', '.join(_SSL)}.")
        return cls(
            database=database,
            host=parts.hostname or "localhost",
            port=port,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or ""),
            socket=more.get("socket"),
            encryption=mode,
            ssl_ca=more.get("ssl_ca"),
            ssl_cert=more.get("ssl_cert"),
            ssl_key=more.get("ssl_key"),
        )

    def __str__(self) -> str:
        where = self.socket or f"{self.host}:{self.port}"
        return f"{self.database} at {where}"

    def __repr__(self) -> str:
        return f"Address({self})"

    def arguments(self) -> dict[str, Any]:
        """What asyncmy connects with.

        Raises:
            SettingsError: a file of certificates cannot be used.
        """
        return {
            "host": self.host,
            "port": self.port,
            "unix_socket": self.socket,
            "user": self.user,
            "password": self.password,
            "database": self.database,
            "ssl": self._context(),
        }

    def _context(self) -> ssl.SSLContext | None:
        if self.encryption == "off":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca and str(Path(self.ssl_ca)))
            if self.ssl_cert is not None:
                context.load_cert_chain(self.ssl_cert, self.ssl_key)
        except OSError as error:
            raise SettingsError(
                f"TASKPATH_INDEX names files of certificates that cannot be used: {error.strerror or error}."
            ) from None
        if self.encryption == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
