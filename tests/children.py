"""Child processes of a test, none of which outlives its block, nor do its pipes."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any


@asynccontextmanager
async def child(*command: str | Path, **options: Any) -> AsyncIterator[Process]:
    """A process for the time of a block; `options` are those of `asyncio.subprocess`."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        await end(process)


async def end(process: Process) -> None:
    """Kill it if it still runs, and return once it is over and its pipes are closed.

    Nobody else may be reading from it.
    """
    if process.returncode is None:
        # Not by `process.kill`: that asks how the child is, and so takes the exit status away from
        # the event loop if it has ended this moment.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    # A pipe that nobody reads to its end stays open until it is collected, in another test.
    await process.communicate()


def heed_ctrl_c() -> None:
    """Take SIGINT as in a terminal; what a shell starts in the background ignores it. To be called
    in the child before its program begins (`preexec_fn`)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
