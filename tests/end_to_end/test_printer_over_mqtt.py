"""Tickets over MQTT through the whole system, while any part of it is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.postgres import EmbeddedPostgres
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import LOOPBACK, free_port
from deploy.processes.process import Process
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_restore import dump, in_place, yabam
from tests.integration.core_service import an_order, new_store
from tests.mqtt_parts import broker_of, until_it_connects_with
from tests.printer_kitchen import DEVICE, Child, Kitchen, prints_all_though_killed

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

TIMEOUT_S = 280


@pytest.fixture
async def kitchen(
    stack_with_devices: Installation, mosquitto: MosquittoServer, tmp_path: Path
) -> AsyncIterator[Kitchen]:
    """A printer whose agent knows nothing but the broker."""
    port, store = free_port(), new_store()
    owner = {"authorization": f"Bearer {stack_with_devices.token('owner', store)}"}
    async with httpx.AsyncClient(
        base_url=stack_with_devices.core_url, headers=owner, timeout=30
    ) as http:
        answer = await http.put(f"/v1/stores/{store}/devices/{DEVICE}", json={})
        user, password = answer.json()["user"], answer.json()["password"]
        made = Kitchen(
            stack_with_devices.core_url,
            owner,
            store,
            tmp_path,
            Child(
                ["-m", "tests.escpos_printer", str(port), str(tmp_path / "papers")],
                tmp_path / "sink.log",
            ),
            Child(
                [
                    *("-m", "client_sdk.cli", "printer", "--store", store, "--device", DEVICE),
                    *("--to", f"socket://{LOOPBACK}:{port}", "--user", user),
                    *("--mqtt", f"{LOOPBACK}:{mosquitto.tls_port}"),
                    *("--mqtt-ca", str(mosquitto.ca_file)),
                    *("--journal", str(tmp_path / "journal")),
                ],
                tmp_path / "agent.log",
                {"YABAM_DEVICE_PASSWORD": password},
            ),
        )
        await made.route(http)
    await until_it_connects_with(broker_of(mosquitto, user, password))
    await made.sink.start()
    await made.agent.start()
    yield made
    await made.agent.kill()
    await made.sink.kill()


@pytest.mark.timeout(TIMEOUT_S)
async def test_every_ticket_comes_out_and_none_twice_unmarked(
    kitchen: Kitchen, stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    gateway = next(one for one in stack_with_devices.processes if one.name == "mqtt")

    def again(process: Process | MosquittoServer) -> None:
        process.kill()
        process.start()

    killed: list[Process | MosquittoServer] = [
        stack_with_devices.core,
        stack_with_devices.ingest,
        gateway,
        mosquitto,
    ]
    await prints_all_though_killed(kitchen, [partial(again, one) for one in killed], seed=3)


async def test_what_became_of_a_ticket_is_shown_beside_its_order(kitchen: Kitchen) -> None:
    async with httpx.AsyncClient(
        base_url=kitchen.core_url, headers=kitchen.owner, timeout=30
    ) as http:
        await kitchen.order(http, "A-001")
        await kitchen.until(lambda: kitchen.copies("A-001") == (1, 0))
        answer = await http.get("/v1/sync", params={"channel": f"store:{kitchen.store}"})
        (order,) = answer.json()["channels"][0]["snapshot"]["orders"]
        while True:
            shown = await http.get(f"/v1/orders/{order['id']}/devices")
            (printer,) = shown.json()["printers"]
            if printer["state"] == "printed":
                break
    assert printer["device"] == DEVICE


async def test_after_a_restore_the_ticket_of_an_event_with_a_version_of_before_comes_out(
    kitchen: Kitchen, stack_with_devices: Installation, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """The agent's journal and the broker know a ticket of that order and version already."""
    stack = stack_with_devices
    database, dumped = stack.addresses.database, tmp_path / "dump"
    async with httpx.AsyncClient(
        base_url=kitchen.core_url, headers=kitchen.owner, timeout=30
    ) as http:

        async def ask(method: str, path: str, body: dict[str, Any]) -> Any:
            answer = await http.request(method, path, json=body)
            assert answer.status_code in (200, 201), answer.text
            return answer.json()

        async def accept(dish: str) -> int:
            """Give the order this dish and accept it, which prints; the version that prints."""
            items = [{"name": dish, "quantity": 1, "unit_price": 900}]
            await ask("PATCH", f"/v1/orders/{order}", {"items": items})
            accepted = await ask("POST", f"/v1/orders/{order}/transitions", {"to": "accepted"})
            return int(accepted["version"])

        await kitchen.route(http, "accepted", n=2)
        body = an_order(kitchen.store, reference="A-001")
        order = (await ask("POST", "/v1/orders", body))["id"]
        await asyncio.to_thread(dump, database, dumped)
        before = await accept("Tea")
        await kitchen.until(lambda: kitchen.copies("A-001") == (1, 0))

        for process in (stack.core, stack.relay, stack.ingest):
            await asyncio.to_thread(process.stop)
        await asyncio.to_thread(in_place, postgres, database, dumped)
        status, said = await asyncio.to_thread(yabam, stack, "db", "restore-check")
        assert (status, "was published" in said) == (0, True), said
        for process in (stack.core, stack.relay, stack.ingest):
            process.start()
        for process in (stack.core, stack.relay, stack.ingest):
            await asyncio.to_thread(process.wait_ready, 60)

        assert await accept("Stew") == before, "the version was given again"
        await kitchen.until(lambda: kitchen.copies("A-001") == (2, 0))
    assert ["Tea" in text for text in kitchen.papers] == [True, False]
    assert ["Stew" in text for text in kitchen.papers] == [False, True]
