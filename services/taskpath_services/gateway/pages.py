"""The web page: the files of the folder ``page``, served as they are, and nothing else of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

PAGE: Final = Path(__file__).parent / "page"

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

_HEADERS: Final = {
    # Asked for again every time, and answered with 304: a page has to be of its gateway's version.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """Serves the web page.

    Args:
        folder: where its files are.
    """

    def __init__(self, folder: Path = PAGE) -> None:
        self._folder = folder

    async def index(self, request: web.Request) -> web.StreamResponse:
        """``/``"""
        return self._file("index.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Any other file of the page, by its name."""
        return self._file(request.match_info["file"])

    def _file(self, name: str) -> web.StreamResponse:
        steps = name.split("/")
        path = self._folder.joinpath(*steps)
        kind = _TYPES.get(path.suffix)
        if (
            kind is None
            or any(step in ("", ".", "..") or "\\" in step for step in steps)
            or not path.is_file()
        ):
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={"Content-Type": kind, **_HEADERS})
