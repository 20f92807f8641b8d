"""A Star printer that is asked to poll over MQTT (*Trigger POST*), with the whole system."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from client_sdk import Item, OrderProducer
from deploy.mqtt.server import MosquittoServer
from server_common.mqtt.broker import MqttError
from tests.end_to_end.conftest import Installation
from tests.mqtt_parts import until
from tests.star_printer import StarPrinter, TriggeredPrinter

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

STORE, DEVICE = "1", "star-1"
ROUTING = {"printers": {DEVICE: {"statuses": ["placed"], "media": "text", "language": "en"}}}


@pytest.fixture
async def owner(stack_with_devices: Installation) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {stack_with_devices.token('owner', STORE)}"}
    async with httpx.AsyncClient(
        base_url=stack_with_devices.core_url, headers=headers, timeout=30
    ) as client:
        yield client


async def connected(printer: TriggeredPrinter) -> None:
    """Be a printer that connects again until the broker lets it in."""
    while True:
        with contextlib.suppress(httpx.HTTPError, OSError, MqttError):
            await printer.run()
        await asyncio.sleep(0.2)


async def until_it_says(owner: httpx.AsyncClient, trouble: str) -> None:
    """Return once the printer's document tells of this trouble alone."""
    where = {"channel": f"device:{STORE}/{DEVICE}", "key": "status"}
    async with asyncio.timeout(60):
        while True:
            answer = await owner.get("/v1/documents", params=where)
            if answer.status_code == 200 and answer.json()["value"]["troubles"] == [trouble]:
                return
            await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_a_printer_is_called_for_each_ticket_and_prints_it_once(
    stack_with_devices: Installation, owner: httpx.AsyncClient, mosquitto: MosquittoServer
) -> None:
    edit = {"n": 1, "channel": f"team:{STORE}", "key": "printing", "do": {"set": ROUTING}}
    await owner.post("/v1/edits", json={"client": "c", "edits": [edit]})
    made = (await owner.put(f"/v1/stores/{STORE}/devices/{DEVICE}", json={})).json()
    url = f"{stack_with_devices.core_url}/cloudprnt/{made['user']}.{made['password']}/printer"
    async with (
        httpx.AsyncClient(timeout=30) as http,
        OrderProducer(
            stack_with_devices.core_url, stack_with_devices.token("owner", STORE)
        ) as producer,
    ):
        star = StarPrinter(url, http, supports=("text/plain",))
        printer = TriggeredPrinter(star, str(mosquitto.ca_file))
        task = asyncio.create_task(connected(printer))

        async def order(table: str) -> None:
            await producer.place(STORE, [Item("Bibimbap", 1, 9500)], currency="KRW", table_id=table)

        try:
            await order("7")
            await until(lambda: len(star.papers) == 1 or task.done(), 60)
            assert b"7" in star.papers[0][1]

            star.code = "420 Cover open"
            await order("8")
            await until_it_says(owner, "cover open")
            assert len(star.papers) == 1
            star.code = "410 Paper out"
            await until_it_says(owner, "paper end")
            star.code = "200 OK"
            await until(lambda: len(star.papers) == 2 or task.done(), 60)
            assert b"8" in star.papers[1][1]

            # It is called on, whether or not there is something to print: nothing comes twice.
            calls = printer.calls
            await until(lambda: printer.calls >= calls + 2 or task.done(), 60)
            assert len(star.papers) == 2
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
