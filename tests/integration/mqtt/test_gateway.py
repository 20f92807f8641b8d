"""The gateway between a real Apache Kafka and a real Mosquitto."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from msgspec import UNSET

from deploy.mqtt.server import MosquittoServer
from event_server.mqtt_gateway.group_reader import GroupReader
from event_server.mqtt_gateway.rules.publications import orders_topic, state_topic
from event_server.mqtt_gateway.sink import KafkaSink
from server_common.devices.identity import Identity
from server_common.devices.messages import Outbound
from server_common.devices.mqtt_topics import accepted_topic, commands_topic, up_topic
from server_common.mqtt.connection import BrokerConnection, Incoming
from tests.integration.mqtt.gateways import (
    EPOCH,
    FakeCore,
    Topics,
    gateway,
    seqs,
    watermarks,
)
from tests.mqtt_parts import (
    Device,
    Register,
    broker_for,
    device,
    until,
    until_it_connects,
)
from tests.wiping import wipe_mosquitto

pytestmark = pytest.mark.kafka


def a_command(state: str = "sent", seconds: float = 60) -> dict[str, Any]:
    expires_at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return {"name": "blink", "arguments": {}, "state": state, "expires_at": expires_at}


async def say_online(one: Device, identity: Identity, connection: str = "c1", at: int = 1) -> None:
    topic = up_topic(identity.store, identity.device, "status")
    fields = {"connection": connection, "online": True, "at": at}
    await one.connection.publish(topic, json.dumps(fields).encode(), retain=True)


# Down.


async def test_orders_go_down_once_and_in_order(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker),
    ):
        await topics.orders(terminal.store, range(1, 51))
        await until(lambda: len(seqs(one, terminal.store)) == 50)
        assert seqs(one, terminal.store) == list(range(1, 51))
        assert one.on(orders_topic(terminal.store))[0]["epoch"] == EPOCH


async def test_what_was_written_while_no_gateway_was_there_is_not_lost(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    async with device(broker_for(broker, terminal), orders_topic(terminal.store)) as one:
        async with gateway(topics, broker):
            await topics.orders(terminal.store, [1])
            await until(lambda: seqs(one, terminal.store) == [1])
        await topics.orders(terminal.store, [2, 3])
        async with gateway(topics, broker):
            await until(lambda: seqs(one, terminal.store) == [1, 2, 3])


async def test_the_first_gateway_ever_publishes_no_old_orders(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    await topics.orders(terminal.store, [1, 2])
    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker),
    ):
        await topics.orders(terminal.store, [3])
        await until(lambda: seqs(one, terminal.store) == [3])


async def test_a_record_that_cannot_be_read_stops_nothing(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker) as carrying,
    ):
        await topics.foreign(terminal.store, b"{")
        await topics.document(f"public:{terminal.store}", 1, "menu", "one", {"a": 1})
        await topics.orders(terminal.store, [1])
        await until(lambda: seqs(one, terminal.store) == [1])
        assert carrying.count("skipped", {"reason": "malformed"}) == 2


async def test_records_of_an_epoch_that_is_over_are_passed_over(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker),
    ):
        await topics.orders(terminal.store, [1], epoch="01B")
        await topics.orders(terminal.store, [2], epoch="01A")
        await topics.orders(terminal.store, [3], epoch="01B")
        await until(lambda: 3 in seqs(one, terminal.store))
        assert seqs(one, terminal.store) == [1, 3]


async def test_a_public_document_is_kept_for_those_who_come_later(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = state_topic(lamp.store, "sold-out")
    async with gateway(topics, broker):
        await topics.document(f"public:{lamp.store}", 1, "sold-out", 1, {"tea": True})
        async with device(broker_for(broker, lamp), topic) as before:
            await until(lambda: before.on(topic))
        async with device(broker_for(broker, lamp), topic) as later:
            await until(lambda: later.on(topic))
            assert (later.on(topic)[0]["version"], later.on(topic)[0]["value"]) == (
                1,
                {"tea": True},
            )


async def test_a_value_that_is_too_large_for_the_log_is_fetched_and_holds_up_no_other(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core = FakeCore()
    core.set(f"public:{lamp.store}", "menu", 2, {"dishes": ["x" * 20_000]})
    core.is_away = True
    menu, sold_out = state_topic(lamp.store, "menu"), state_topic(lamp.store, "sold-out")
    async with (
        device(broker_for(broker, lamp), menu, sold_out) as one,
        gateway(topics, broker, core),
    ):
        await topics.document(f"public:{lamp.store}", 1, "menu", 2, UNSET)
        await topics.document(f"public:{lamp.store}", 2, "sold-out", 1, {})
        await until(lambda: one.on(sold_out))
        assert one.on(menu) == []
        core.is_away = False
        await until(lambda: one.on(menu))
        assert one.on(menu)[0]["value"] == {"dishes": ["x" * 20_000]}


async def test_a_broker_that_has_lost_its_data_gets_the_public_documents_again(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core = FakeCore()
    core.set(f"public:{lamp.store}", "menu", 7, {"dishes": []})
    topic = state_topic(lamp.store, "menu")
    async with gateway(topics, broker, core) as carrying:
        async with device(broker_for(broker, lamp)) as one:
            await say_online(one, lamp)
            await until(lambda: carrying.presence.known_stores() == [lamp.store])
        broker.kill()
        wipe_mosquitto(broker)
        broker.start()
        await until_it_connects(broker, lamp)
        async with device(broker_for(broker, lamp), topic) as later:
            await until(lambda: [told["version"] for told in later.on(topic)] == [7], 60)


async def test_a_command_goes_to_its_device(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = commands_topic(lamp.store, lamp.device)
    async with device(broker_for(broker, lamp), topic) as one, gateway(topics, broker):
        channel = f"device:{lamp.store}/lamp"
        await topics.document(channel, 1, "command.1", 1, a_command())
        await topics.document(channel, 2, "command.1", 2, a_command("done"))
        await topics.document(channel, 3, "command.2", 1, a_command())
        await until(lambda: [told["id"] for told in one.on(topic)] == ["1", "2"])


async def test_a_device_that_comes_online_gets_its_waiting_commands_and_no_others(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core = FakeCore()
    channel, topic = f"device:{lamp.store}/lamp", commands_topic(lamp.store, lamp.device)
    core.set(channel, "command.1", 1, a_command("done"))
    core.set(channel, "command.2", 1, a_command(seconds=-1))
    core.set(channel, "command.3", 1, a_command())
    core.set(channel, "print.4", 1, {"state": "queued"})
    core.set(channel, "telemetry", 1, {})
    async with gateway(topics, broker, core), device(broker_for(broker, lamp), topic) as one:
        await say_online(one, lamp)
        # At least once: two looks at the channel that cross may each send them.
        await until(lambda: {told["id"] for told in one.on(topic)} == {"3", "4"})


async def test_a_renewed_status_sends_nothing_again(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core, channel = FakeCore(), f"device:{lamp.store}/lamp"
    async with gateway(topics, broker, core), device(broker_for(broker, lamp)) as one:
        await say_online(one, lamp)
        await until(lambda: channel in core.asked)
        await say_online(one, lamp, at=2)
        await say_online(one, lamp, "c2", at=3)
        await until(lambda: core.asked.count(channel) == 2)


async def test_a_device_that_came_while_no_gateway_was_there_gets_its_commands(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core = FakeCore()
    topic = commands_topic(lamp.store, lamp.device)
    core.set(f"device:{lamp.store}/lamp", "command.3", 1, a_command())
    async with device(broker_for(broker, lamp), topic) as one:
        await say_online(one, lamp)
        async with gateway(topics, broker, core):
            await until(lambda: {told["id"] for told in one.on(topic)} == {"3"})


async def test_when_the_database_has_gone_back_devices_get_what_waits_again(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    core = FakeCore()
    topic = commands_topic(lamp.store, lamp.device)
    async with gateway(topics, broker, core), device(broker_for(broker, lamp), topic) as one:
        await topics.watermark()
        await say_online(one, lamp)
        await until(lambda: f"device:{lamp.store}/lamp" in core.asked)
        core.set(f"device:{lamp.store}/lamp", "command.1", 1, a_command())
        await topics.watermark(f"{EPOCH}2")
        await until(lambda: [told["id"] for told in one.on(topic)] == ["1"])


async def test_a_receipt_of_core_goes_to_its_device(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = accepted_topic(lamp.store, lamp.device)
    async with device(broker_for(broker, lamp), topic) as one, gateway(topics, broker):
        await topics.answer(Outbound(lamp.store, lamp.device, 5, 7, "applied"))
        await until(
            lambda: (
                [(a["boot"], a["n"], a["outcome"]) for a in one.on(topic)] == [(5, 7, "applied")]
            )
        )


async def test_marks_say_how_far_the_stores_channels_are(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = f"yabam/v1/{terminal.store}/marks"
    async with (
        device(broker_for(broker, terminal), topic) as one,
        gateway(topics, broker),
        watermarks(topics),
    ):
        await say_online(one, terminal)
        await topics.orders(terminal.store, [1, 2])
        await until(
            lambda: any(m["heads"] == {f"store:{terminal.store}": 2} for m in one.on(topic))
        )
        first = one.on(topic)[0]
        await until(lambda: one.on(topic)[-1]["watermark"] > first["watermark"])
        assert first["epoch"] == EPOCH


async def test_the_marks_of_a_new_gateway_know_what_the_one_before_has_published(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = f"yabam/v1/{terminal.store}/marks"
    async with device(broker_for(broker, terminal), orders_topic(terminal.store)) as one:
        await say_online(one, terminal)
        async with watermarks(topics):
            async with gateway(topics, broker):
                await topics.orders(terminal.store, [1, 2])
                await until(lambda: seqs(one, terminal.store) == [1, 2])
            await one.connection.subscribe([topic])
            async with gateway(topics, broker):
                await until(lambda: one.on(topic))
                assert one.on(topic)[0]["heads"] == {f"store:{terminal.store}": 2}


async def test_two_gateways_share_the_work_and_one_goes_on_when_the_other_ends(
    terminal: Identity, register: Register, broker: MosquittoServer, topics: Topics
) -> None:
    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker) as first,
    ):
        async with gateway(topics, broker) as second:
            shares = [first.metrics.partitions._value, second.metrics.partitions._value]
            await until(lambda: [share.get() for share in shares] == [1, 1], 60)
            await topics.orders(terminal.store, range(1, 11))
            await until(lambda: set(seqs(one, terminal.store)) >= set(range(1, 11)))
        await topics.orders(terminal.store, range(11, 21))
        await until(lambda: set(seqs(one, terminal.store)) == set(range(1, 21)), 60)


async def test_what_a_frozen_broker_was_sent_is_sent_again_when_it_was_killed(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    topic = state_topic(lamp.store, "menu")
    commits: list[object] = []
    commit = GroupReader.commit

    async def counted(reader: GroupReader, offsets: Any) -> None:
        await commit(reader, offsets)
        commits.append(offsets)

    async with gateway(topics, broker) as carrying:
        broker.process.suspend()
        await topics.document(f"public:{lamp.store}", 1, "menu", 1, {})
        await until(lambda: carrying.metrics.held._value.get() == 1)
        with mock.patch.object(GroupReader, "commit", counted):
            await until(lambda: len(commits) == 2)
        broker.kill()
        broker.start()
        await until_it_connects(broker, lamp)
        async with device(broker_for(broker, lamp), topic) as later:
            await until(lambda: later.on(topic), 60)


# Up.


async def test_the_broker_is_told_once_kafka_has_it_and_not_before(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    may_store, told = asyncio.Event(), list[str]()
    begin, acknowledge = KafkaSink.begin, BrokerConnection.acknowledge

    async def held_back(sink: KafkaSink, topic: str, key: bytes, value: bytes) -> Any:
        stored = await begin(sink, topic, key, value)

        async def later() -> None:
            await may_store.wait()
            await stored

        return later()

    def noted(connection: BrokerConnection, message: Incoming) -> None:
        told.append(message.topic)
        acknowledge(connection, message)

    good, bad = up_topic(lamp.store, "lamp", "event"), up_topic(lamp.store, "lamp", "result")
    with (
        mock.patch.object(KafkaSink, "begin", held_back),
        mock.patch.object(BrokerConnection, "acknowledge", noted),
    ):
        async with gateway(topics, broker) as carrying, device(broker_for(broker, lamp)) as one:
            await one.say(good, boot=1, n=1, name="bell")
            await one.say(bad, boot=1)
            async with asyncio.timeout(30):
                while len(await topics.inbound_messages()) + len(await topics.letters()) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert told == []
            may_store.set()
            await until(lambda: sorted(told) == sorted([good, bad]))
            assert carrying.count("taken", {"kind": "event"}) == 1


async def test_what_devices_say_is_in_kafka_before_the_broker_is_told(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    async with gateway(topics, broker) as carrying, device(broker_for(broker, lamp)) as one:
        for n in range(1, 21):
            await one.say(up_topic(lamp.store, "lamp", "event"), boot=1, n=n, name="bell")
        await one.say(up_topic(lamp.store, "lamp", "telemetry", "paper"), value=7)
        await until(lambda: carrying.count("taken", {"kind": "event"}) == 20)
        await until(lambda: carrying.count("taken", {"kind": "telemetry"}) == 1)
        found = await topics.inbound_messages()
        events = [json.loads(bytes(m.payload))["n"] for m in found if m.kind == "event"]
        assert events == list(range(1, 21))
        assert {(m.store, m.device) for m in found} == {(lamp.store, "lamp")}


async def test_what_does_not_fit_is_a_dead_letter_and_its_device_is_told(
    lamp: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    told, said = accepted_topic(lamp.store, "lamp"), up_topic(lamp.store, "lamp", "result")
    async with gateway(topics, broker) as carrying, device(broker_for(broker, lamp), told) as one:
        await one.connection.publish(said, b"\xff not json")
        await one.say(said, boot=1, n=2, id="c", outcome="maybe")
        await one.say(said, boot=1, n=3, id="c", outcome="done")
        await until(lambda: carrying.count("taken", {"kind": "result"}) == 1)
        await until(lambda: one.on(told))
        letters = await topics.letters()
        assert [letter["reason"] for letter in letters] == ["bad-json", "invalid"]
        assert letters[0]["topic"] == said
        assert [(a["n"], a["outcome"]) for a in one.on(told)] == [(2, "refused")]


async def test_a_flood_of_one_device_holds_up_no_other(
    lamp: Identity, register: Register, broker: MosquittoServer, topics: Topics
) -> None:
    bell = register.put(lamp.store, "bell")
    topic = up_topic(lamp.store, "lamp", "event")
    async with gateway(topics, broker) as carrying, AsyncExitStack() as stack:
        await until_it_connects(broker, bell)
        flooding = await stack.enter_async_context(device(broker_for(broker, lamp)))
        one = await stack.enter_async_context(device(broker_for(broker, bell)))
        flood = [
            flooding.connection.publish(topic, b'{"boot":1,"n":%d,"name":"x"}' % n)
            for n in range(1, 501)
        ]
        await one.say(up_topic(bell.store, "bell", "event"), boot=1, n=1, name="bell")
        await asyncio.gather(*flood)
        await until(lambda: carrying.count("flooded") > 0)
        await until(lambda: carrying.count("taken", {"kind": "event"}) >= 101)
        found = [m.device for m in await topics.inbound_messages()]
        assert found.count("bell") == 1
        assert found.count("lamp") < 500
