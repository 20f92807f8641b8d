"""Gateways and a broker that are killed, frozen and robbed of their data, and a device that says
nonsense: nothing is lost, and nothing is applied twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from client_sdk.mqtt import BufferedOrderClient
from deploy.mqtt.server import MosquittoServer
from deploy.processes.ports import free_port
from deploy.processes.process import Process
from event_server.mqtt_gateway.rules.publications import orders_topic, state_topic
from server_common.devices.identity import Identity
from server_common.devices.messages import Outbound, decode_inbound, payload_of
from tests.forked import FORKED
from tests.integration.mqtt.gateways import Topics, watermarks
from tests.integration.mqtt.test_mqtt_client import (
    CHANNEL,
    QUICK,
    STORE,
    Consumer,
    World,
    connected,
)
from tests.mqtt_parts import (
    KeepingDevice,
    Register,
    administered,
    broker_for,
    broker_for_gateway,
    device,
    until,
)
from tests.wiping import wipe_mosquitto

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def terminal(register: Register) -> Identity:
    return register.put(STORE, "terminal-1")


@pytest.fixture
async def broker(
    mosquitto: MosquittoServer, register: Register, terminal: Identity
) -> AsyncIterator[MosquittoServer]:
    async with administered(mosquitto, register):
        yield mosquitto


class Fleet:
    """Gateways as processes."""

    def __init__(self, folder: Path, server: MosquittoServer, topics: Topics) -> None:
        self._folder = folder
        self._environment = {
            **server.settings,
            "YABAM_KAFKA": topics.bootstrap,
            "YABAM_EVENTS_TOPIC": topics.events,
            "YABAM_DEVICES_OUTBOUND_TOPIC": topics.outbound,
            "YABAM_DEVICES_INBOUND_TOPIC": topics.inbound,
            "YABAM_DEVICES_DLQ_TOPIC": topics.dead_letters,
            "YABAM_MQTT_GROUP": topics.read_by_gateways.group,
            "YABAM_TOKEN_KEYS": json.dumps({"k": "k" * 32}),
            "YABAM_CORE_TOKEN": "none",
            "YABAM_CORE_URL": "http://127.0.0.1:1",
        }
        self.processes: list[Process] = []

    async def start(self) -> Process:
        """One more that works."""
        port, name = free_port(), f"mqtt-{len(self.processes)}"
        one = Process(
            name,
            [sys.executable, "-m", "client_sdk.cli", "mqtt"],
            self._environment | {"YABAM_MQTT_PORT": str(port)},
            self._folder / f"{name}.log",
            f"http://127.0.0.1:{port}",
            starter=FORKED,
        )
        self.processes.append(one)
        one.start()
        await asyncio.to_thread(one.wait_ready, 60)
        return one

    def kill(self) -> None:
        """End all."""
        for one in self.processes:
            one.resume()
            one.kill()


@pytest.fixture
def fleet(tmp_path: Path, broker: MosquittoServer, topics: Topics) -> Iterator[Fleet]:
    one = Fleet(tmp_path, broker, topics)
    yield one
    one.kill()


@asynccontextmanager
async def ordering(topics: Topics, world: World) -> AsyncIterator[None]:
    """A restaurant: an order every 50 ms, which is in Core before it is in the log."""

    async def on_and_on() -> None:
        while True:
            world.head += 1
            await topics.orders(STORE, [world.head], world.epoch)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(on_and_on())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def seqs_of(heard: list[dict[str, int]]) -> list[int]:
    return [event["seq"] for event in heard]


async def restart(server: MosquittoServer, *, wipe: bool = False) -> None:
    server.kill()
    if wipe:
        wipe_mosquitto(server)
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def consuming(world: World, topics: Topics, terminal: Identity) -> AsyncIterator[Consumer]:
    """A program that follows what is ordered, for the time of a block."""
    async with (
        connected(world, terminal) as connection,
        BufferedOrderClient(
            "http://core", "token", [CHANNEL], connection, settings=QUICK,
            transport=httpx.MockTransport(world.answer),
        ) as client,
        watermarks(topics),
    ):  # fmt: skip
        consumer = Consumer(client)
        yield consumer
    await consumer.task


async def test_a_program_misses_nothing_whatever_becomes_of_broker_and_gateways(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    world = World(broker)
    world.epoch = "01EPOCH1"
    first = await fleet.start()
    async with consuming(world, topics, terminal) as consumer, AsyncExitStack() as ordering_now:
        await ordering_now.enter_async_context(ordering(topics, world))

        async def goes_on() -> None:
            """What is ordered from now on arrives."""
            head = world.head
            await until(lambda: consumer.seqs and consumer.seqs[-1] > head + 5, 90)

        await goes_on()
        await restart(broker)
        await goes_on()
        second = await fleet.start()
        first.kill()
        await goes_on()
        await restart(broker, wipe=True)
        await goes_on()
        third = await fleet.start()
        second.suspend()
        await goes_on()
        second.resume()
        broker.process.suspend()
        await goes_on()
        broker.process.resume()
        third.kill()
        await goes_on()
        await ordering_now.aclose()
        await until(lambda: consumer.seqs[-1] == world.head, 90)
        begin = consumer.seqs[0]
        assert consumer.seqs == list(range(begin, world.head + 1))


async def dies_again_and_again(broker: MosquittoServer) -> None:
    """Ten times, after a life of up to two seconds; once it has lost its data, too."""
    chance = random.Random(18)
    for number in range(10):
        await asyncio.sleep(chance.uniform(0, 2))
        await restart(broker, wipe=number == 6)


async def test_a_program_misses_nothing_while_the_broker_dies_again_and_again(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    world = World(broker)
    world.epoch = "01EPOCH1"
    await fleet.start()
    async with consuming(world, topics, terminal) as consumer:
        async with ordering(topics, world):
            await until(lambda: consumer.seqs, 60)
            await dies_again_and_again(broker)
        await until(lambda: consumer.seqs[-1] == world.head, 90)
        assert consumer.seqs == list(range(consumer.seqs[0], world.head + 1))


async def test_every_press_of_a_bell_is_answered_while_the_broker_dies_again_and_again(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    bell = KeepingDevice(broker_for(broker, terminal), terminal)
    await fleet.start()
    async with core_of(topics) as counted:
        running = asyncio.create_task(bell.run())
        deaths = asyncio.create_task(dies_again_and_again(broker))
        try:
            while not deaths.done():
                bell.say("event", name="bell")
                await asyncio.sleep(0.2)
            await deaths
            await until(lambda: not bell.waiting, 90)
            assert set(counted) == set(range(1, bell.said + 1))
        finally:
            deaths.cancel()
            running.cancel()
            await asyncio.gather(running, deaths, return_exceptions=True)


async def test_nothing_that_the_broker_has_not_acknowledged_is_lost_when_a_gateway_is_killed(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    world = World(broker)
    topic = orders_topic(STORE)
    async with device(broker_for(broker, terminal), topic) as one:
        for _ in range(3):
            running = await fleet.start()
            async with ordering(topics, world):
                head = world.head
                await until(lambda: set(seqs_of(one.on(topic))) >= {head + 1, head + 2}, 60)  # noqa: B023
                running.kill()
        await fleet.start()
        await until(lambda: set(seqs_of(one.on(topic))) == set(range(1, world.head + 1)), 60)


async def test_a_gateway_that_was_frozen_publishes_nothing_that_another_one_has_published(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    menu = state_topic(STORE, "menu")
    channel = f"public:{STORE}"
    frozen = await fleet.start()
    async with device(broker_for(broker, terminal), menu) as one:
        await topics.document(channel, 1, "menu", 1, {"n": 1})
        await until(lambda: one.on(menu))
        frozen.suspend()
        for version in range(2, 12):
            await topics.document(channel, version, "menu", version, {"n": version})
        await fleet.start()
        await until(lambda: one.on(menu)[-1]["version"] == 11, 60)
        heard = len(one.on(menu))
        frozen.resume()
        # It has found out that it lost its partitions once it is ready again, without them or with.
        await asyncio.to_thread(frozen.wait_ready, 60)
        await topics.document(channel, 12, "menu", 12, {"n": 12})
        await until(lambda: one.on(menu)[-1]["version"] == 12, 60)
        assert [told["version"] for told in one.on(menu)[heard:]] == [12]


@asynccontextmanager
async def core_of(topics: Topics) -> AsyncIterator[dict[int, int]]:
    """Core: it counts how often each press has come, and answers after that."""
    counted: dict[int, int] = {}
    consumer = AIOKafkaConsumer(
        topics.inbound, bootstrap_servers=topics.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()

    async def on_and_on() -> None:
        async for record in consumer:
            message = decode_inbound(record.value)
            if message.kind != "event":
                continue
            n = payload_of("event", message.payload).n  # type: ignore[union-attr]
            counted[n] = counted.get(n, 0) + 1
            outcome = "applied" if counted[n] == 1 else "repeated"
            await topics.answer(Outbound(message.store, message.device, 1, n, outcome))  # type: ignore[arg-type]

    task = asyncio.create_task(on_and_on())
    try:
        yield counted
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await consumer.stop()


async def test_every_press_of_a_bell_is_answered_whatever_becomes_of_broker_and_gateways(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    bell = KeepingDevice(broker_for(broker, terminal), terminal)
    first = await fleet.start()
    async with core_of(topics) as counted:
        running = asyncio.create_task(bell.run())

        async def press(times: int) -> None:
            for _ in range(times):
                bell.say("event", name="bell")
                await asyncio.sleep(0.02)

        try:
            await press(20)
            await until(lambda: not bell.waiting, 60)
            await press(10)
            first.kill()
            await press(10)
            second = await fleet.start()
            await until(lambda: not bell.waiting, 60)
            await press(5)
            await restart(broker, wipe=True)
            await press(5)
            await until(lambda: not bell.waiting, 90)
            second.suspend()
            await press(5)
            await fleet.start()
            await until(lambda: not bell.waiting, 90)
            second.resume()
            assert set(counted) == set(range(1, bell.said + 1))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_nonsense_and_floods_of_a_device_end_nothing(
    fleet: Fleet, broker: MosquittoServer, topics: Topics, terminal: Identity
) -> None:
    running = await fleet.start()
    own = f"yabam/v1/{STORE}/devices/terminal-1"
    nonsense = [b"", b"\0", b"{", b"[" * 10_000, b"\xff" * 1000, b'{"boot":1e99,"n":1}', b"null"]
    topic = orders_topic(STORE)
    async with (
        device(broker_for(broker, terminal), topic) as one,
        device(broker_for_gateway(broker), client_id="g"),
    ):
        sent = [
            one.connection.publish(f"{own}/{what}", payload)
            for what in ("results", "events", "received", "status", "snapshot", "telemetry/x")
            for payload in nonsense
        ]
        await asyncio.gather(*sent)
        await asyncio.gather(*(one.connection.publish(f"{own}/events", b"{") for _ in range(500)))
        await topics.orders(STORE, [1])
        await until(lambda: seqs_of(one.on(topic)) == [1])
        assert await asyncio.to_thread(running.is_ready)
    reasons = {letter["reason"] for letter in await topics.letters()}
    assert reasons == {"bad-json", "invalid", "too-large"}
