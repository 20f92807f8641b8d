"""The routes of the pages: every file is read once at the start, and sent with strict headers.

Only files that were found under the folder at the start are served, so no path leads out of it. The
policy allows the scripts and styles that a page came with, those of this origin, calls to this
origin and to the event servers, and (trusted types) no text that becomes markup: should an order's
note ever reach the page as HTML, the browser refuses it. Only one policy is allowed, which gives
the address of a page's worker and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from core_api.errors import NotFoundError
from core_api.pages import runbook
from core_api.pages.files import CODINGS, PREFIX, File, parse_address

START: Final = "/terminal"
PAGES: Final = {
    "/terminal": "terminal/index.html",
    "/table": "table/index.html",
    "/ops": "ops/index.html",
    "/runbook": runbook.PATH,
    # A service worker controls only pages below its own path, so it is served at their level.
    "/terminal-worker.js": "terminal/offline/worker.js",
}
_ASKED_FOR: Final = "no-cache"
"""The browser asks each time, and mostly gets 304."""
_KEPT: Final = "public, max-age=31536000, immutable"


def content_policy(stream_urls: Iterable[str], file: File) -> str:
    """The Content-Security-Policy of a page.

    Args:
        stream_urls: where the event servers are; a page may call their origins, also by WebSocket.
        file: the page, or another file, which then holds no script.
    """
    scripts, styles = (
        " ".join(("'self'", *(f"'{digest}'" for digest in digests)))
        for digests in (file.scripts, file.styles)
    )
    origins = {_origin(url) for url in stream_urls} - {""}
    # A source with the scheme http or https does not permit a WebSocket to the same host.
    streams = sorted(origins | {origin.replace("http", "ws", 1) for origin in origins})
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
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
        stream_urls: where the event servers are.
    """

    def __init__(self, files: Mapping[str, File], stream_urls: Iterable[str]) -> None:
        self._files = files
        self._packing: dict[tuple[str, str], asyncio.Task[None]] = {}
        urls = tuple(stream_urls)
        self._policies = {name: content_policy(urls, file) for name, file in files.items()}
        self._headers = {
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            "vary": "accept-encoding",
        }

    def routes(self, pages: Mapping[str, str] = PAGES) -> list[Route]:
        """The static files, and `pages`: the path of each with the file that it is."""

        async def root(_request: Request) -> Response:
            return RedirectResponse(START, 307, {"cache-control": _ASKED_FOR})

        async def static(request: Request) -> Response:
            return await self.send(request, *parse_address(request.path_params["path"]))

        return [
            Route("/", root),
            *(Route(path, self._page(name)) for path, name in pages.items()),
            Route(f"{PREFIX}{{path:path}}", static),
        ]

    async def send(self, request: Request, name: str, digest: str | None = None) -> Response:
        """The file, or 304 where the browser has it.

        Args:
            request: what asks for it.
            name: the path of the file.
            digest: of the address. For another release's, the present file is sent and must not be
                cached: while Cores of two releases run, a page must not stay blank.

        Raises:
            NotFoundError: there is no such file.
        """
        file = self._files.get(name)
        if file is None:
            raise NotFoundError("there is no such file among the pages")
        coding = _coding(request.headers.get("accept-encoding", ""))
        headers = self._headers | {
            "content-security-policy": self._policies[name],
            "cache-control": _KEPT if digest == file.digest else _ASKED_FOR,
            "etag": f'"{file.digest}.{coding or "plain"}"',
        }
        if file.digest in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        headers["content-type"] = file.media_type
        if coding is None:
            return Response(file.body, headers=headers)
        headers["content-encoding"] = coding
        if not file.is_best(coding) and (name, coding) not in self._packing:
            # Compressed once, in the background.
            task = asyncio.create_task(asyncio.to_thread(file.pack, coding))
            self._packing[name, coding] = task
            task.add_done_callback(lambda _: self._packing.pop((name, coding)))
        return Response(file.packed(coding), headers=headers)

    def _page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            return await self.send(request, name)

        return page


def _coding(accepted: str) -> str | None:
    """The best coding that is accepted; None: none of ours is."""
    codings = (coding.replace(" ", "").partition(";") for coding in accepted.lower().split(","))
    taken = {name for name, _, weight in codings if weight not in ("q=0", "q=0.0")}
    return next((coding for coding in CODINGS if coding in taken), None)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
