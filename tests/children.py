"""Child processes of a test, which have ended, with closed pipes, at the end of their block."""

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
    """Run a process for the time of a block; `options` are those of `asyncio.subprocess`."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        await end(process)


async def end(process: Process) -> None:
    """Kill the process if it still runs, and return once it has ended and its pipes are closed.

    No other task may be reading from its pipes.
    """
    if process.returncode is None:
        # Not by `process.kill`: if the child has just ended, that would read its exit status, and
        # the event loop would not get it.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    # A pipe that is not read to its end stays open until the garbage collector closes it, and that
    # may be in another test.
    await process.communicate()


def heed_ctrl_c() -> None:
    """Let SIGINT end the process, as in a terminal: a shell's background processes ignore it.

    Called in the child before its program begins (`preexec_fn`).
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
