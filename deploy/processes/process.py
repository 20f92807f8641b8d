"""One child process: started, watched, stopped, and for tests killed or frozen."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from client_sdk.contract.errors import YabamError

_PR_SET_PDEATHSIG: Final = 1
_LOG_TAIL_LINES: Final = 15
# The kernel takes the thread that made a child for its parent. This one lives as long as we do.
_SPAWNER: Final = ThreadPoolExecutor(1, thread_name_prefix="spawner")


class ProcessError(YabamError):
    """A child did not do what it should; the text has the end of its log."""


def die_with_parent(number: signal.Signals) -> None:
    """Run in a child before exec: the kernel sends it `number` when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def as_user(name: str | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run as this user and in its group only."""
    if name is None:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


class Child(Protocol):
    """A child of ours, as `subprocess.Popen` is one."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended; `subprocess.TimeoutExpired` after `timeout`."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal, unless it has ended."""


Starter = Callable[
    [Sequence[str], Mapping[str, str], Path, signal.Signals, "str | None"],
    Child,
]
"""Makes a child of a command; the arguments are those of `execute`."""


def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    stop_signal: signal.Signals,
    user: str | None,
) -> subprocess.Popen[bytes]:
    """Start a program as a child of ours.

    Args:
        command: its argv.
        environment: added to ours.
        log: its stdout and stderr are appended here; the folder is created if missing.
        stop_signal: sent to it by the kernel when we die ourselves.
        user: whom it runs as; None: as we do.

    Raises:
        OSError: the log cannot be opened, or the program not started.
        KeyError: there is no such user.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            list(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, stop_signal),
            # The group too: a folder that lets others pass may still keep out root's group.
            **as_user(user),
        )


class Process:
    """A child that logs to a file.

    Args:
        name: what to call it in messages.
        command: its argv.
        environment: added to ours.
        log: its stdout and stderr are appended here.
        health_url: answers 200 at `/readyz` once it is ready; None: ready when it runs.
        stop_signal: asks it to stop; also sent by the kernel when we die ourselves.
        user: whom it runs as; None: as we do.
        starter: makes the child.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        health_url: str | None,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        starter: Starter = execute,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._health_url = health_url
        self._stop_signal = stop_signal
        self._user = user
        self._starter = starter
        self._child: Child | None = None

    @property
    def health_url(self) -> str | None:
        """Where it answers `/readyz`; None: nowhere."""
        return self._health_url

    @property
    def pid(self) -> int:
        """The child's process id.

        Raises:
            ProcessError: it was not started.
        """
        if self._child is None:
            raise ProcessError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._child.poll() if self._child is not None else None

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start it; a second start follows a stop or a kill. `extra` is environment for this once.

        A preloaded library, such as one that turns the clock, can be given so.
        """
        environment = {**self._environment, **(extra or {})}
        self._child = _SPAWNER.submit(
            self._starter, self._command, environment, self.log, self._stop_signal, self._user
        ).result()

    def start_and_wait(self, timeout_s: float, answers: Callable[[], bool]) -> None:
        """Start it and return once it answers; one that does not in time is killed.

        Raises:
            ProcessError: it ended instead, or does not answer within `timeout_s`.
        """
        self.start()
        try:
            self.wait_ready(timeout_s, answers)
        except ProcessError:
            self.kill()
            raise

    def wait_ready(self, timeout_s: float, answers: Callable[[], bool] | None = None) -> None:
        """Return once it says that it is ready, or `answers`.

        Raises:
            ProcessError: it died, or was not ready within `timeout_s`.
        """
        answers = answers or self.is_ready
        deadline = time.monotonic() + timeout_s
        while True:
            ready = answers()
            # What answers in the place of one that has ended is somebody else.
            if self.exit_status is not None:
                raise ProcessError(f"{self.name} ended at its start:\n{self.log_tail()}")
            if ready:
                return
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{self.name} was not ready within {timeout_s:g} s:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it says so right now."""
        if self._health_url is None:
            return self.exit_status is None
        # Asked many times a second: a client of httpx first reads all certificates of the world.
        connection = HTTPConnection(urlsplit(self._health_url).netloc, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, timeout_s: float = 15.0) -> int | None:
        """The stop signal, and SIGKILL after `timeout_s`; the exit status."""
        if self._child is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(self._stop_signal)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end, and SIGKILL it after `timeout_s`; the exit status."""
        if self._child is None:
            return None
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.returncode

    def kill(self) -> None:
        """SIGKILL: no goodbye, no clean-up."""
        self.signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def finish(self) -> None:
        """Wait for its own end.

        Raises:
            ProcessError: it ended with another status than 0.
        """
        if self._child is not None and self._child.wait() != 0:
            raise ProcessError(f"{self.name} failed:\n{self.log_tail()}")

    def suspend(self) -> None:
        """SIGSTOP: it lives, and does nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def log_tail(self) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
