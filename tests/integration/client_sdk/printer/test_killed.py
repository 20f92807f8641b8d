"""Agent, printer and Core are killed at any moment: none is lost, none comes twice unmarked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from client_sdk.contract.channel import Channel
from core_api.access.callers import Caller
from core_api.wiring import token_keys
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.stack import Stack
from deploy.processes.ports import free_port
from tests.integration.core_service import KEYS, CoreService, bearer, new_store, token
from tests.parts import migrated_database
from tests.printer_kitchen import DEVICE, Child, Kitchen, prints_all_though_killed

TIMEOUT_S = 170


@pytest.fixture
async def core(postgres_server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Stack]:
    service = CoreService.start(await migrated_database(postgres_server), tmp_path / "core")
    yield service.stack
    service.stop()
    await service.client.aclose()


@pytest.fixture
async def kitchen(core: Stack, tmp_path: Path) -> AsyncIterator[Kitchen]:
    store, port = new_store(), free_port()
    device = Caller("printer", "device", device=Channel("device", store, DEVICE))
    of_device = token_keys({"local": KEYS.token}, "local").sign(device, 600)
    made = Kitchen(
        core.core_url,
        bearer(token("owner", store)),
        store,
        tmp_path,
        Child(
            ["-m", "tests.escpos_printer", str(port), str(tmp_path / "papers")],
            tmp_path / "sink.log",
        ),
        Child(
            [
                *("-m", "client_sdk.cli", "printer", "--sse", "--store", store),
                *("--device", DEVICE, "--to", f"socket://127.0.0.1:{port}"),
                *("--core", core.core_url, "--token", of_device),
                *("--journal", str(tmp_path / "journal")),
            ],
            tmp_path / "agent.log",
        ),
    )
    async with httpx.AsyncClient() as http:
        await made.route(http)
    await made.sink.start()
    await made.agent.start()
    yield made
    await made.agent.kill()
    await made.sink.kill()


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("seed", [1, 2])
async def test_every_ticket_comes_out_and_none_twice_unmarked(
    kitchen: Kitchen, core: Stack, seed: int
) -> None:
    def kill_core() -> None:
        core.core.kill()
        core.core.start()

    await prints_all_though_killed(kitchen, [kill_core], seed)


async def test_a_second_agent_takes_over_only_when_the_first_is_gone(kitchen: Kitchen) -> None:
    second = Child([*kitchen.agent.arguments], kitchen.folder / "second.log")
    second.arguments[-1] = str(kitchen.folder / "second.journal")
    async with httpx.AsyncClient(timeout=10) as http:
        await kitchen.order(http, "A-001")
        await kitchen.until(lambda: kitchen.copies("A-001") == (1, 0))
        # If it ended between the paper and its word to Core, the second would rightly repeat it.
        await kitchen.until_core_knows_all_done(http)
        await second.start()
        try:
            await kitchen.until(lambda: b"another agent" in second.log.read_bytes())
            assert kitchen.agent.process is not None
            await asyncio.to_thread(kitchen.agent.process.stop)
            await kitchen.order(http, "A-002")
            await kitchen.until(lambda: kitchen.copies("A-002") == (1, 0))
        finally:
            await second.kill()
    assert kitchen.copies("A-001") == (1, 0)
