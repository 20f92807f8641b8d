"""Sends health requests, which must stay fast while many clients reconnect at once."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from deploy.load.clients.exchange import connect, fetch
from deploy.load.measured.timeline import Tally

_EVERY_S: Final = 0.1
_WITHIN_S: Final = 10.0


async def probe(address: tuple[str, int], tally: Tally) -> None:
    """Ask a server for its health, each time over a new connection, until cancelled."""
    request = f"GET /healthz HTTP/1.1\r\nhost: {address[0]}\r\n\r\n".encode()
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_WITHIN_S):
                connection = await connect(address, None)
                try:
                    await fetch(connection, request)
                finally:
                    connection.abort()
        except (OSError, TimeoutError):
            tally.count("probes failed")
        else:
            tally.took("health", time.monotonic() - began)
        await asyncio.sleep(_EVERY_S)
