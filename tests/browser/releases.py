"""Cores that only serve pages, of several releases. They can be slow or down."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core_api.pages.files import FOLDERS, PREFIX, File, parse_address, read_files
from core_api.pages.serving import Pages

_NEVER_MS: Final = 10**9
_PATIENCE: Final = "NETWORK_WAIT_MS = 4_000;"


@cache
def files_of(title: str, patience_ms: int) -> Mapping[str, File]:
    """The files of a release with this title in its script and other files, made once.

    Args:
        title: the title of the terminal.
        patience_ms: how long the worker waits for a page of which it has a copy.
    """
    with tempfile.TemporaryDirectory(prefix="yabam-release-") as name:
        folder = Path(name)
        for part in ("terminal", "table", "ops", "shared"):
            shutil.copytree(FOLDERS[""] / part, folder / part)
        _change(
            folder / "terminal/offline/worker.js", _PATIENCE, f"NETWORK_WAIT_MS = {patience_ms};"
        )
        _change(folder / "terminal/texts.js", '"Store terminal"', f'"{title}"')
        named = '"short_name": "Yabam"', f'"short_name": "{title}"'
        _change(folder / "terminal/app.webmanifest", *named)
        with (folder / "shared/icon.svg").open("a") as icon:
            icon.write(f"<!-- {title} -->\n")
        return read_files({**FOLDERS, "": folder})


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Releases:
    """Answers at one address while Cores of several releases start and stop.

    Args:
        patience_ms: how long the worker waits for a page of which it has a copy.
    """

    def __init__(self, patience_ms: int = _NEVER_MS) -> None:
        self._patience_ms = patience_ms
        self._files: dict[str, Mapping[str, File]] = {}
        self._apps: dict[str, ASGIApp] = {}
        self._now = ""
        self._instead: ASGIApp | None = None
        self._held: dict[str, asyncio.Event] = {}

    def release(self, title: str) -> None:
        """From now on Core is of the release with this title."""
        files = self._files[title] = files_of(title, self._patience_ms)
        self._apps[title] = Starlette(routes=Pages(files, []).routes())
        self._now, self._instead = title, None

    def fail(self) -> None:
        """From now on answer as a proxy that finds no Core."""
        self.answer(Response("Bad Gateway", 502))

    def answer(self, instead: ASGIApp) -> None:
        """From now on this application answers all requests, as a proxy in Core's place."""
        self._instead = instead

    def page(self, title: str) -> str:
        """The terminal's page of this release."""
        return self._files[title]["terminal/index.html"].body.decode()

    def address(self, title: str, path: str) -> str:
        """The path of the file in the page of this release."""
        return f"{PREFIX}={self._files[title][path].digest}/{path}"

    @contextmanager
    def holding(self, path: str) -> Iterator[None]:
        """Leave requests for this path without an answer until the block ends."""
        self._held[path] = asyncio.Event()
        try:
            yield
        finally:
            self._held.pop(path).set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request as the release that `?release=` names or whose file it asks for."""
        if scope["path"] in self._held:
            await self._held[scope["path"]].wait()
        answer = self._instead or self._apps[self._asked(scope)]
        await answer(scope, receive, send)

    def _asked(self, scope: Scope) -> str:
        (named,) = parse_qs(scope["query_string"].decode()).get("release", [None])
        path, digest = parse_address(scope["path"].removeprefix(PREFIX))
        owners = [
            title
            for title, files in self._files.items()
            if digest is not None and path in files and files[path].digest == digest
        ]
        return named or next(iter(owners), self._now)


class Quiet(uvicorn.Server):
    """A server that leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[str]:
    """Serve the application on its own port. Yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Quiet(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
