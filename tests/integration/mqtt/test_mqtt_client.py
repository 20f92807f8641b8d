"""Orders over a real broker: every event once and in order, whatever becomes of the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import msgspec
import pytest

from client_sdk import FileCursors, OrderEvent, Reset, UnauthorizedError
from client_sdk.buffered.messages import BufferedSettings
from client_sdk.contract.sync import Snapshot
from client_sdk.mqtt import BufferedOrderClient, MqttConnection, MqttSettings
from deploy.mqtt.server import MosquittoServer
from event_server.mqtt_gateway.rules.publications import (
    Publication,
    mark_of,
    orders_topic,
    with_epoch,
)
from server_common.devices.identity import Identity
from tests.mqtt_parts import (
    DEVICE_KEYS,
    Device,
    Register,
    administered,
    broker_for_gateway,
    device,
    until,
)
from tests.unit.client_sdk.samples import channel_sync, event, order, sync_response

QUICK = MqttSettings(
    BufferedSettings(overlap_window=0.1, subscribe_timeout=3.0),
    behind=0.5,
    silent=2.0,
    poll=0.2,
    backoff_first=0.1,
    backoff_most=0.5,
)
PATIENT = MqttSettings(QUICK.start, behind=0.5, silent=600.0)
"""It polls for nobody, so what is not pushed does not come."""
CHANNEL, STORE = "store:12", "12"


class World:
    """A log, Fetch Sync over it, and the gateway that publishes it."""

    def __init__(self, server: MosquittoServer) -> None:
        self.server = server
        self.epoch = "01A"
        self.head = 0
        self.syncs = 0
        self.is_away = False
        self.refuses = False
        self._gateway: Device | None = None

    async def commit(self, count: int = 1, *, publish: bool = True) -> None:
        """Events that Core has; they are pushed, unless they are to get lost."""
        for _ in range(count):
            self.head += 1
            if publish:
                await self.push(self.head)

    async def push(self, seq: int, epoch: str | None = None) -> None:
        """Publish an event, as often as the test wants."""
        line = with_epoch(msgspec.json.encode(event(seq)), epoch or self.epoch)
        await self.publish(Publication(orders_topic(STORE), line))

    async def mark(self) -> None:
        """Publish a mark."""
        await self.publish(mark_of(STORE, self.epoch, time.time(), {CHANNEL: self.head}))

    async def publish(self, publication: Publication) -> None:
        assert self._gateway is not None
        await self._gateway.connection.publish(publication.topic, publication.payload)

    def restore(self) -> None:
        """The database went back: a new epoch, with one order in it."""
        self.epoch, self.head = "01B", 1

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Fetch Sync."""
        self.syncs += 1
        if self.is_away:
            raise httpx.ConnectError("away")
        if self.refuses:
            return httpx.Response(401, json={"type": "about:blank", "title": "no", "status": 401})
        asked = request.url.params
        position = int(asked["lastEventId"].rpartition("@")[2]) if "lastEventId" in asked else None
        if position is None or asked.get("epoch", self.epoch) != self.epoch:
            reason: Any = "first_sync" if position is None else "epoch"
            snapshot = Snapshot(self.head, [order(f"order-{self.head}")])
            channel = channel_sync(head=self.head, reset=reason, snapshot=snapshot)
        else:
            channel = channel_sync(
                [event(n) for n in range(position + 1, self.head + 1)], head=self.head
            )
        answer = sync_response(channel, epoch=self.epoch)
        return httpx.Response(200, content=msgspec.json.encode(answer))

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """The gateway is connected."""
        async with device(broker_for_gateway(self.server), client_id="gateway") as one:
            self._gateway = one
            yield
        self._gateway = None

    @asynccontextmanager
    async def marking(self, every_s: float = 0.3) -> AsyncIterator[None]:
        """The gateway marks."""

        async def on_and_on() -> None:
            while True:
                await self.mark()
                await asyncio.sleep(every_s)

        task = asyncio.create_task(on_and_on())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Consumer:
    """A program that follows the store."""

    def __init__(self, client: BufferedOrderClient) -> None:
        self.client = client
        self.changes: list[Any] = []
        self.task = asyncio.create_task(self._consume())

    @property
    def seqs(self) -> list[int]:
        return [c.seq if isinstance(c, OrderEvent) else c.head for c in self.changes]

    async def _consume(self) -> None:
        async for change in self.client.events():
            self.changes.append(change)


@pytest.fixture
async def world(
    mosquitto: MosquittoServer, register: Register, terminal: Identity
) -> AsyncIterator[World]:
    async with administered(mosquitto, register):
        one = World(mosquitto)
        async with one.publishing():
            yield one


@pytest.fixture
def terminal(register: Register) -> Identity:
    return register.put(STORE, "terminal-1")


@asynccontextmanager
async def connected(world: World, identity: Identity) -> AsyncIterator[MqttConnection]:
    password = DEVICE_KEYS.password(identity, "k1")
    async with MqttConnection(
        "127.0.0.1", world.server.port, user=identity.user, password=password, tls=False
    ) as connection:
        yield connection


