"""The files of the pages as they are sent: read once, joined, inlined, compressed."""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import brotli

import client_sdk.contract
from core_api.pages import runbook
from core_api.pages.joining import JoiningError, joined
from core_api.pages.shortening import shortened

FOLDERS: Final = {
    "": Path(__file__).parent / "static",
    "yabam/": Path(client_sdk.contract.__file__).parents[1] / "javascript",
}
"""Where the files are, by what their paths begin with: the pages, and the browser's SDK."""
PREFIX: Final = "/static/"
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_SCRIPT: Final = re.compile(rf'<script type="module" src="{PREFIX}([^"]+\.js)"></script>')
_STYLE: Final = re.compile(rf'<link rel="stylesheet" href="{PREFIX}([^"]+\.css)">')
_ENDS: Final = re.compile(r"<!--|</?(?:script|style)", re.IGNORECASE)
"""Text that a browser reads as markup within a script or a style."""
_ADDRESS: Final = re.compile(rf'(?<="){PREFIX}([^"]+)(?=")')
_HASHED: Final = re.compile(r"=([0-9a-f]{20})/(.+)")
_APART: Final = ".all.js"
CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "br": brotli.compress,
    "gzip": lambda body: gzip.compress(body, mtime=0),
}
"""How a body may be compressed, the better way first."""
_QUICK: Final[dict[str, Callable[[bytes], bytes]]] = CODINGS | {
    "br": lambda body: brotli.compress(body, quality=5),
}
"""Faster codings: a fiftieth of the time, and a tenth larger."""


@dataclass(frozen=True)
class File:
    """One file as it is sent."""

    body: bytes
    media_type: str
    scripts: tuple[str, ...] = ()
    """The digests of the scripts within a page, as its policy names them."""
    styles: tuple[str, ...] = ()
    """Those of its styles."""

    _packed: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    _best: set[str] = field(default_factory=set, repr=False, compare=False)

    def is_best(self, coding: str) -> bool:
        """Whether the body is compressed as well as it can be."""
        return coding in self._best

    def packed(self, coding: str) -> bytes:
        """The body, compressed; quickly, until `pack` has done it well.

        Args:
            coding: one of `CODINGS`.
        """
        if coding not in self._packed:
            self._packed[coding] = _QUICK[coding](self.body)
        return self._packed[coding]

    def pack(self, coding: str) -> None:
        """Compress the body as well as can be: of a large one, half a second's work."""
        self._packed[coding] = CODINGS[coding](self.body)
        self._best.add(coding)

    @cached_property
    def digest(self) -> str:
        """20 hexadecimal digits, which change with the body."""
        return hashlib.sha256(self.body).hexdigest()[:20]


def read_files(
    folders: Mapping[str, Path] = FOLDERS, made: Mapping[str, str] | None = None
) -> dict[str, File]:
    """All files whose kind we serve, by their path.

    A page contains its styles and its scripts, with all that they import: it is complete after one
    answer, and its beginning runs while the rest is still loading. All other files have addresses
    that change with the content, so that a browser may cache each of them for ever.

    Args:
        folders: where they are, by what their paths begin with.
        made: pages that stand in no file, by their paths.

    Raises:
        JoiningError: the scripts of a page cannot be joined, or do not fit into it.
        ShorteningError: a script has a character of ambiguous meaning.
    """
    found = {
        f"{prefix}{path.relative_to(folder)}": path.read_bytes()
        for prefix, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }
    pages = {path: _text(body) for path, body in found.items() if path.endswith(".html")}
    pages |= made or {}
    texts = {path: _text(body) for path, body in found.items() if path.endswith((".js", ".css"))}
    files = {path: _file(path, body) for path, body in found.items() if path not in pages}
    for page in pages.values():
        # Pages of the previous release use this name for their last script. While Cores of both
        # run, such a page must not stay blank.
        for script in _SCRIPT.findall(page)[-1:]:
            path = f"{script.removesuffix('.js')}{_APART}"
            files[path] = _file(path, joined(texts, script)[0].encode())
    for path, page in pages.items():
        files[path] = _page(_with_hashes(page, files), texts)
    return files


@cache
def own_files() -> Mapping[str, File]:
    """Those of this installation, read and shortened once: that is most of Core's own start.

    Raises:
        JoiningError, ShorteningError: as `read_files`.
    """
    return read_files(made={runbook.PATH: runbook.own_runbook()})


def parse_address(path: str) -> tuple[str, str | None]:
    """The path of a file, and the digest that its address names; None: none.

    Args:
        path: what follows `/static/`.
    """
    match = _HASHED.fullmatch(path)
    return (match[2], match[1]) if match else (path, None)


def _page(page: str, texts: Mapping[str, str]) -> File:
    """The page with its styles and scripts in the place of their addresses."""
    scripts = joined(texts, *_SCRIPT.findall(page))
    parts = iter([f'"use strict";\n{shortened(script)}' for script in scripts])
    held: dict[str, list[str]] = {"script": [], "style": []}

    def put(tag: str, text: str) -> str:
        mark = _ENDS.search(text)
        if mark:
            raise JoiningError(f"a {tag} of a page must not hold {mark[0]}: it would end it")
        held[tag].append(f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}")
        return f"<{tag}>{text}</{tag}>"

    page = _STYLE.sub(lambda match: put("style", texts[match[1]]), page)
    page = _SCRIPT.sub(lambda _: put("script", next(parts)), page)
    body, media_type = page.encode(), _MEDIA_TYPES[".html"]
    return File(body, media_type, tuple(held["script"]), tuple(held["style"]))


def _text(body: bytes) -> str:
    """The text as a browser normalises it before it computes the digests of its parts."""
    return body.decode().replace("\r\n", "\n").replace("\r", "\n")


def _with_hashes(page: str, files: Mapping[str, File]) -> str:
    def hashed(match: re.Match[str]) -> str:
        path = match[1]
        within = path.endswith((".js", ".css"))
        return f"{PREFIX}={files[path].digest}/{path}" if path in files and not within else match[0]

    return _ADDRESS.sub(hashed, page)


def _file(path: str, body: bytes) -> File:
    return File(body, _MEDIA_TYPES[path[path.rindex(".") :]])
