"""A Core that may open few files: clients that keep their connections keep nobody out."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Addresses, Stack, free_ports
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from tests.integration.core_service import KEYS, new_store, token
from tests.parts import migrated_database

_FILES = 300
_CLIENTS = 2 * _FILES


async def test_everybody_is_answered_though_all_keep_their_connections(
    postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = await asyncio.to_thread(lambda: asyncio.run(migrated_database(postgres_server)))
    port, store = free_port(), new_store()
    settings = Stack(Addresses(database, "127.0.0.1:1", ports=free_ports()), KEYS, tmp_path)
    core = Process(
        "core",
        ["prlimit", f"--nofile={_FILES}", sys.executable, "-m", "client_sdk.cli", "core"],
        settings.environment | {"YABAM_CORE_PORT": str(port), "YABAM_MAX_WAITING": "100"},
        tmp_path / "core.log",
        f"http://127.0.0.1:{port}",
    )
    asked = (
        f"GET /v1/sync?channel=store:{store}&lastEventId=store:{store}@0 HTTP/1.1\r\n"
        f"host: x\r\nauthorization: Bearer {token('owner', store)}\r\n\r\n"
    ).encode()
    core.start()
    try:
        await asyncio.to_thread(core.wait_ready, 120)
        async with AsyncExitStack() as stack:
            readers = []
            for _ in range(_CLIENTS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(asked)
                async with asyncio.timeout(20):
                    assert b" 200 " in await reader.readline()
                readers.append(reader)
            async with asyncio.timeout(20):
                await asyncio.gather(*(reader.read() for reader in readers[: _FILES // 2]))
    finally:
        core.kill()
