"""The embedded PostgreSQL: keeps its data through kill and restart, and says what is wrong."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres, EmbeddedPostgresError
from deploy.processes.ports import PortTakenError, check_free


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may be let into, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="yabam-postgres-"))
    yield path
    shutil.rmtree(path)


async def test_data_outlives_a_kill(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data")
    server.start()
    try:
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        await connection.close()
        server.kill()
        server.start()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT n FROM kept") == 7
        await connection.close()
    finally:
        server.stop()


async def test_a_stop_cuts_clients_and_leaves_no_process(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", durable=False)
    server.start()
    connection = await asyncpg.connect(server.url)
    server.stop()
    assert server.process.exit_status == 0
    with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
        await connection.execute("SELECT 1")


def test_a_folder_that_is_no_database_is_named(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "letter.txt").write_text("not a database")
    with pytest.raises(EmbeddedPostgresError, match="data"):
        EmbeddedPostgres(folder / "data").start()
    assert (folder / "data" / "letter.txt").read_text() == "not a database"


def test_a_taken_port_says_how_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"Port {port}.*--port 1"):
            check_free(port, "--port 1")
