"""Waits for the end of a process that runs clients."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from typing import Final

_WITHIN_S: Final = 20.0


async def wait_or_kill(process: Process) -> None:
    """Wait until the process has ended; kill it if that takes longer than 20 s."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
