"""A Star printer whose jobs go over MQTT, while it, the gateway and the broker are killed."""

from __future__ import annotations

import json

import asyncpg
import pytest

from client_sdk import Item, OrderProducer
from core_api.broker_admin.rights import GATEWAY_USER
from deploy.mqtt.server import MosquittoServer
from deploy.processes.process import Process
from tests.end_to_end.conftest import Installation
from tests.end_to_end.test_star_jobs_over_mqtt import DEVICE, STORE, Kitchen, a_kitchen
from tests.mqtt_parts import broker_of, device, until
from tests.star_printer import MAC
from tests.wiping import wipe_mosquitto

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka-devices")]

TEXT = ("text/plain",)
TABLE = "garden-"


@pytest.fixture(scope="module")
def star_mode() -> str:
    """How Star printers take their jobs."""
    return "full"


async def order(stack: Installation, table: str) -> None:
    async with OrderProducer(stack.core_url, stack.token("owner", STORE)) as producer:
        await producer.place(STORE, [Item("김밥", 1, 9500)], currency="KRW", table_id=TABLE + table)


async def pass_a_minute(stack: Installation) -> None:
    """As if the jobs had been as they are for so long."""
    connection = await asyncpg.connect(stack.addresses.database)
    try:
        await connection.execute(
            "UPDATE documents SET made_at = made_at - interval '61 s' "
            "WHERE channel = $1 AND key LIKE 'print.%'",
            f"device:{STORE}/{DEVICE}",
        )
    finally:
        await connection.close()


def gateway_of(stack: Installation) -> Process:
    (found,) = [one for one in stack.processes if one.name == "mqtt"]
    return found


def tables(kitchen: Kitchen) -> list[tuple[str, bool]]:
    """What came out: the table of each ticket, and whether it is marked as a repeat."""
    papers = [paper.decode() for _, paper in kitchen.star.papers]
    return [(f"8{text.partition(TABLE + '8')[2][:1]}", "REPEAT" in text) for text in papers]


@pytest.mark.timeout(300)
async def test_no_ticket_is_lost_and_none_comes_twice_unmarked(
    stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    stack = stack_with_devices
    async with a_kitchen(stack, mosquitto, "text", TEXT) as kitchen:
        printer, star = kitchen.printer, kitchen.star

        # It loses its power between the paper and its result, and what it knew.
        printer.loses_results = 1
        await order(stack, "81")
        await until(lambda: len(star.papers) == 1, 60)
        kitchen.has_network.clear()
        printer.switch_off_and_on()
        await kitchen.until_it_is(online=False)
        kitchen.has_network.set()
        await kitchen.until_it_is(online=True)
        assert tables(kitchen) == [("81", False)]
        await pass_a_minute(stack)
        await until(lambda: len(star.papers) == 2, 60)
        assert tables(kitchen)[1] == ("81", True)
        await kitchen.until_all_is_printed()

        # It says each result three times, and those of before again while the next one is printed.
        printer.says_results = 3
        before = [json.loads(one.payload) for one in printer.heard if "print-job" in one.topic]
        await order(stack, "82")
        for job in before:
            await printer.says_again(job["jobToken"])
        await order(stack, "83")
        await until(lambda: len(star.papers) == 4, 60)
        await kitchen.until_all_is_printed()
        printer.says_results = 1

        # The gateway dies with a job under way; the broker loses all that it had.
        printer.loses_results = 1
        await order(stack, "84")
        await until(lambda: len(star.papers) == 5, 60)
        gateway = gateway_of(stack)
        gateway.kill()
        mosquitto.kill()
        wipe_mosquitto(mosquitto)
        await order(stack, "85")
        mosquitto.start()
        gateway.start()
        await pass_a_minute(stack)
        await until(lambda: len(star.papers) == 7, 90)
        await kitchen.until_all_is_printed()

        # Its cover is opened in the middle of a job, and closed again.
        printer.trouble_at_next_job = "420 Cover open"
        await order(stack, "86")
        await kitchen.until_it_is(troubles=["cover open"])
        await printer.becomes("200 OK")
        await until(lambda: len(star.papers) == 8, 60)
        await kitchen.until_all_is_printed()
        assert tables(kitchen) == [
            ("81", False), ("81", True), ("82", False), ("83", False), ("84", False), ("84", True),
            ("85", False), ("86", True),
        ]  # fmt: skip


@pytest.mark.timeout(120)
async def test_a_job_that_comes_twice_is_printed_once(
    stack_with_devices: Installation, mosquitto: MosquittoServer
) -> None:
    gateway = broker_of(mosquitto, GATEWAY_USER, mosquitto.password_of_gateway)
    async with (
        a_kitchen(stack_with_devices, mosquitto, "text", TEXT) as kitchen,
        device(gateway, client_id="doubled") as twin,
    ):
        await order(stack_with_devices, "87")
        await until(lambda: kitchen.star.papers, 60)
        (job,) = [one for one in kitchen.printer.heard if one.topic.endswith("print-job")]
        await twin.connection.publish(f"star/cloudprnt/to-device/{MAC}/print-job", job.payload)
        await until(lambda: kitchen.printer.refused == 1)
        await kitchen.until_all_is_printed()
        assert len(kitchen.star.papers) == 1
