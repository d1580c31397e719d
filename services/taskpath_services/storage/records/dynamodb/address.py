"""What the URL of a DynamoDB table says."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from taskpath.runtime.settings import SettingsError

OPTIONS: Final = ("region", "endpoint", "create")


class Address(msgspec.Struct, frozen=True):
    """Where the table is.

    Attributes:
        table: its name.
        region: None for that of the environment.
        endpoint: None for AWS itself.
        create: whether a table that is not there is made when the store is opened.
        key: the access key; None for the default chain: environment, profile, role of the machine.
        secret: likewise.
    """

    table: str
    region: str | None
    endpoint: str | None
    create: bool
    key: str | None
    secret: str | None

    @property
    def shown(self) -> str:
        """For messages: without what is secret."""
        return f"dynamodb://{self.table}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads ``dynamodb://[key:secret@]table[?region=…][&endpoint=…][&create=1]``.

        Raises:
            SettingsError: it is no such URL.
        """
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
            key, secret = parts.username, parts.password
        except ValueError:
            raise _wrong("it cannot be read") from None
        table = unquote(parts.netloc.rpartition("@")[2])
        if parts.scheme != "dynamodb" or not table or parts.path.strip("/") or bool(key) != bool(secret):
            raise _wrong("a part of it is missing or wrong")
        unknown = options.keys() - set(OPTIONS)
        if unknown:
            raise _wrong(f"it has the option {min(unknown)!r}; known are {', '.join(OPTIONS)}")
        create = options.get("create", "1" if "endpoint" in options else "0")
        if create not in ("0", "1"):
            raise _wrong("create is 0 or 1")
        return cls(
            table,
            options.get("region"),
            options.get("endpoint"),
            create == "1",
            unquote(key) if key else None,
            unquote(secret) if secret else None,
        )


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"TASKPATH_RECORDS is a dynamodb URL that cannot be used: {what}. "
        "dynamodb://table?region=…[&endpoint=…][&create=1] is expected."
    )
