"""A ticket on its way through the whole system: order, log, Kafka, stream, agent, terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from client_sdk import Item, OrderProducer
from deploy.local.kitchen import PRINTER, STORE, set_up_kitchen
from tests.children import child
from tests.end_to_end.conftest import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]


@asynccontextmanager
async def printing(
    stack: Installation, user: str, password: str, folder: Path
) -> AsyncIterator[asyncio.StreamReader]:
    """`yabam printer` on a terminal, as a device that signs in by its password; what it shows."""
    async with child(
        *(sys.executable, "-m", "client_sdk.cli", "printer", "--sse", "--store", STORE),
        *("--device", PRINTER, "--to", "stdout", "--core", stack.core_url, "--user", user),
        *("--journal", str(folder / "journal")),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "YABAM_DEVICE_PASSWORD": password},
    ) as process:
        assert process.stdout is not None
        yield process.stdout


async def test_an_order_is_shown_as_a_ticket_by_the_stream(
    stack: Installation, tmp_path: Path
) -> None:
    owner = stack.token("owner", STORE)
    await set_up_kitchen(stack.core_url, owner)
    async with httpx.AsyncClient(base_url=stack.core_url) as http:
        registered = await http.put(
            f"/v1/stores/{STORE}/devices/{PRINTER}",
            json={},
            headers={"authorization": f"Bearer {owner}"},
        )
    device = registered.json()
    async with (
        printing(stack, device["user"], device["password"], tmp_path) as shown,
        OrderProducer(stack.core_url, owner) as producer,
    ):
        for table in ("7", "8"):
            await producer.place(STORE, [Item("비빔밥", 2, 9500)], currency="KRW", table_id=table)
            async with asyncio.timeout(60):
                lines = [(await shown.readline()).decode().rstrip("\n") for _ in range(6)]
            assert lines[0] == f"테이블 {table}"
            assert lines[3] == "2   비빔밥"
