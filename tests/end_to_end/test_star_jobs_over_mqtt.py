"""A Star printer whose jobs go over MQTT (*Full MQTT*), through the whole system."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from PIL import Image

from client_sdk import Item, OrderProducer
from core_api.broker_admin.rights import GATEWAY_USER
from deploy.asyncapi.document import document
from deploy.kafka.server import KafkaServer
from deploy.mqtt.server import MosquittoServer
from server_common.mqtt.broker import MqttError
from tests.asyncapi import STAR, Judge
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_asyncapi import records
from tests.mqtt_parts import Device, broker_of, device, until
from tests.star_mqtt_printer import FullMqttPrinter
from tests.star_printer import StarPrinter

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

STORE, DEVICE = "1", "star-1"
TOPICS = {
    "devicesInbound": "YABAM_DEVICES_INBOUND_TOPIC",
    "devicesOutbound": "YABAM_DEVICES_OUTBOUND_TOPIC",
}


@pytest.fixture(scope="module")
def star_mode() -> str:
    """How Star printers take their jobs."""
    return "full"


class Kitchen:
    """A store with one Star printer."""

    def __init__(self, owner: httpx.AsyncClient, printer: FullMqttPrinter) -> None:
        self.owner = owner
        self.printer = printer
        self.star = printer.printer
        self.lost_by: list[str] = []
        """Why its connections ended, or were not opened."""
        self.has_network = asyncio.Event()
        self.has_network.set()

    async def run(self) -> None:
        """Be a printer that connects again until the broker lets it in."""
        while True:
            await self.has_network.wait()
            try:
                await self.printer.run()
            except (httpx.HTTPError, OSError, MqttError) as error:
                self.lost_by.append(repr(error))
            await asyncio.sleep(0.2)

    async def until_it_is(self, **said: Any) -> None:
        """Return once the printer's document says this."""
        where = {"channel": f"device:{STORE}/{DEVICE}", "key": "status"}
        async with asyncio.timeout(60):
            while True:
                answer = await self.owner.get("/v1/documents", params=where)
                if answer.status_code == 200 and said.items() <= answer.json()["value"].items():
                    return
                await asyncio.sleep(0.1)

    async def until_papers(self, count: int, within_s: float = 60.0) -> None:
        """Return once so many tickets have come out."""
        try:
            await until(lambda: len(self.star.papers) == count, within_s)
        except TimeoutError:
            heard = [(message.topic, message.payload[:300]) for message in self.printer.heard]
            where = {"channel": f"device:{STORE}/{DEVICE}"}
            known = (await self.owner.get("/v1/sync", params=where)).text
            pytest.fail(
                f"{len(self.star.papers)} tickets. The printer heard {heard}. Its connections: "
                f"{self.lost_by}, open {self.printer._connection is not None}. Core: {known}"
            )

    async def until_all_is_printed(self) -> None:
        """Return once Core knows the outcome of each ticket."""
        where = {"channel": f"device:{STORE}/{DEVICE}"}
        async with asyncio.timeout(60):
            while True:
                answer = (await self.owner.get("/v1/sync", params=where)).json()
                documents = answer["channels"][0]["snapshot"]["documents"]
                jobs = [one["value"] for one in documents if one["key"].startswith("print.")]
                if all(job["state"] == "done" for job in jobs if job):
                    return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def a_kitchen(
    stack: Installation, broker: MosquittoServer, media: str, supports: tuple[str, ...]
) -> AsyncIterator[Kitchen]:
    headers = {"authorization": f"Bearer {stack.token('owner', STORE)}"}
    async with (
        httpx.AsyncClient(base_url=stack.core_url, headers=headers, timeout=30) as owner,
        httpx.AsyncClient(timeout=30) as http,
    ):
        routing = {"statuses": ["placed"], "media": media, "language": "en"}
        do = {"set": {"printers": {DEVICE: routing}}}
        where = {"channel": f"team:{STORE}", "key": "printing"}
        known = await owner.get("/v1/documents", params=where)
        base = known.json()["version"] if known.status_code == 200 else 0
        edits = [{"n": 1, **where, "base": base, "do": do}]
        edited = await owner.post("/v1/edits", json={"client": uuid.uuid4().hex, "edits": edits})
        assert edited.json()["outcomes"][0]["outcome"] == "applied", edited.text
        wanted = {"rotate": True}
        made = (await owner.put(f"/v1/stores/{STORE}/devices/{DEVICE}", json=wanted)).json()
        url = f"{stack.core_url}/cloudprnt/{made['user']}.{made['password']}/printer"
        star = StarPrinter(url, http, supports=supports)
        kitchen = Kitchen(owner, FullMqttPrinter(star, str(broker.ca_file), "; ".join(supports)))
        task = asyncio.create_task(kitchen.run())
        try:
            yield kitchen
            # A job of which no word comes is in doubt for a minute, and the next test's waits.
            await kitchen.until_all_is_printed()
            # Nor may it seem to be there still: the next test's job would be sent to nobody.
            if kitchen.has_network.is_set():
                kitchen.has_network.clear()
                kitchen.printer.lose_connection()
                await kitchen.until_it_is(online=False)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def has_said(listener: Device, word: str) -> bool:
    """Whether a printer was heard to say this."""
    return any(message.topic.endswith(f"/{word}") for message in listener.heard)


