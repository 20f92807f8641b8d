"""An embedded PostgreSQL that can also be copied, promoted and shut down at once, for tests."""

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
    """One PostgreSQL server, with the operations that only tests and drills need."""

    def copy_to(self, data: Path, *, follows: bool = False) -> None:
        """Make a base backup into a folder, from which another server can be started.

        Args:
            data: the folder, which must not exist.
            follows: whether the other server becomes a standby, which streams from this one. Its
                `application_name` is the name of the folder.

        Raises:
            EmbeddedPostgresError: the backup failed.
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
        """Promote a standby, and return once it accepts writes.

        Raises:
            EmbeddedPostgresError: it was not promoted.
        """
        done = self._run("pg_ctl", "promote", "-D", str(self._data))
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"it was not promoted:\n{done.stderr.strip()}")

    def until_primary(self) -> None:
        """Wait until a recovery has ended by itself and the server accepts writes.

        Raises:
            EmbeddedPostgresError: the recovery has not ended within a minute.
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
        """Immediate shutdown, without a checkpoint: the next start recovers from the log."""
        self.process.signal(signal.SIGQUIT)
        self.process.wait(timeout_s=30.0)