@asynccontextmanager
async def following(
    world: World, connection: MqttConnection, settings: MqttSettings = QUICK, **more: Any
) -> AsyncIterator[Consumer]:
    transport = httpx.MockTransport(world.answer)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            BufferedOrderClient(
                "http://core", "token", [CHANNEL], connection,
                settings=settings, transport=transport, **more,
            )
        )  # fmt: skip
        consumer = Consumer(client)
        yield consumer
    await consumer.task


async def test_it_starts_with_a_snapshot_and_goes_on_live(world: World, terminal: Identity) -> None:
    world.head = 3
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.commit(5)
        await until(lambda: len(consumer.changes) == 6)
        assert isinstance(consumer.changes[0], Reset)
        assert consumer.seqs == [3, 4, 5, 6, 7, 8]


async def test_over_tls_it_is_the_same(world: World, terminal: Identity) -> None:
    connection = MqttConnection(
        "localhost", world.server.tls_port, user=terminal.user,
        password=DEVICE_KEYS.password(terminal, "k1"), ca_file=str(world.server.ca_file),
    )  # fmt: skip
    async with connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.commit()
        await until(lambda: consumer.seqs == [0, 1])


async def test_what_is_pushed_during_the_start_is_handed_on_once(
    world: World, terminal: Identity
) -> None:
    async with (
        connected(world, terminal) as connection,
        following(world, connection) as consumer,
    ):
        await world.commit(50)
        await until(lambda: consumer.seqs and consumer.seqs[-1] == 50)
        assert consumer.seqs[1:] == list(range(consumer.seqs[0] + 1, 51))


async def test_an_event_that_comes_twice_is_handed_on_once(
    world: World, terminal: Identity
) -> None:
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.commit()
        await world.push(1)
        await world.commit()
        await until(lambda: consumer.seqs == [0, 1, 2])


async def test_an_event_that_the_broker_dropped_is_found_by_the_next_one(
    world: World, terminal: Identity
) -> None:
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.commit(publish=False)
        await world.commit()
        await until(lambda: consumer.seqs == [0, 1, 2])


async def test_the_last_event_that_the_broker_dropped_is_found_by_a_mark(
    world: World, terminal: Identity
) -> None:
    async with (
        connected(world, terminal) as connection,
        following(world, connection, PATIENT) as consumer,
    ):
        await until(lambda: consumer.client.mode == "live")
        await world.commit(publish=False)
        await world.mark()
        await until(lambda: consumer.seqs == [0, 1])


async def test_a_head_that_has_come_brings_no_sync(world: World, terminal: Identity) -> None:
    async with (
        connected(world, terminal) as connection,
        following(world, connection) as consumer,
        world.marking(),
    ):
        await until(lambda: consumer.client.mode == "live")
        syncs = world.syncs
        await world.commit(3)
        await until(lambda: len(consumer.seqs) == 4)
        await world.mark()
        await world.commit()
        await until(lambda: len(consumer.seqs) == 5)
        assert world.syncs == syncs


async def test_without_marks_it_polls_and_with_marks_it_is_live_again(
    world: World, terminal: Identity
) -> None:
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "polling")
        await world.commit(publish=False)
        await until(lambda: consumer.seqs == [0, 1])
        async with world.marking():
            await until(lambda: consumer.client.mode == "live")


async def test_another_epoch_in_a_mark_means_a_new_start(world: World, terminal: Identity) -> None:
    world.head = 9
    async with (
        connected(world, terminal) as connection,
        following(world, connection) as consumer,
        world.marking(),
    ):
        await until(lambda: consumer.client.mode == "live")
        world.restore()
        await until(lambda: consumer.seqs == [9, 1])
        assert consumer.changes[-1].reason == "epoch"
        await world.commit()
        await until(lambda: consumer.seqs == [9, 1, 2])
        checkpoint = consumer.client.checkpoint
        assert checkpoint is not None
        await until(lambda: (consumer.client.checkpoint or checkpoint).positions == {CHANNEL: 2})
        assert (consumer.client.checkpoint or checkpoint).epoch == "01B"


async def test_an_event_of_an_epoch_that_is_over_is_not_applied(
    world: World, terminal: Identity
) -> None:
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.push(1, epoch="000")
        await world.commit(2)
        await until(lambda: consumer.seqs == [0, 1, 2])


@pytest.mark.parametrize("fault", ["kill", "suspend"])
async def test_while_the_broker_is_away_it_polls_and_then_goes_on_live(
    fault: str, world: World, terminal: Identity
) -> None:
    async with connected(world, terminal) as connection, following(world, connection) as consumer:
        await until(lambda: consumer.client.mode == "live")
        await world.commit()
        await until(lambda: consumer.seqs == [0, 1])
        getattr(world.server.process, fault)()
        world.head = 2  # nobody can push it
        await until(lambda: consumer.seqs == [0, 1, 2], 60)
        assert consumer.client.mode == "polling"
        world.server.process.resume()
        if fault == "kill":
            world.server.start()
        async with world.publishing(), world.marking():
            await until(lambda: consumer.client.mode == "live", 60)
            await world.commit(3)
            await until(lambda: consumer.seqs == [0, 1, 2, 3, 4, 5], 60)


