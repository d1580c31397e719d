"""The address of a broker, which holds a password: it is shown nowhere."""

from __future__ import annotations

from typing import Final

from yarl import URL

from taskpath.runtime.settings import SettingsError

_MOST_PREFIX: Final = 100


class Address:
    """Where the broker is.

    Args:
        text: ``amqp://user:password@host:port/vhost`` or ``amqps://…``. In the query: ``prefix`` begins the
            name of every queue and exchange, so that several systems can share a virtual host; ``cafile``,
            ``certfile``, ``keyfile`` are for TLS; ``heartbeat`` (seconds) replaces the service's own.

    Raises:
        SettingsError: it is no such address.
    """

    def __init__(self, text: str) -> None:
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("amqp", "amqps") or not url.host:
            raise SettingsError(
                "TASKPATH_BROKER cannot be read; amqp://user:password@host:port/vhost is expected."
            )
        prefix = url.query.get("prefix", "")
        if len(prefix.encode()) > _MOST_PREFIX:
            raise SettingsError(f"TASKPATH_BROKER has a prefix of more than {_MOST_PREFIX} bytes.")
        self.prefix: Final = prefix
        self._url = url.without_query_params("prefix")

    def url(self, name: str, heartbeat: int) -> URL:
        """What the client connects to.

        Args:
            name: what the connection is called at the broker.
            heartbeat: in seconds.
        """
        url = self._url.update_query(name=name)
        return url if "heartbeat" in url.query else url.update_query(heartbeat=str(heartbeat))

    def __str__(self) -> str:
        url = self._url
        return f"{url.scheme}://{url.host}{f':{url.explicit_port}' if url.explicit_port else ''}{url.path}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"
