"""One child process: starts it, watches it, stops it, and kills or freezes it for tests."""

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
# The kernel sends a child its death signal when the thread that started it ends. This thread lives
# as long as the process.
_SPAWNER: Final = ThreadPoolExecutor(1, thread_name_prefix="spawner")


class ProcessError(YabamError):
    """A child process failed; the text mostly has the end of its log."""


def die_with_parent(number: signal.Signals) -> None:
    """Called in a child: the kernel sends it the signal when its parent dies (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def as_user(name: str | None) -> dict[str, Any]:
    """The arguments for `subprocess` to run as this user, and in this user's group only."""
    if name is None:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


class Child(Protocol):
    """A child process, with those methods of `subprocess.Popen` that are used here."""

    returncode: int | None

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Returns its exit status; raises TimeoutExpired after `timeout` s."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal, unless it has ended."""


Starter = Callable[
    [Sequence[str], Mapping[str, str], Path, signal.Signals, "str | None"],
    Child,
]
"""Starts a child process; the arguments are those of `execute`."""


def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    stop_signal: signal.Signals,
    user: str | None,
) -> subprocess.Popen[bytes]:
    """Start a program as a child process.

    Args:
        command: the program and its arguments.
        environment: variables that are added to those of this process.
        log: the file for its output, which is appended; the folder is created if missing.
        stop_signal: sent to it by the kernel when this process dies.
        user: the user to run it as; None: the same as this process's.

    Raises:
        OSError: the log cannot be opened, or the program cannot be started.
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
            # The group, too: a folder may let all others pass, but not the members of root's group.
            **as_user(user),
        )


class Process:
    """A child process that logs to a file, and can be started several times.

    Args:
        name: its name in messages.
        command: the program and its arguments.
        environment: variables that are added to those of this process.
        log: the file for its output, which is appended.
        health_url: answers 200 at `/readyz` once it is ready; None: it is ready when it runs.
        stop_signal: asks it to stop; the kernel also sends it when this process dies.
        user: the user to run it as; None: the same as this process's.
        starter: starts the child process.
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
        """The address that answers `/readyz`; None: there is none."""
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
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._child.poll() if self._child is not None else None

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start it; before a second start it must have ended.

        `extra` are variables for this start only, such as a preloaded library that changes the
        clock.
        """
        environment = {**self._environment, **(extra or {})}
        self._child = _SPAWNER.submit(
            self._starter, self._command, environment, self.log, self._stop_signal, self._user
        ).result()

    def start_and_wait(self, timeout_s: float, answers: Callable[[], bool]) -> None:
        """Start it and return once `answers()` is true; if that takes too long, it is killed.

        Raises:
            ProcessError: it ended, or did not answer within `timeout_s` seconds.
        """
        self.start()
        try:
            self.wait_ready(timeout_s, answers)
        except ProcessError:
            self.kill()
            raise

    def wait_ready(self, timeout_s: float, answers: Callable[[], bool] | None = None) -> None:
        """Return once it is ready: once `answers()` is true, or without that `is_ready()`.

        Raises:
            ProcessError: it ended, or was not ready within `timeout_s` seconds.
        """
        answers = answers or self.is_ready
        deadline = time.monotonic() + timeout_s
        while True:
            ready = answers()
            # If it has ended, another process has answered on its port.
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
        """Whether `/readyz` answers 200 now; without a health address, whether it runs."""
        if self._health_url is None:
            return self.exit_status is None
        # This is called many times a second, and httpx loads all CA certificates for each client.
        connection = HTTPConnection(urlsplit(self._health_url).netloc, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, timeout_s: float = 15.0) -> int | None:
        """Send the stop signal, and SIGKILL after `timeout_s` seconds. Returns the exit status."""
        if self._child is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(self._stop_signal)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end, and kill it after `timeout_s` seconds. Returns the exit status."""
        if self._child is None:
            return None
        try:
            return self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._child.returncode

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        self.signal(signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def finish(self) -> None:
        """Wait until it ends by itself.

        Raises:
            ProcessError: its exit status is not 0.
        """
        if self._child is not None and self._child.wait() != 0:
            raise ProcessError(f"{self.name} failed:\n{self.log_tail()}")

    def suspend(self) -> None:
        """Freeze it with SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `suspend` (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def log_tail(self) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