async def test_while_core_is_away_what_is_pushed_goes_on(world: World, terminal: Identity) -> None:
    async with (
        connected(world, terminal) as connection,
        following(world, connection) as consumer,
        world.marking(),
    ):
        await until(lambda: consumer.client.mode == "live")
        world.is_away = True
        await world.commit(3)
        await until(lambda: consumer.seqs == [0, 1, 2, 3])


async def test_it_goes_on_from_where_the_consumer_was_and_not_from_where_it_began(
    world: World, terminal: Identity, tmp_path: Path
) -> None:
    cursors = FileCursors(tmp_path / "cursor")
    async with connected(world, terminal) as connection:
        async with following(world, connection, cursors=cursors) as consumer:
            await until(lambda: consumer.client.mode == "live")
            await world.commit(3)
            await until(lambda: consumer.seqs == [0, 1, 2, 3])
        await world.commit(2, publish=False)
        async with following(world, connection, cursors=cursors) as again:
            await until(lambda: again.seqs and again.seqs[-1] == 5)
            # The last change of the first run was never acknowledged by asking for another.
            assert again.seqs in ([4, 5], [3, 4, 5])


async def test_clients_of_a_program_share_its_connection_and_take_their_subscriptions_back(
    world: World, terminal: Identity
) -> None:
    async with (
        connected(world, terminal) as connection,
        following(world, connection, PATIENT) as first,
    ):
        await until(lambda: first.client.mode == "live")
        async with following(world, connection, PATIENT) as second:
            await until(lambda: second.client.mode == "live")
            await world.commit()
            await until(lambda: first.seqs == [0, 1] and second.seqs == [0, 1])
        await world.commit()
        await until(lambda: first.seqs == [0, 1, 2])


async def test_the_device_says_that_it_is_there_and_what_it_has_applied(
    world: World, terminal: Identity
) -> None:
    own = f"yabam/v1/{STORE}/devices/terminal-1"
    topics = f"{own}/status", f"{own}/received"
    async with (
        device(broker_for_gateway(world.server), *topics, client_id="g2") as gateway,
        connected(world, terminal) as connection,
        following(world, connection) as one,
    ):
        await until(lambda: gateway.on(topics[0]))
        assert gateway.on(topics[0])[-1]["online"]
        await until(lambda: one.client.mode == "live")
        await world.commit(2)
        await until(lambda: gateway.on(topics[1]))
        assert gateway.on(topics[1])[0]["cursor"].startswith(f"{CHANNEL}@")


def cursors_on(one: Device, topic: str) -> list[str]:
    return [told["cursor"] for told in one.on(topic)]


async def test_what_is_applied_right_after_a_receipt_is_said_too(
    world: World, terminal: Identity
) -> None:
    topic = f"yabam/v1/{STORE}/devices/terminal-1/received"
    async with (
        device(broker_for_gateway(world.server), topic, client_id="g2") as gateway,
        connected(world, terminal) as connection,
        following(world, connection) as one,
    ):
        await until(lambda: one.client.mode == "live")
        for seq in (1, 2, 3):
            await world.commit()
            await until(lambda: f"{CHANNEL}@{seq}" in cursors_on(gateway, topic))  # noqa: B023


async def test_what_was_applied_while_the_broker_was_away_is_said_when_it_is_back(
    world: World, terminal: Identity
) -> None:
    topic = f"yabam/v1/{STORE}/devices/terminal-1/received"
    lost: list[object] = []
    say = MqttConnection.say

    async def noted(self: MqttConnection, what: str, fields: dict[str, object]) -> bool:
        said = await say(self, what, fields)
        if not said and fields["cursor"] == f"{CHANNEL}@2":
            lost.append(fields)
        return said

    async with (
        connected(world, terminal) as connection,
        following(world, connection) as one,
    ):
        await until(lambda: one.client.mode == "live")
        world.server.kill()
        world.head = 2  # nobody can push it
        with mock.patch.object(MqttConnection, "say", noted):
            await until(lambda: lost, 60)
        world.server.start()
        async with (
            world.publishing(),
            device(broker_for_gateway(world.server), topic, client_id="g2") as gateway,
        ):
            await until(lambda: f"{CHANNEL}@2" in cursors_on(gateway, topic), 60)


async def test_a_token_that_core_refuses_ends_the_client(world: World, terminal: Identity) -> None:
    world.refuses = True
    async with (
        connected(world, terminal) as connection,
        BufferedOrderClient(
            "http://core", "token", [CHANNEL], connection, settings=QUICK,
            transport=httpx.MockTransport(world.answer),
        ) as client,
    ):  # fmt: skip
        with pytest.raises(UnauthorizedError):
            async for _ in client.events():
                pass
