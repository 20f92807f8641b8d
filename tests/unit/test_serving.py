"""The tests' own listener: what it accepted is closed, at whatever moment it stops."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from typing import Any

import pytest

from tests.serving import serving


@pytest.mark.parametrize("turns", range(12))
def test_a_connection_is_closed_however_far_its_acceptance_has_come(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: left.append(it.exc_value))

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def stop_after() -> None:
        with socket.socket() as client:
            async with serving(serve) as port:
                client.connect(("127.0.0.1", port))
                for _ in range(turns):
                    await asyncio.sleep(0)

    asyncio.run(stop_after())
    gc.collect()
    assert not left
