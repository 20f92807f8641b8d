"""A process of a run, used through its pipes. It ends with the run, however the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial

from deploy.processes.process import die_with_parent


class Child:
    """A process that ends with this one.

    Args:
        on_our_death: the signal that the kernel sends it when this process dies. A process with
            children needs a signal that lets it end them.
    """

    def __init__(self, on_our_death: signal.Signals = signal.SIGKILL) -> None:
        self._on_our_death = on_our_death
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *command: str, quiet: bool = True, **environment: str) -> None:
        """Start it. `quiet` hides its standard error."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=os.environ | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL if quiet else None,
            preexec_fn=partial(die_with_parent, self._on_our_death),
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    async def ask(self, line: str) -> bytes:
        """Write a line to its standard input. Returns the line that it answers with."""
        pipe = self._started().stdin
        assert pipe is not None
        pipe.write(line.encode() + b"\n")
        return await self.hear()

    async def hear(self) -> bytes:
        """The next line of its standard output; empty: it has ended."""
        pipe = self._started().stdout
        assert pipe is not None
        return await pipe.readline()

    async def stop(self, number: signal.Signals = signal.SIGKILL, within_s: float = 10.0) -> None:
        """End it by this signal, or by SIGKILL if that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            async with asyncio.timeout(within_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the process was not started")
        return self._process
