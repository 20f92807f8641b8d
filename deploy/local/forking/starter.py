"""Starts processes by fork servers; `ForkedChild` controls one as `subprocess.Popen` would."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from deploy.local.forking.server import LARGEST_REQUEST
from deploy.processes.process import Child, ProcessError, execute

ServerKind = Literal["core", "other"]

CLI: Final = "client_sdk.cli"
_PR_SET_CHILD_SUBREAPER: Final = 36
_ONCE: Final = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "TZ")
"""The beginnings of the names of variables that a process reads only before our code runs."""
_OF_CORE: Final = {"PYTHONMALLOC": "malloc"}
_LATE: Final = (
    "anyio._backends._asyncio",
    "cryptography.hazmat.backends.openssl",
    "httpcore",
    "uvicorn.lifespan.off",
)
"""Modules that libraries load only when they are used, as each server does at its start."""
_LOADED: Final[dict[ServerKind, Sequence[str]]] = {
    "core": ["core_api.processes.core", "core_api.pages.files:own_files", *_LATE],
    "other": [
        "core_api.processes.relay",
        "core_api.processes.ingest",
        "core_api.processes.broker_admin",
        "core_api.processes.webhooks",
        "event_server.commands.serve",
        "event_server.commands.gateway",
        *_LATE,
    ],
}
"""The modules to load; with a colon, a function to call, as it caches its result."""
_LIMITS: Final = 16
"""How many kinds of resource limits Linux has; their numbers begin at 0."""
_ANSWERS_WITHIN_S: Final = 60.0


class ForkServers:
    """Starts our commands by two fork servers: one for Core, and one for all others.

    A process is started by exec if it cannot be forked: another program, another user or folder,
    other variables of those that only a new interpreter reads, a system other than Linux. The first
    process of each server's kind is also started by exec, unless `load` was called: many programs
    start no second one, for which a fork server would be worth its start.

    Args:
        modules: the modules that may be run, as by `python -m`.
        from_first: whether the first process of a kind is forked, too, as more will follow.
    """

    def __init__(self, modules: Sequence[str] = (CLI,), *, from_first: bool = False) -> None:
        self._from_first = from_first
        self._ours = tuple([sys.executable, "-m", module] for module in modules)
        self._once = _read_once(os.environ)
        self._folder = Path.cwd()
        self._asked: Counter[ServerKind] = Counter()
        self._servers: dict[ServerKind, _Server] = {}
        self._lock = threading.Lock()

    def load(self) -> None:
        """Start the fork servers now, without waiting until they have loaded their modules."""
        with self._lock:
            if sys.platform == "linux":
                self._serving("other", os.environ)
                self._serving("core", {**os.environ, **_OF_CORE})

    def __call__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        stop_signal: signal.Signals,
        user: str | None,
    ) -> Child:
        """Start a process; the arguments are those of `deploy.processes.process.execute`.

        Raises:
            ProcessError: the fork server does not answer, or could not fork such a process.
        """
        whole = {**os.environ, **environment}
        kind = self._kind(_read_once(whole))
        if (
            kind is not None
            and list(command[:3]) in self._ours
            and user is None
            and Path.cwd() == self._folder
        ):
            with self._lock:
                self._asked[kind] += 1
                server = None
                if self._from_first or kind in self._servers or self._asked[kind] > 1:
                    server = self._serving(kind, whole)
                # If the modules cannot be loaded, the process itself reports that best.
                if server is not None and server.loads():
                    return server.fork(command[2:], whole, log, stop_signal)
        return execute(command, environment, log, stop_signal, user)

    def _kind(self, once: Mapping[str, str]) -> ServerKind | None:
        """The fork server that has these values of `_ONCE`; None: none has, so exec is needed."""
        if sys.platform != "linux":
            return None
        if once == self._once:
            return "other"
        return "core" if once == self._once | _OF_CORE else None

    def _serving(self, kind: ServerKind, environment: Mapping[str, str]) -> _Server:
        """The server of this kind; a new one if none runs."""
        server = self._servers.get(kind)
        if server is not None and not server.runs:
            server.close()
            server = None
        if server is None:
            server = self._servers[kind] = _Server(_LOADED[kind], environment)
        return server

    def close(self) -> None:
        """End the fork servers; the processes that they forked go on."""
        with self._lock:
            for server in self._servers.values():
                server.close()
            self._servers.clear()


class ForkedChild:
    """A child process that a fork server has forked. It has the methods of `Popen` that we use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        with self._lock:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not within `timeout` seconds.
        """
        with self._lock:
            descriptor = os.pidfd_open(self.pid) if self.returncode is None else None
        if descriptor is not None:
            try:
                ended = select.poll()
                ended.register(descriptor, select.POLLIN)
                ended.poll(None if timeout is None else max(timeout, 0) * 1000)
            finally:
                os.close(descriptor)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with self._lock:
            # A process that has ended keeps its id until its exit status is read, so no other
            # process can get the signal.
            if self.returncode is None:
                os.kill(self.pid, number)


class _Server:
    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._socket.settimeout(_ANSWERS_WITHIN_S)
        self._has_loaded = False
        program = [sys.executable, "-m", "deploy.local.forking.server"]
        with theirs:
            self._process = subprocess.Popen(
                [*program, str(theirs.fileno()), *modules],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def loads(self) -> bool:
        """Wait until it has loaded its modules; False: it has ended instead."""
        if not self._has_loaded:
            self._has_loaded = bool(self._answer())
        return self._has_loaded

    def fork(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        stop_signal: signal.Signals,
    ) -> ForkedChild:
        log.parent.mkdir(parents=True, exist_ok=True)
        wanted = {
            "command": list(command),
            "environment": dict(environment),
            "log": str(log.absolute()),
            "stop_signal": int(stop_signal),
            "parent": os.getpid(),
            "limits": [resource.getrlimit(limit) for limit in range(_LIMITS)],
        }
        request = json.dumps(wanted).encode()
        if len(request) > LARGEST_REQUEST:
            raise ProcessError(f"{len(request)} bytes are too long a request to a fork server")
        # Only for this moment: otherwise we would also get the orphans of other processes.
        _adopt_orphans(True)
        try:
            self._socket.send(request)
            answer = self._answer()
        except OSError as error:
            raise ProcessError(f"the fork server does not take requests: {error!r}") from error
        finally:
            _adopt_orphans(False)
        if not answer.isdigit():
            raise ProcessError(f"the fork server did not fork: {answer.decode() or 'it ended'}")
        return ForkedChild(int(answer))

    def _answer(self) -> bytes:
        try:
            return self._socket.recv(LARGEST_REQUEST)
        except ConnectionError:
            return b""
        except TimeoutError as error:
            # A late answer would be taken for the answer to the next request.
            self.close()
            raise ProcessError(f"the fork server does not answer: {error!r}") from error

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _adopt_orphans(adopt: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_ONCE)}
