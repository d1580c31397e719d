"""Answers as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

_encode = msgspec.json.Encoder().encode


def document(
    body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A response with a JSON document.

    Args:
        body: what it says.
        status: the HTTP status.
        headers: further headers.
    """
    return web.Response(
        status=status,
        body=_encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )
