"""A real PgBouncer in front of a PostgreSQL, with the settings of `deploy/pgbouncer`."""

from __future__ import annotations

import configparser
import os
import shutil
from pathlib import Path
from typing import Final

from deploy.processes.ports import LOOPBACK, answers, free_port
from deploy.processes.process import Process

_RULES: Final = Path(__file__).parents[1] / "deploy" / "pgbouncer" / "pgbouncer.ini"
_USER_UNDER_ROOT: Final = "nobody"
"""PgBouncer refuses to run as root."""


class PgBouncer:
    """One PgBouncer in transaction mode.

    Args:
        folder: for its configuration and its log; other users must be able to enter it.
        database_url: the database that it forwards to; it accepts every client.
        connections: the size of its pool of connections to Postgres.
    """

    def __init__(self, folder: Path, database_url: str, connections: int) -> None:
        self.port = free_port()
        address, _, self._name = database_url.rpartition("/")
        self._behind = address.rpartition(":")[2]
        self._connections = connections
        self._file = folder / "pgbouncer.ini"
        program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program is not None, "pgbouncer is needed: make tools"
        self.process = Process(
            "PgBouncer",
            [program, str(self._file)],
            {},
            folder / "pgbouncer.log",
            None,
            user=_USER_UNDER_ROOT if os.geteuid() == 0 else None,
        )

    @property
    def url(self) -> str:
        """`postgresql://…` of the database through PgBouncer."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{self._name}"

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        rules = configparser.ConfigParser(interpolation=None)
        rules.read(_RULES)
        entry = rules["databases"].pop("yabam")
        entry = entry.replace("host=postgres", f"host={LOOPBACK}")
        entry = entry.replace("port=5432", f"port={self._behind}")
        rules["databases"][self._name] = entry.replace("dbname=yabam", f"dbname={self._name}")
        own = rules["pgbouncer"]
        del own["auth_file"]
        own["auth_type"] = "any"
        rules["databases"][self._name] += " user=postgres"
        own["listen_addr"], own["listen_port"] = LOOPBACK, str(self.port)
        own["unix_socket_dir"] = ""
        own["default_pool_size"] = str(self._connections)
        with self._file.open("w") as file:
            rules.write(file)
        self.process.start()
        while not answers(self.port):
            assert self.process.running, self.process.log_tail()

    def stop(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
