"""Where a printer may be, and how bytes get there."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator

import pytest

from client_sdk.printer.connections import FileAddress, SocketAddress, TerminalAddress, address_of
from client_sdk.printer.errors import AgentError, PrinterError


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("socket://10.0.0.5:9100", SocketAddress),
        ("socket://printer", SocketAddress),
        ("file:///dev/usb/lp0", FileAddress),
        ("stdout", TerminalAddress),
    ],
)
def test_a_place_is_named_by_its_url(text: str, kind: type) -> None:
    assert type(address_of(text)) is kind


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.5:9100", "socket://", "socket://a:99999", "file://lp0", "http://a", "file:"],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(AgentError, match="socket://"):
        address_of(text)


@pytest.fixture
def device() -> Iterator[tuple[int, str]]:
    """A device file, and the other end of it."""
    other, own = os.openpty()
    tty.setraw(own)
    yield other, os.ttyname(own)
    os.close(other)
    os.close(own)


async def test_a_device_file_takes_bytes_and_gives_answers(device: tuple[int, str]) -> None:
    other, path = device
    connection = await FileAddress(path).connect()
    await connection.write(b"\x1b@ticket")
    assert os.read(other, 100) == b"\x1b@ticket"
    os.write(other, b"\x12")
    assert await connection.read(5) == b"\x12"
    assert await connection.read(0.01) == b""
    await connection.close()


async def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(PrinterError, match="no-such"):
        await FileAddress("/dev/no-such-printer").connect()
