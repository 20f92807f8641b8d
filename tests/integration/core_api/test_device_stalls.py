"""A store whose rows somebody holds locked holds up no other store's devices, though all of them
are in one partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
import pytest

from core_api.devices.registrations import RegisterDevice
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from server_common.devices.messages import Inbound, Outbound, encode
from server_common.kafka_records.events import partition_of
from tests.integration.core_api.device_reading import Topics, ingest_of
from tests.integration.core_api.device_shop import Shop
from tests.integration.core_api.relaying import PARTITIONS
from tests.integration.core_api.test_held_rows import held

if TYPE_CHECKING:
    from core_api.postgres.pool import Pool

HELD, FREE = "held", "free"
_REGISTRATIONS = "SELECT FROM device_registrations WHERE store_id = $1 FOR UPDATE"


def devices_of(store: str, count: int) -> list[str]:
    """Devices of the store whose messages are all in the first partition."""
    names = (f"bell-{number}" for number in range(1_000))
    ours = (name for name in names if not partition_of(f"{store}/{name}", PARTITIONS))
    return [next(ours) for _ in range(count)]


@pytest.fixture
async def shop(pool: Pool) -> Shop:
    return Shop(pool)


@pytest.fixture
async def writing(database_url: str) -> AsyncIterator[Pool]:
    """Two connections as ingest's, that wait for a lock for a moment only."""
    pool = await open_pool(
        database_url, size=2, command_timeout_s=30, name="writing", lock_wait_s=LOCK_WAIT_S
    )
    yield pool
    pool.terminate()


@pytest.fixture
async def topics(bootstrap: str) -> AsyncIterator[Topics]:
    async with Topics.made(bootstrap) as made:
        yield made


async def register(shop: Shop, store: str, count: int) -> list[str]:
    names = devices_of(store, count)
    for name in names:
        await shop.registrations.put(store, name, RegisterDevice())
    return names


async def press(topics: Topics, store: str, device: str, n: int) -> None:
    payload = msgspec.Raw(msgspec.json.encode({"boot": 1, "n": n, "name": "pressed"}))
    message = Inbound(store, device, "event", 1, payload)
    await topics.send(encode(message), message.key, partition=0)


def of(answers: list[Outbound], store: str) -> list[tuple[str, int, str]]:
    return [(one.device, one.n, one.outcome) for one in answers if one.store == store]


async def test_a_held_store_holds_up_no_device_of_another_and_is_answered_once_it_is_free(
    shop: Shop, topics: Topics, pool: Pool, writing: Pool, database_url: str
) -> None:
    stuck, (bell,) = await register(shop, HELD, 20), await register(shop, FREE, 1)
    async with topics.read(pool, writing) as ingest:
        async with held(database_url, _REGISTRATIONS, HELD):
            for n in (1, 2):
                for device in stuck:
                    await press(topics, HELD, device, n)
            for n in range(1, 6):
                # One after the other: each is told before the next is said.
                await press(topics, FREE, bell, n)
                answers = await topics.answers(n)
                assert of(answers, FREE) == [(bell, m, "applied") for m in range(1, n + 1)]
                assert not of(answers, HELD)
            assert ingest.trouble is None
            assert await topics.committed() == 0, "nothing of what waits is passed"
        answers = await topics.answers(5 + 2 * len(stuck))
        await topics.until_committed(5 + 2 * len(stuck))
    for device in stuck:
        assert [one for one in of(answers, HELD) if one[0] == device] == [
            (device, 1, "applied"),
            (device, 2, "applied"),
        ]


async def test_one_held_device_holds_up_no_other_of_its_store_for_long(
    shop: Shop, topics: Topics, pool: Pool, writing: Pool, database_url: str
) -> None:
    stuck, *others = await register(shop, HELD, 4)
    one_row = "SELECT FROM device_registrations WHERE device_id = $1 FOR UPDATE"
    async with topics.read(pool, writing):
        async with held(database_url, one_row, stuck):
            await press(topics, HELD, stuck, 1)
            for device in others:
                await press(topics, HELD, device, 1)
            answers = await topics.answers(len(others))
            assert sorted(of(answers, HELD)) == sorted((one, 1, "applied") for one in others)
        assert of(await topics.answers(4), HELD)[-1] == (stuck, 1, "applied")


async def test_what_waits_when_the_reader_ends_is_applied_by_the_next_one_in_order(
    shop: Shop, topics: Topics, pool: Pool, writing: Pool, database_url: str
) -> None:
    (stuck,), (bell,) = await register(shop, HELD, 1), await register(shop, FREE, 1)
    doomed = ingest_of(pool, *topics.names, writing=writing)
    async with held(database_url, _REGISTRATIONS, HELD):
        running = asyncio.create_task(doomed.run())
        try:
            await press(topics, HELD, stuck, 1)
            await press(topics, FREE, bell, 1)
            await topics.answers(1)
            await press(topics, HELD, stuck, 2)
            await press(topics, FREE, bell, 2)
            await topics.answers(2)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await doomed.close()
    async with topics.read(pool, writing):
        answers = await topics.answers(6)
        await topics.until_committed(4)
    assert of(answers, HELD) == [(stuck, 1, "applied"), (stuck, 2, "applied")]
    assert of(answers, FREE)[2:] == [(bell, 1, "repeated"), (bell, 2, "repeated")]
