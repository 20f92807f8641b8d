"""Channels of no store, on real brokers: each partition brings all, each client has it once."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from deploy.local.broker import EmbeddedBroker
from deploy.processes.ports import free_port
from server_common.kafka_records.events import (
    Headers,
    OmittedRecord,
    encode_omitted_record,
    partition_of,
)
from tests.integration.event_server.conftest import Stream
from tests.integration.event_server.relay import PARTITIONS, Relay, relay_to
from tests.integration.event_server.test_process import process, ready
from tests.integration.event_server.test_source import Reading, reading
from tests.unit.event_server.parts import EPOCH, KEYS, FakeSubscriber, document_record, make_ticket

EVERY = tuple(range(PARTITIONS))
SHARES = ([0], [1], [2, 3])
STORES = {partition_of(str(store), PARTITIONS): str(store) for store in range(1, 40)}
"""A store of each partition."""


async def wide(relay: Relay, *names: str, to: tuple[int, ...] = EVERY) -> None:
    """A copy of each of these events for each of these partitions."""
    for name in names:
        value, headers = document_record(name)
        for partition in to:
            await relay.write(partition, value, headers)


async def of_store(relay: Relay, store: str, *names: str) -> None:
    """Documents of a store."""
    for name in names:
        await relay.write(partition_of(store, PARTITIONS), *document_record(name))


def omitted(name: str) -> Headers:
    """The headers of a record that says only that there is this event."""
    return encode_omitted_record(OmittedRecord(EPOCH, (name,)))


def follow(it: Reading, **positions: int) -> FakeSubscriber:
    """A stream on `global` and `brand:b`."""
    subscriber = FakeSubscriber()
    at = {"global": 0, "brand:b": 0} | positions
    replay = it.hub.attach(subscriber, at, at, time.time(), EPOCH)
    assert isinstance(replay, list), replay
    for frame in replay:
        subscriber.send(frame)
    return subscriber


class TestOneNodeOfSeveralPartitions:
    @pytest.mark.parametrize("quick", EVERY)
    async def test_the_quickest_partition_brings_it_and_the_copies_are_dropped(
        self, bootstrap: str, topic: str, quick: int
    ) -> None:
        async with relay_to(bootstrap, topic) as relay, reading(bootstrap, topic) as it:
            relay.keep_marking()
            await it.until_warm()
            subscriber = follow(it)
            await wide(relay, "global@1", "brand:b@1", to=(quick,))
            await it.until(lambda: len(subscriber.ids()) == 2)
            await wide(relay, "global@1", "brand:b@1", to=tuple({*EVERY} - {quick}))
            await wide(relay, "global@2")
            await it.until(lambda: it.hub.copies == 2 * 3 + 3)
            assert subscriber.ids() == ["global@1", "brand:b@1", "global@2"]
            assert (it.hub.duplicates, it.hub.gaps) == (0, 0)

    async def test_a_relay_that_is_dead_delays_none_of_the_other_shards(
        self, bootstrap: str, topic: str
    ) -> None:
        async with relay_to(bootstrap, topic) as relay, reading(bootstrap, topic) as it:
            relay.keep_marking()
            await it.until_warm()
            subscriber = follow(it)
            await relay.stop_marking()
            relay.keep_marking(but=2)
            await wide(relay, "global@1", to=(0, 1, 3))
            await it.until(lambda: subscriber.ids() == ["global@1"])
            assert not subscriber.ended

    async def test_a_copy_that_was_left_out_costs_a_sync_at_most(
        self, bootstrap: str, topic: str
    ) -> None:
        async with relay_to(bootstrap, topic) as relay, reading(bootstrap, topic) as it:
            relay.keep_marking()
            await it.until_warm()
            subscriber = follow(it)
            await wide(relay, "global@1", to=(0,))
            await it.until(lambda: subscriber.ids() == ["global@1"])
            await relay.write(1, None, omitted("global@1"))
            await wide(relay, "global@2")
            await it.until(lambda: subscriber.ids() == ["global@1", "global@2"])
            await relay.write(1, None, omitted("global@3"))
            await it.until(lambda: subscriber.ended)
            assert subscriber.types()[-1] == "sync-required"
            await wide(relay, "global@3", to=(0, 2, 3))
            again = follow(it, **{"global": 3})
            await wide(relay, "global@4")
            await it.until(lambda: again.ids() == ["global@4"])

    async def test_a_damaged_copy_tells_who_follows_it_to_sync(
        self, bootstrap: str, topic: str
    ) -> None:
        async with relay_to(bootstrap, topic) as relay, reading(bootstrap, topic) as it:
            relay.keep_marking()
            await it.until_warm()
            subscriber = follow(it)
            _, headers = document_record("global@1")
            await relay.write(3, b"no\ntwo lines", headers)
            await it.until(lambda: subscriber.ended)
            assert subscriber.types() == ["sync-required"]

    async def test_partitions_that_begin_at_different_times_leave_no_blind_window(
        self, bootstrap: str, topic: str
    ) -> None:
        async with relay_to(bootstrap, topic) as relay:
            began = time.time()
            for partition, ago in enumerate((50, 40, 30, 20)):
                value, headers = document_record("global@1")
                await relay.write(partition, value, headers, at=began - ago)
            relay.keep_marking()
            async with reading(bootstrap, topic) as it:
                await it.until_warm()
                assert it.hub.rings.covered_since == pytest.approx(began - 20 + 1, abs=0.01)
                assert it.hub.gaps == 0


class TestAFleetThatSharesOutPartitions:
    @pytest.fixture
    async def nodes(
        self, embedded_broker: EmbeddedBroker, client: httpx.AsyncClient, topic: str
    ) -> AsyncIterator[tuple[Relay, dict[str, list[int]]]]:
        """Three nodes, each with its share of the partitions."""
        ports = [free_port() for _ in SHARES]
        fleet = {
            f"http://127.0.0.1:{port}/v1/stream": share
            for port, share in zip(ports, SHARES, strict=True)
        }
        settings = {"YABAM_STREAM_NODES": json.dumps(fleet)}
        bootstrap = embedded_broker.bootstrap
        async with relay_to(bootstrap, topic) as relay, AsyncExitStack() as stack:
            for port, share in zip(ports, SHARES, strict=True):
                own = settings | {"YABAM_EVENTS_PARTITIONS": json.dumps(share)}
                await stack.enter_async_context(process(bootstrap, topic, port, **own))
            relay.keep_marking()
            for port in ports:
                await ready(client, f"http://127.0.0.1:{port}")
            yield relay, fleet

    async def test_one_stream_of_any_node_has_table_party_store_brand_and_global(
        self, client: httpx.AsyncClient, nodes: tuple[Relay, dict[str, list[int]]]
    ) -> None:
        relay, fleet = nodes
        for number, (url, share) in enumerate(fleet.items(), 1):
            store = STORES[share[0]]
            own = [f"table:{store}/5", f"party:{store}/5", f"public:{store}"]
            positions = dict.fromkeys(own, 0) | {"brand:b": number - 1, "global": number - 1}
            ticket = KEYS.sign(make_ticket(positions, issued_at=time.time()))
            async with client.stream("GET", url, params={"ticket": ticket}) as response:
                assert response.status_code == 200, await response.aread()
                stream = Stream(response)
                assert (await stream.next()).type == "hello"
                await of_store(relay, store, *[f"{channel}@1" for channel in own])
                await wide(relay, f"global@{number}", f"brand:b@{number}")
                await of_store(relay, store, *[f"{channel}@2" for channel in own])
                seen = await stream.ids(2 * len(own) + 2)
            for channel in own:
                assert [one for one in seen if one.startswith(channel)] == [
                    f"{channel}@1",
                    f"{channel}@2",
                ]
            assert {f"global@{number}", f"brand:b@{number}"} < set(seen)

    async def test_a_client_of_wide_channels_alone_is_served_by_every_node(
        self, client: httpx.AsyncClient, nodes: tuple[Relay, dict[str, list[int]]]
    ) -> None:
        relay, fleet = nodes
        ticket = KEYS.sign(make_ticket({"global": 0}, issued_at=time.time()))
        async with AsyncExitStack() as stack:
            streams = []
            for url in fleet:
                opened = client.stream("GET", url, params={"ticket": ticket})
                response = await stack.enter_async_context(opened)
                assert response.status_code == 200, await response.aread()
                streams.append(Stream(response))
            for stream in streams:
                assert (await stream.next()).type == "hello"
            await wide(relay, "global@1", "global@2")
            for stream in streams:
                assert await stream.ids(2) == ["global@1", "global@2"]

    async def test_a_store_of_another_node_is_misdirected_whatever_else_is_followed(
        self, client: httpx.AsyncClient, nodes: tuple[Relay, dict[str, list[int]]]
    ) -> None:
        _, fleet = nodes
        wrong, right, _ = fleet
        positions = {f"public:{STORES[fleet[right][0]]}": 0, "global": 0}
        ticket = KEYS.sign(make_ticket(positions, issued_at=time.time()))
        answer = await client.get(wrong, params={"ticket": ticket})
        assert (answer.status_code, answer.json()["url"]) == (421, right)
