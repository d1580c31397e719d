"""The web page: the files of the folder ``page``, served as they are, and nothing else of the machine.

They are built from ``clients/page``, and have the same page at every address that it knows. At one that
nobody knows a person who looks for a page gets it as well, and it says so; a program gets an error like any
other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

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

_OTHERS: Final = ("api", "ws", "healthz", "readyz", "metrics")
"""What addresses begin with that are no page's, whoever asks."""

_BUILT: Final = "assets/"
"""What is in here has a name that is made of its content."""

_HEADERS: Final = {
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

    def routes(self) -> list[web.RouteDef]:
        """The addresses of the page, and of its files."""
        return [
            web.get("/", self.index),
            web.get("/i/{instance:[^/]+}", self.index),
            web.get("/workflows", self.index),
            web.get("/workflows/{workflow:[^/]+}", self.index),
            web.get("/executors", self.index),
            web.get("/{file:[^?]+}", self.other),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        """``/``, and every other address of the page; which one it is, it finds out by itself."""
        if not (self._folder / "index.html").is_file():
            return web.Response(status=404, text="The web page is not built: `make page` builds it.\n")
        return self._file("index.html")

    async def other(self, request: web.Request) -> web.StreamResponse:
        """Any other file of the page, by its name; else the page, for it to say that there is nothing."""
        try:
            return self._file(request.match_info["file"])
        except web.HTTPNotFound:
            if not _is_for_a_person(request) or not (self._folder / "index.html").is_file():
                raise
            return self._file("index.html", 404)

    def _file(self, name: str, status: int = 200) -> web.StreamResponse:
        steps = name.split("/")
        path = self._folder.joinpath(*steps)
        kind = _TYPES.get(path.suffix)
        if (
            kind is None
            or any(step in ("", ".", "..") or "\\" in step for step in steps)
            or not path.is_file()
        ):
            raise web.HTTPNotFound
        # Others are asked for every time, and answered with 304: a page has to be of its gateway's version.
        caching = "public, max-age=31536000, immutable" if name.startswith(_BUILT) else "no-cache"
        headers = {"Content-Type": kind, "Cache-Control": caching, **_HEADERS}
        return web.FileResponse(path, status=status, headers=headers)


def _is_for_a_person(request: web.Request) -> bool:
    """Whether a browser goes to the address, and no script, picture or program asks for it."""
    first = request.match_info["file"].split("/", 1)[0]
    return first not in _OTHERS and "text/html" in request.headers.get(hdrs.ACCEPT, "")
