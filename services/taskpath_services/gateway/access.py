"""Who may use the gateway.

Without authentication that is this machine alone. A web page of another origin could still reach it
through the user's browser, directly or by a name that it lets resolve to loopback, so ``Host`` and ``Origin``
have to be the gateway's own or allowed by name. This is the one place that decides it, for REST, page and
WebSocket alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from taskpath.runtime.settings import LOOPBACK, Settings, SettingsError
from taskpath_proto.errors import ErrorCode, TaskpathError

_HINT: Final = "TASKPATH_ALLOWED_ORIGINS lists the origins that may use it"


class Access:
    """The rules of a gateway without authentication.

    Args:
        settings: host and allowed origins.

    Raises:
        SettingsError: the gateway would be open to other machines, or is told to check tokens.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.auth_secret is not None:
            raise SettingsError(
                "TASKPATH_AUTH_SECRET is (a secret); expected is none: this version checks no tokens."
            )
        if settings.host not in LOOPBACK:
            raise SettingsError(
                f"TASKPATH_HOST is {settings.host!r}; expected is one of {', '.join(LOOPBACK)}, because a "
                "gateway without authentication serves its own machine only."
            )
        self._names = frozenset(LOOPBACK)
        self._origins = frozenset(map(_origin, settings.allowed_origins))
        self._allowed_hosts = frozenset(origin.partition("://")[2] for origin in self._origins)

    def check(self, host: str, origin: str | None) -> None:
        """Lets a request pass.

        Args:
            host: the request's ``Host``.
            origin: its ``Origin``, if a browser sent one.

        Raises:
            TaskpathError: FORBIDDEN.
        """
        host = host.lower()
        if _hostname(host) not in self._names and host not in self._allowed_hosts:
            raise TaskpathError(ErrorCode.FORBIDDEN, f"The host {host!r} is not this gateway's; {_HINT}.")
        if origin is not None and not self._known(origin, host):
            raise TaskpathError(
                ErrorCode.FORBIDDEN, f"The origin {origin!r} may not use this gateway; {_HINT}."
            )

    def sharing(self, origin: str | None) -> Mapping[str, str]:
        """The headers by which a browser lets a page of another, allowed, origin read the answer."""
        if origin is None or _origin(origin) not in self._origins:
            return {"Vary": "Origin"} if self._origins else {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Location, Retry-After",
            "Vary": "Origin",
        }

    def preflight(self) -> Mapping[str, str]:
        """What an allowed origin may do, for the browser's question before a request."""
        return {
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Authorization, Last-Event-ID",
            "Access-Control-Max-Age": "600",
        }

    def _known(self, origin: str, host: str) -> bool:
        origin = _origin(origin)
        return origin in self._origins or origin in (f"http://{host}", f"https://{host}")


def _origin(text: str) -> str:
    return text.strip().rstrip("/").lower()


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
