"""A program with clients of the previous release; it is run as a file, by its path.

It imports only the SDK, which is that of the previous release here. Each line on stdout is an event
that a client received, or a write that was acknowledged. After SIGUSR1 it places no more orders,
and prints `rest` once all are closed. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from typing import Any

from client_sdk import Item, OrderClient, OrderEvent, OrderProducer

ITEMS = [Item("Bibimbap", 1, 9_500)]
STEPS = ("accepted", "preparing", "ready", "served", "paid")


def say(**what: Any) -> None:
    """Print one line of JSON, and flush it."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def follow(url: str, token: str, channel: str) -> None:
    """Follow a channel until the program ends."""

    def handle(change: Any) -> None:
        if isinstance(change, OrderEvent):
            say(
                channel=channel,
                seq=change.seq,
                order=change.order_id,
                version=change.order_version,
                status=change.data.status,
            )
        else:
            orders = [[one.id, one.version, one.status] for one in change.orders]
            say(channel=channel, reset=change.reason, head=change.head, orders=orders)

    async with OrderClient(url, token, [channel]) as client:
        await client.run(handle)


async def live(producer: OrderProducer, store: str, table: str) -> None:
    """Place one order, and take it through all statuses until it is paid."""
    reference = f"old-{uuid.uuid4()}"
    order = await producer.place(store, ITEMS, currency="KRW", table_id=table, reference=reference)
    say(reference=reference, version=order.version)
    for step in STEPS:
        await asyncio.sleep(0.4)
        order = await producer.transition(order.id, step)
        say(reference=reference, version=order.version)


async def write(url: str, token: str, store: str, every_s: float, resting: asyncio.Event) -> None:
    """Place orders until `resting` is set."""
    lives: set[asyncio.Task[None]] = set()
    async with OrderProducer(url, token, attempts=60) as producer:
        while not resting.is_set():
            life = asyncio.create_task(live(producer, store, str(len(lives) % 4 + 1)))
            lives.add(life)
            life.add_done_callback(lives.discard)
            await asyncio.sleep(every_s)
        await asyncio.gather(*lives)
    say(rest=True)


async def main() -> None:
    """Follow channels and place orders, as the variable OLD_PROGRAM says."""
    told = json.loads(os.environ["OLD_PROGRAM"])
    resting = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, resting.set)
    async with asyncio.TaskGroup() as tasks:
        for channel in told["channels"]:
            tasks.create_task(follow(told["url"], told["token"], channel))
        tasks.create_task(
            write(told["url"], told["token"], told["store"], told["every_s"], resting)
        )


if __name__ == "__main__":
    asyncio.run(main())