@pytest.mark.timeout(240)
async def test_each_ticket_comes_out_once_through_troubles_and_lost_connections(
    stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    async with (
        a_kitchen(stack_with_devices, mosquitto, "text", ("text/plain",)) as kitchen,
        OrderProducer(
            stack_with_devices.core_url, stack_with_devices.token("owner", STORE)
        ) as producer,
    ):
        papers = kitchen.star.papers

        async def order(table: str) -> None:
            await producer.place(STORE, [Item("김밥", 1, 9500)], currency="KRW", table_id=table)

        await order("71")
        await kitchen.until_papers(1)
        assert papers[0][0] == "text/plain"
        text = papers[0][1].decode()
        assert "71" in text
        assert "김밥" in text

        await kitchen.printer.becomes("420 Cover open")
        await kitchen.until_it_is(online=True, troubles=["cover open"])
        await order("72")
        await kitchen.printer.becomes("410 Paper out")
        await kitchen.until_it_is(online=True, troubles=["paper end"])
        assert len(papers) == 1
        await kitchen.printer.becomes("200 OK")
        await kitchen.until_papers(2)
        assert b"72" in papers[1][1]
        # The paper comes out before the printer says so.
        await kitchen.until_all_is_printed()

        # The broker publishes its will; it comes back, and what was ordered meanwhile comes out.
        kitchen.has_network.clear()
        kitchen.printer.lose_connection()
        await kitchen.until_it_is(online=False)
        await order("73")
        kitchen.has_network.set()
        await kitchen.until_papers(3)
        assert b"73" in papers[2][1]

        await kitchen.until_all_is_printed()
        mosquitto.kill()
        await order("74")
        mosquitto.start()
        await kitchen.until_papers(4, 90)
        assert b"74" in papers[3][1]
        assert not any(b"REPEAT" in paper for _, paper in papers)
        assert kitchen.printer.refused == 0


@pytest.mark.timeout(300)
async def test_no_ticket_is_lost_while_the_broker_dies_again_and_again(
    stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    chance = random.Random(18)
    tables = [f"north-{number}" for number in range(81, 89)]
    async with (
        a_kitchen(stack_with_devices, mosquitto, "text", ("text/plain",)) as kitchen,
        OrderProducer(
            stack_with_devices.core_url, stack_with_devices.token("owner", STORE)
        ) as producer,
    ):

        def missing() -> list[str]:
            papers = [paper.decode() for _, paper in kitchen.star.papers]
            return [table for table in tables if not any(table in paper for paper in papers)]

        for table in tables:
            await producer.place(STORE, [Item("김밥", 1, 9500)], currency="KRW", table_id=table)
            # It dies anywhere on the ticket's way.
            await asyncio.sleep(chance.uniform(0, 1.5))
            mosquitto.kill()
            await asyncio.to_thread(mosquitto.start)
        with contextlib.suppress(TimeoutError):
            await until(lambda: not missing(), 120)
        assert missing() == []
        await kitchen.until_all_is_printed()


@pytest.mark.timeout(240)
async def test_all_that_is_said_is_as_the_asyncapi_document_has_it(
    stack_with_devices: Installation, mosquitto: MosquittoServer, kafka: KafkaServer
) -> None:
    judge = Judge(document())
    gateway = broker_of(mosquitto, GATEWAY_USER, mosquitto.password_of_gateway)
    async with (
        device(gateway, "star/cloudprnt/to-server/#", client_id="listener") as listener,
        a_kitchen(stack_with_devices, mosquitto, "text", ("text/plain",)) as kitchen,
        OrderProducer(
            stack_with_devices.core_url, stack_with_devices.token("owner", STORE)
        ) as producer,
    ):
        await producer.place(STORE, [Item("김밥", 1, 9500)], currency="KRW", table_id="76")
        await kitchen.until_papers(1)
        # The paper comes out before the printer says so.
        await kitchen.until_all_is_printed()
        kitchen.has_network.clear()
        kitchen.printer.lose_connection()
        await kitchen.until_it_is(online=False)
        for word in ("print-result", "client-will"):
            # Core may know before this other subscriber does.
            await until(partial(has_said, listener, word), 60)
        for message in [*listener.heard, *kitchen.printer.heard]:
            judge.judge_mqtt(message.topic, message.payload)
    for channel, setting in TOPICS.items():
        for record in await records(kafka.bootstrap, stack_with_devices.environment[setting]):
            judge.judge(channel, json.loads(record.value))
    assert judge.seen >= STAR


@pytest.mark.timeout(240)
async def test_a_picture_comes_out_of_a_printer_that_names_pictures(
    stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    async with (
        a_kitchen(stack_with_devices, mosquitto, "picture", ("image/png",)) as kitchen,
        OrderProducer(
            stack_with_devices.core_url, stack_with_devices.token("owner", STORE)
        ) as producer,
    ):
        await producer.place(STORE, [Item("김밥", 1, 9500)], currency="KRW", table_id="75")
        await kitchen.until_papers(1)
        ((media, paper),) = kitchen.star.papers
        assert media == "image/png"
        assert Image.open(io.BytesIO(paper)).size[0] == 42 * 12
