"""An embedded PostgreSQL that can be copied, promoted and cut off, as only tests and drills do."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Final

from deploy.local.postgres import EmbeddedPostgres, EmbeddedPostgresError
from deploy.processes.ports import LOOPBACK

_PRIMARY_WITHIN_S: Final = 60.0


class DrilledPostgres(EmbeddedPostgres):
    """One PostgreSQL server, with what is done to it in tests."""

    def copy_to(self, data: Path, *, follows: bool = False) -> None:
        """Make a base backup into a folder, from which another server can be started.

        Args:
            data: a folder that is not there yet.
            follows: the other one is a standby of this one, which streams from it; it says its
                name, which is the folder's.

        Raises:
            EmbeddedPostgresError: it did not succeed.
        """
        data = data.absolute()
        data.mkdir(mode=0o700, parents=True)
        if self._user is not None:
            shutil.chown(data, self._user)
            self._let_through()
        source = f"host={LOOPBACK} port={self._port} user=postgres application_name={data.name}"
        more = ["--write-recovery-conf"] if follows else []
        done = self._run(
            "pg_basebackup", "-D", str(data), "-d", source, "--wal-method=stream",
            "--checkpoint=fast", "--no-sync", *more,
        )  # fmt: skip
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"the base backup failed:\n{done.stderr.strip()}")

    def promote(self) -> None:
        """Make a standby the primary, and return once it takes writes.

        Raises:
            EmbeddedPostgresError: it did not become one.
        """
        done = self._run("pg_ctl", "promote", "-D", str(self._data))
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"it was not promoted:\n{done.stderr.strip()}")

    def until_primary(self) -> None:
        """Return once it takes writes, after a recovery that ends by itself.

        Raises:
            EmbeddedPostgresError: it did not become the primary.
        """
        deadline = time.monotonic() + _PRIMARY_WITHIN_S
        while self._run(
            "psql", "-h", LOOPBACK, "-p", str(self._port), "-U", "postgres", "-Atc",
            "SELECT pg_is_in_recovery()",
        ).stdout.strip() != "f":  # fmt: skip
            if time.monotonic() > deadline or not self.process.running:
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not end its recovery:\n{self.process.log_tail()}"
                )
            time.sleep(0.05)

    def stop_at_once(self) -> None:
        """An immediate shutdown: no checkpoint, it recovers from its log at the next start."""
        self.process.signal(signal.SIGQUIT)
        self.process.wait(timeout_s=30.0)
