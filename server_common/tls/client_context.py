"""A client's TLS context that uses renewed files from the next connection on."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from server_common.logs import get_logger

_log = get_logger()


class RenewedContext(ssl.SSLContext):
    """Verifies servers; before each connection it checks whether its files have changed.

    asyncio and uvloop begin each connection by `wrap_bio`, which delegates to a context with the
    files' present content. Invalid files are ignored.

    Args:
        load: loads the files into a context; raises OSError, ssl.SSLError or ValueError.
        files: those that it reads.

    Raises:
        OSError, ssl.SSLError, ValueError: `load` does.
    """

    _load: Callable[[ssl.SSLContext], None]
    _files: tuple[Path, ...]
    _read: tuple[tuple[int, ...], ...]
    _newest: ssl.SSLContext
    _refusal: str | None

    def __new__(cls, load: Callable[[ssl.SSLContext], None], files: Sequence[str]) -> Self:
        """As the class says."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made._load, made._files, made._refusal = load, tuple(map(Path, files)), None
        made._read = made._stamps()
        made._newest = made._made()
        load(made)
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection."""
        self._read_again()
        return self._newest.wrap_bio(*arguments, **named)

    def _read_again(self) -> None:
        try:
            found = self._stamps()
            if found == self._read:
                return
            self._newest = self._made()
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            if str(error) != self._refusal:
                _log.error("certificate_not_renewed", file=str(self._files[0]), reason=str(error))
            self._refusal = str(error)
            return
        self._read, self._refusal = found, None
        _log.info("certificate_renewed", file=str(self._files[0]))

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        return context

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        found = (file.stat() for file in self._files)
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)
