"""Gateways that come and go while others work: the group shares out its partitions anew, and nobody
fails for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from unittest import mock

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.mqtt.server import MosquittoServer
from event_server.errors import OwnershipLostError
from event_server.mqtt_gateway import group_reader
from event_server.mqtt_gateway.group_reader import GroupReader
from event_server.mqtt_gateway.rules.membership import PROVEN_FOR_S
from event_server.mqtt_gateway.rules.publications import orders_topic
from server_common.devices.identity import Identity
from tests.integration.mqtt.gateways import Gateway, Topics, gateway, seqs
from tests.mqtt_parts import broker_for, device, until

pytestmark = pytest.mark.kafka


class Member:
    """A place in the group; it gives its partitions up once it may."""

    def __init__(self, topics: Topics) -> None:
        self.mine: frozenset[TopicPartition] = frozenset()
        self.shares = 0
        self.was_asked = asyncio.Event()
        self.may_give_up = asyncio.Event()
        self.may_give_up.set()
        self.reader = GroupReader(topics.read_by_gateways, self._revoked, self._assigned)

    async def __aenter__(self) -> Member:
        await self.reader.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_give_up.set()
        await self.reader.close()

    async def commit(self) -> None:
        """Commit something of what is its."""
        await self.reader.commit(dict.fromkeys(self.mine, 0))

    async def _revoked(self) -> None:
        self.was_asked.set()
        await self.may_give_up.wait()

    def _assigned(self, mine: frozenset[TopicPartition]) -> None:
        self.mine = mine
        self.shares += 1


async def test_a_commit_while_partitions_are_shared_out_has_nobody_share_them_out_again(
    topics: Topics,
) -> None:
    async with Member(topics) as first, Member(topics) as slow:
        await until(lambda: len(first.mine) == len(slow.mine) == 2, 60)
        before, shares = first.mine, (first.shares, slow.shares)
        first.was_asked.clear()
        slow.may_give_up.clear()
        async with Member(topics) as third:
            # It has joined anew, and the group waits for the slow one.
            await asyncio.wait_for(first.was_asked.wait(), 30)
            await asyncio.wait_for(slow.was_asked.wait(), 30)
            committing = asyncio.create_task(first.reader.commit(dict.fromkeys(before, 0)))
            await asyncio.wait([committing], timeout=1)
            slow.may_give_up.set()
            with pytest.raises(OwnershipLostError):
                await committing
            members = (first, slow, third)
            # What the first two had before was all there is: each must have got its new part.
            before_third = (*shares, 0)
            await until(
                lambda: all(one.shares > n for one, n in zip(members, before_third, strict=True)),
                60,
            )
            assert len({tp for one in members for tp in one.mine}) == 4
            for one in members:
                await one.commit()
            assert (first.shares, slow.shares) == (shares[0] + 1, shares[1] + 1)


async def test_who_works_is_ready_and_goes_on_whoever_comes_and_goes(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    not_ready: list[str] = []

    async def watch(ones: tuple[Gateway, ...]) -> None:
        while True:
            not_ready.extend(one.down.trouble for one in ones if one.down.trouble is not None)
            await asyncio.sleep(0.005)

    sent = 0

    async def order() -> None:
        nonlocal sent
        while True:
            await topics.orders(terminal.store, [sent + 1])
            sent += 1
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        listening = device(broker_for(broker, terminal), orders_topic(terminal.store))
        one = await stack.enter_async_context(listening)
        first = await stack.enter_async_context(gateway(topics, broker))
        second = await stack.enter_async_context(gateway(topics, broker))
        tasks = [asyncio.create_task(work) for work in (watch((first, second)), order())]
        for _ in range(2):
            async with gateway(topics, broker):
                heard = sent
                await until(lambda: max(seqs(one, terminal.store), default=0) > heard, 60)  # noqa: B023
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: set(seqs(one, terminal.store)) >= set(range(1, sent + 1)), 60)
        assert not not_ready
        assert [each.count("sessions", {"task": "down"}) for each in (first, second)] == [1, 1]


async def test_a_commit_that_takes_long_proves_nothing_and_ends_no_session(
    terminal: Identity, broker: MosquittoServer, topics: Topics
) -> None:
    late = 0.0
    commit = GroupReader.commit

    async def slowly(reader: GroupReader, offsets: Mapping[TopicPartition, int]) -> None:
        nonlocal late
        await commit(reader, offsets)
        if late < 3 * PROVEN_FOR_S:
            late += PROVEN_FOR_S

    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker, clock=lambda: time.monotonic() + late) as carrying,
    ):
        with mock.patch.object(GroupReader, "commit", slowly):
            late = PROVEN_FOR_S
            await topics.orders(terminal.store, range(1, 6))
            await until(lambda: late >= 3 * PROVEN_FOR_S, 60)
            await until(lambda: seqs(one, terminal.store) == [1, 2, 3, 4, 5], 60)
        assert carrying.count("sessions", {"task": "down"}) == 1


async def test_while_nobody_answers_commits_it_is_alive_says_so_and_goes_on_after(
    terminal: Identity,
    broker: MosquittoServer,
    topics: Topics,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_reader, "_COMMIT_WITHIN_S", 0.1)
    late = 0.0
    never = asyncio.Event()

    def silent(_consumer: AIOKafkaConsumer, _offsets: object = None) -> Awaitable[object]:
        return never.wait()

    async with (
        device(broker_for(broker, terminal), orders_topic(terminal.store)) as one,
        gateway(topics, broker, clock=lambda: time.monotonic() + late) as carrying,
    ):
        with mock.patch.object(AIOKafkaConsumer, "commit", silent):
            late = 100.0
            await topics.orders(terminal.store, [1])
            await until(lambda: carrying.down.trouble is not None)
            assert carrying.down.trouble == "Kafka does not assign partitions"
            for _ in range(2):
                before = carrying.down.turned_at
                await until(lambda: carrying.down.turned_at > before)  # noqa: B023
            assert not seqs(one, terminal.store)
        await until(lambda: seqs(one, terminal.store) == [1], 60)
        await until(lambda: carrying.is_ready)
        assert carrying.count("sessions", {"task": "down"}) == 1
