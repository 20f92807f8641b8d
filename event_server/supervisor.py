"""Several event servers on one port: a parent starts them, and restarts one that died.

The kernel shares connections out among the sockets that listen on the port (SO_REUSEPORT); each
worker reads Kafka by itself and does not know the others. A worker notices its parent's death by
the end of its standard input, drains, and stops. Each also listens on its own port, so that
Prometheus and an on-call person can query every one of them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final

from server_common.backoff import Backoff
from server_common.logs import get_logger
from server_common.sockets import bind

log = get_logger()

SETTINGS_ERROR: Final = 2
"""The exit status of a worker with wrong settings, for which a restart is useless."""
_PAUSE_S: Final = (0.5, 10.0)
_WELL_AFTER_S: Final = 30.0


def reserve(host: str, port: int, variable: str) -> socket.socket:
    """Take the port for the workers, as long as the socket is open; it does not listen.

    Args:
        host: an address of this machine.
        port: 0 picks a free one.
        variable: the setting to name when the port is taken.

    Raises:
        SettingsError: the port cannot be bound: another process has it, perhaps another set of
            workers, or the address is not one of this machine.
    """
    alone = bind(host, port, variable)
    chosen: int = alone.getsockname()[1]
    alone.close()
    return bind(host, chosen, variable, shared=True)


class Workers:
    """Keeps `count` workers running until told to stop.

    Args:
        count: how many.
        command: starts one, given its number from 0.
        clock: monotonic seconds.
    """

    def __init__(
        self, count: int, command: Callable[[int], Sequence[str]], clock: Callable[[], float]
    ) -> None:
        self._count = count
        self._command = command
        self._clock = clock
        self._stopping = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._has_worked = False
        """Whether a worker has ever run well: then the settings are right, and a restart makes
        sense."""

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, or until a worker says that its settings are wrong
        before any has run well.

        Returns:
            The exit status: 0 if every worker drained and stopped.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        statuses = await asyncio.gather(*(self._keep(number) for number in range(self._count)))
        return max(map(abs, statuses))

    def stop(self) -> None:
        """Let all workers drain and stop; called again, stop them at once."""
        self._stopping.set()
        for process in self._running.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)

    async def _keep(self, number: int) -> int:
        backoff = Backoff(*_PAUSE_S, random.uniform)
        while True:
            began = self._clock()
            try:
                status = await self._run_one(number)
            except OSError as error:  # no process can be started now
                log.error("worker_cannot_be_started", worker=number, reason=str(error))
                status = 1
            if self._stopping.is_set():
                return status
            if self._clock() - began > _WELL_AFTER_S:
                backoff.forget()
                self._has_worked = True
            if status == SETTINGS_ERROR and not self._has_worked:
                self.stop()
                return status
            pause = backoff.failed()
            log.error("worker_died", worker=number, status=status, next_start_s=round(pause, 3))
            if await self._stops_within(pause):
                return 0

    async def _run_one(self, number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command(number), stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._running[number] = process
        log.info("worker_started", worker=number, pid=process.pid)
        if self._stopping.is_set():
            process.send_signal(signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            del self._running[number]
            if process.stdin is not None:
                process.stdin.close()

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def command_of(number: int, port: int) -> list[str]:
    """The command that starts a worker on the shared port."""
    worker = ["--worker", str(number), "--shared-port", str(port)]
    return [sys.executable, "-m", "client_sdk.cli", "events", *worker]


def when_orphaned(stop: Callable[[], None]) -> None:
    """Call `stop` when the parent is gone: its end of our standard input is closed then."""

    def look() -> None:
        try:
            read = os.read(0, 1024)
        except OSError:
            read = b""
        if not read:
            asyncio.get_running_loop().remove_reader(0)
            log.warning("parent_is_gone")
            stop()

    asyncio.get_running_loop().add_reader(0, look)
