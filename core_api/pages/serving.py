"""The routes of the pages: every file is read once at the start, and sent with strict headers.

Only files that were found under the folder at the start are served, so no path leads out of it. The
policy allows scripts and styles of this origin alone, calls to this origin and to the event
servers, and (trusted types) no text that becomes markup: should an order's note ever reach the page
as HTML, the browser refuses to run it. One policy is let through, which gives the address of a
page's worker and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import client_sdk.contract
from core_api.errors import NotFoundError

FOLDERS: Final = {
    "": Path(__file__).parent / "static",
    "yabam/": Path(client_sdk.contract.__file__).parents[1] / "javascript",
}
"""Where the files are, by what their paths begin with: the pages, and the browser's SDK."""
START: Final = "/terminal"
PAGES: Final = {
    "/terminal": "terminal/index.html",
    "/table": "table/index.html",
    "/ops": "ops/index.html",
    "/runbook": "ops/runbook.html",
}
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


def read_files(folders: Mapping[str, Path] = FOLDERS) -> dict[str, File]:
    """All files whose kind we serve, by their path.

    Args:
        folders: where they are, by what their paths begin with.
    """
    return {
        f"{prefix}{path.relative_to(folder)}": _file(path)
        for prefix, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


def content_policy(stream_urls: Iterable[str]) -> str:
    """The Content-Security-Policy of every page.

    Args:
        stream_urls: where the event servers are; a page may call their origins, also by WebSocket.
    """
    origins = {_origin(url) for url in stream_urls} - {""}
    # A source that names a scheme of HTTP does not permit a WebSocket to the same place.
    streams = sorted(origins | {origin.replace("http", "ws", 1) for origin in origins})
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            " ".join(("connect-src 'self'", *streams)),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types yabam-worker",
        )
    )


class Pages:
    """The answers of the routes of the pages.

    Args:
        files: what there is, as `read_files` gives it.
        policy: as `content_policy` gives it.
    """

    def __init__(self, files: Mapping[str, File], policy: str) -> None:
        self._files = files
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            # A module must never run with one of an older version: the browser asks each time, and
            # mostly gets 304.
            "cache-control": "no-cache",
        }

    def routes(self, pages: Mapping[str, str] = PAGES) -> list[Route]:
        """The static files, and `pages`: the path of each with the file that it is."""

        async def root(_request: Request) -> Response:
            return RedirectResponse(START, 307, {"cache-control": "no-cache"})

        async def static(request: Request) -> Response:
            return self.send(request, request.path_params["path"])

        return [
            Route("/", root),
            *(Route(path, self._page(name)) for path, name in pages.items()),
            Route("/static/{path:path}", static),
        ]

    def send(self, request: Request, name: str) -> Response:
        """The file, or 304 where the browser has it.

        Raises:
            NotFoundError: there is no such file.
        """
        file = self._files.get(name)
        if file is None:
            raise NotFoundError("there is no such file among the pages")
        headers = self._headers | {"etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, headers=headers | {"content-type": file.media_type})

    def _page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            return self.send(request, name)

        return page


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return File(body, _MEDIA_TYPES[path.suffix], etag)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
