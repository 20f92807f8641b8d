"""Real orders through the real system, to followers that are cut off again and again.

The file of real orders is not part of the project. Where it is not at hand, as many orders of the
same form are drawn by a seed; the test's id says which of the two it was.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from client_sdk import OrderProducer
from client_sdk.replay.plan import Planned, ReplaySpeed, plan, read_orders
from client_sdk.replay.runner import read_lines, replay
from tests.end_to_end.conftest import Installation
from tests.end_to_end.followers import Follower, prove
from tests.end_to_end.proxy import Proxy

REAL_ORDERS = Path(os.environ.get("YABAM_REAL_ORDERS", "../shared/data/takeaway-orders.csv.gz"))
ORDERS = 2_000
DISHES = ("Plain Papadum", "King Prawn Balti", "Garlic Naan", "Mushroom Rice", "비빔밥", "Chai")
STORES = 8
TABLES = 6

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(480),
    # Five minutes: who shares a worker with it would end last of all.
    pytest.mark.xdist_group("kafka-load"),
]


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return {
        # Streams that end all the time, as well as the ones that we cut.
        "YABAM_EVENTS_LIFETIME_MIN_S": "1",
        "YABAM_EVENTS_LIFETIME_MAX_S": "4",
        "YABAM_STREAM_URL": "http://127.0.0.1:{proxy}/v1/stream",
    }


def orders(source: str) -> list[Planned]:
    lines = read_lines(REAL_ORDERS) if source == "real" else drawn_lines()
    return plan(read_orders(lines)[:ORDERS], STORES, TABLES, seed=7)


def drawn_lines() -> list[str]:
    """A file of the same form: evenings of orders with one to nine lines each."""
    chance = random.Random(7)
    lines = ["OrderNumber,OrderDate,ItemName,Quantity,ProductPrice,TotalProducts"]
    for number in range(1, ORDERS + 1):
        day, minute = number % 28 + 1, chance.randrange(60)
        when = f"{day:02}/0{number % 9 + 1}/2019 {chance.randrange(17, 24)}:{minute:02}"
        count = chance.randint(1, 9)
        for _ in range(count):
            dish, quantity = chance.choice(DISHES), chance.randint(1, 4)
            lines.append(f"{number},{when},{dish},{quantity},{chance.randint(1, 40) / 2},{count}")
    return lines


def channels() -> list[str]:
    stores = [f"store:{store + 1}" for store in range(STORES)]
    return stores + [f"table:{store + 1}/{table + 1}" for store in range(4) for table in range(3)]


async def cut_on_the_way(
    proxy: Proxy, followers: Sequence[Follower], chance: random.Random
) -> None:
    """Cut all connections, again and again, each time after some more events have come.

    By the clock a busy machine would do little else than to connect anew.
    """
    while True:
        enough = given(followers) + chance.randint(20, 200)
        while given(followers) < enough:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        proxy.cut()


def given(followers: Sequence[Follower]) -> int:
    return sum(len(follower.seqs) for follower in followers)


@pytest.mark.parametrize("source", ["real" if REAL_ORDERS.exists() else "drawn"])
async def test_no_event_of_2000_orders_is_lost_doubled_or_out_of_order(
    stack: Installation, source: str
) -> None:
    planned = orders(source)
    proxy = Proxy(stack.addresses.ports.events, port=stack.stream_port)
    await proxy.start()
    token = stack.token("owner", "*")
    followers = [Follower(stack.core_url, token, channel) for channel in channels()]
    for follower in followers:
        follower.start()
    await asyncio.gather(*(follower.synced() for follower in followers))
    cutting = asyncio.create_task(cut_on_the_way(proxy, followers, random.Random(7)))
    try:
        async with OrderProducer(stack.core_url, token) as producer:
            summary = await replay(planned, producer, ReplaySpeed(None), 16, lambda _line: None)
        assert summary.orders == ORDERS
        proven = await prove(stack.addresses.database, followers, within_s=30)
        assert proven > ORDERS * 5
        assert proxy.cuts > 20
    finally:
        cutting.cancel()
        for follower in followers:
            await follower.stop()
        await proxy.stop()
