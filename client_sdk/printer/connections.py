"""Connections to a printer: TCP, a device file, or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

from client_sdk.printer.errors import AgentError, PrinterError

PORT: Final = 9100
_CONNECT_S: Final = 5.0
_WRITE_S: Final = 20.0
_CHUNK: Final = 4096
_LOOK_EVERY_S: Final = 0.05


class PrinterConnection(Protocol):
    """An open connection to a printer."""

    async def write(self, data: bytes) -> None:
        """Send bytes; raises PrinterError if the connection breaks or the printer accepts none."""

    async def read(self, within_s: float) -> bytes:
        """Read the printer's next bytes; empty: none arrived in time. Raises PrinterError."""

    async def close(self) -> None:
        """Close the connection."""


class Address(Protocol):
    """The address of a printer."""

    is_terminal: bool
    """Whether it takes plain text, which counts as printed once it is shown."""

    async def connect(self) -> PrinterConnection:
        """Connect; raises PrinterError."""


class SocketAddress:
    """A printer on the network, by TCP.

    Args:
        host: its host name or IP address.
        port: the port that takes ESC/POS, mostly 9100.
    """

    is_terminal = False

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def connect(self) -> PrinterConnection:
        """Connect; raises PrinterError."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise PrinterError(f"{self._host}:{self._port} cannot be reached: {error}") from error
        return _Socket(reader, writer)


class _Socket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(_WRITE_S):
                self._writer.write(data)
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise PrinterError(f"the printer accepts no data: {error}") from error

    async def read(self, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                data = await self._reader.read(_CHUNK)
        except TimeoutError:
            return b""
        except OSError as error:
            raise PrinterError(f"the connection broke: {error}") from error
        if not data:
            raise PrinterError("the printer closed the connection")
        return data

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                await self._writer.wait_closed()


class FileAddress:
    """A printer at USB, by its device file.

    Args:
        path: such as `/dev/usb/lp0`.
    """

    is_terminal = False

    def __init__(self, path: str) -> None:
        self._path = path

    async def connect(self) -> PrinterConnection:
        """Open the file; raises PrinterError."""
        try:
            number = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise PrinterError(f"{self._path} cannot be opened: {error}") from error
        return _File(number)


class _File:
    """Polls, because not every kernel can wait for a printer's file."""

    def __init__(self, number: int) -> None:
        self._number = number

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            async with asyncio.timeout(_WRITE_S):
                while rest:
                    try:
                        rest = rest[os.write(self._number, rest[:_CHUNK]) :]
                    except BlockingIOError:
                        await asyncio.sleep(_LOOK_EVERY_S)
        except (OSError, TimeoutError) as error:
            raise PrinterError(f"the printer accepts no data: {error}") from error

    async def read(self, within_s: float) -> bytes:
        try:
            async with asyncio.timeout(within_s):
                while True:
                    with contextlib.suppress(BlockingIOError):
                        if data := os.read(self._number, _CHUNK):
                            return data
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            return b""
        except OSError as error:
            raise PrinterError(f"the printer cannot be read: {error}") from error

    async def close(self) -> None:
        os.close(self._number)


class TerminalAddress:
    """A terminal, where a shown text counts as printed.

    Args:
        show: called with the text; default: standard output.
    """

    is_terminal = True

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show = show or _print

    async def connect(self) -> PrinterConnection:
        """Return the terminal; it is always there."""
        return _Terminal(self._show)


class _Terminal:
    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    async def write(self, data: bytes) -> None:
        try:
            self._show(data.decode())
        except OSError as error:
            raise PrinterError(f"standard output is closed: {error}") from error

    async def read(self, within_s: float) -> bytes:
        await asyncio.sleep(within_s)
        return b""

    async def close(self) -> None:
        return None


def address_of(text: str) -> Address:
    """Read the text of `--to`.

    Raises:
        AgentError: the text has none of the known forms.
    """
    if text == "stdout":
        return TerminalAddress()
    parts = urlsplit(text)
    try:
        port = parts.port or PORT
    except ValueError:
        port = 0
    if parts.scheme == "socket" and parts.hostname and port:
        return SocketAddress(parts.hostname, port)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return FileAddress(parts.path)
    raise AgentError(f"{text!r}: write socket://host:9100, file:///dev/usb/lp0 or stdout")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
