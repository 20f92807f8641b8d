"""The cost of a receipt on each of its ways, compared with a Fetch Sync without news.

`python -m tests.bench.receipts` measures the CPU of one receipt:

* over HTTP: the CPU of a Core process and of a real PostgreSQL, `POST /v1/receipts`;
* over a WebSocket: the CPU of an event server's part in this process, from message to record;
* from Kafka: the CPU of Core's part in this process, from record to database, and of PostgreSQL.

It prints a table for `docs/performance.md`, with how busy the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx

from client_sdk.contract.cursor import parse_cursor
from core_api.postgres.pool import LOCK_WAIT_S, open_pool
from core_api.receipts.devices import DeviceLog
from core_api.receipts.from_kafka import sightings_in
from core_api.receipts.statements import store_sightings
from deploy.local.postgres import EmbeddedPostgres
from event_server.replay.frames import Frames, as_text
from event_server.sockets.session import SocketSession
from event_server.sockets.talk import Talk
from server_common.kafka_records.receipts import Receipt, ReceiptBatch, encode_receipts
from tests.bench.fanout.machine import QuietMeter
from tests.bench.fanout.measure import cpu_seconds
from tests.bench.sync.systems import tree_cpu
from tests.integration.core_service import CoreService, an_order, bearer, token
from tests.parts import migrated_database

EPOCH: Final = "01M7Y0RVFX7GQRHXE522T5TA8A"
STORES: Final = 200
AT_ONCE: Final = 16
SETTLES_S: Final = 1.5
"""How long to wait until Core has stored all: it stores receipts once a second."""


class Http:
    """Sends requests to a Core process and measures their cost.

    Args:
        core: the process.
        postgres: the server of its database.
    """

    def __init__(self, core: CoreService, postgres: EmbeddedPostgres) -> None:
        self._core, self._postgres = core, postgres

    async def cost(
        self, count: int, request: Callable[[httpx.AsyncClient, int], Any]
    ) -> tuple[float, float]:
        """µs of CPU of Core and of PostgreSQL for each of this many requests."""
        core, postgres = self._core.stack.core.pid, self._postgres.process.pid
        await asyncio.sleep(SETTLES_S)
        before = cpu_seconds([core]), tree_cpu(postgres)
        began = time.monotonic()
        async with httpx.AsyncClient(base_url=self._core.stack.core_url, timeout=30) as http:
            numbers = iter(range(count))

            async def work() -> None:
                for number in numbers:
                    (await request(http, number)).raise_for_status()

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        await asyncio.sleep(SETTLES_S)
        idle = await self._idle(time.monotonic() - began)
        spent = cpu_seconds([core]) - before[0], tree_cpu(postgres) - before[1]
        return tuple((one - rest) / count * 1e6 for one, rest in zip(spent, idle, strict=True))  # type: ignore[return-value]

    async def _idle(self, seconds: float) -> tuple[float, float]:
        """The CPU of both in this many seconds without requests."""
        core, postgres = self._core.stack.core.pid, self._postgres.process.pid
        before = cpu_seconds([core]), tree_cpu(postgres)
        await asyncio.sleep(SETTLES_S)
        rate = seconds / SETTLES_S
        return (cpu_seconds([core]) - before[0]) * rate, (tree_cpu(postgres) - before[1]) * rate


def of_a_socket(count: int) -> float:
    """µs of CPU of an event server's part: read, store, group by store, make records."""
    channels = {f"store:{store}" for store in range(STORES)}
    hub: Any = SimpleNamespace(epoch=EPOCH, channels_of=lambda _: channels)
    frames = Frames(as_text)
    streams: Any = SimpleNamespace(hub=hub, frames=frames, is_open=lambda _: True)
    talk = Talk(hub, frames, "node")
    ticket = SimpleNamespace(subject="owner", device="till-1")
    accepted: Any = SimpleNamespace(ticket=ticket)
    subscriber: Any = object()
    session = SocketSession(streams, talk, subscriber, accepted, 0.0)
    messages = [
        json.dumps({"event": "received", "data": {"cursor": f"store:{n % STORES}@{n}"}})
        for n in range(count)
    ]
    began = time.process_time()
    for number, message in enumerate(messages, 1):
        session.take(message, 0.0)
        if number % STORES == 0:
            talk.receipts()
    spent = time.process_time() - began
    if talk.counts["receipts"] != count:
        raise RuntimeError(f"{talk.counts} of {count} receipts were taken")
    return spent / count * 1e6


async def from_kafka(database: str, postgres: EmbeddedPostgres, count: int) -> tuple[float, float]:
    """µs of CPU of Core's part and of PostgreSQL: a batch a second, a device in each store."""
    pool = await open_pool(
        database, size=2, command_timeout_s=60, name="bench", lock_wait_s=LOCK_WAIT_S
    )

    async def nobody(_store: str) -> list[Any]:
        return []

    devices = DeviceLog(lambda batch: store_sightings(pool, batch), nobody)
    rounds = count // STORES
    values = [
        [encode_receipts(ReceiptBatch(str(store), [Receipt("till-1", "owner", EPOCH, seq)]))
         for store in range(STORES)]
        for seq in range(rounds)
    ]  # fmt: skip
    began = time.process_time(), tree_cpu(postgres.process.pid)
    for some in values:
        sightings, unread = sightings_in(some)
        if unread:
            raise RuntimeError(f"{unread} records could not be read")
        devices.saw(sightings)
        await devices.flush()
    spent = time.process_time() - began[0], tree_cpu(postgres.process.pid) - began[1]
    await pool.close()
    return spent[0] / (rounds * STORES) * 1e6, spent[1] / (rounds * STORES) * 1e6


async def measure(folder: Path, rounds: int, count: int) -> dict[str, list[tuple[float, ...]]]:
    """Measure each way, round after round."""
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()
    core = CoreService.start(await migrated_database(postgres), folder / "core")
    found: dict[str, list[tuple[float, ...]]] = {}
    try:
        owners = [bearer(token("owner", str(store))) for store in range(STORES)]
        for store, headers in enumerate(owners):
            key = {"idempotency-key": f"bench-{store}"}
            body = an_order(str(store))
            (
                await core.client.post("/v1/orders", json=body, headers=headers | key)
            ).raise_for_status()
        answer = await core.client.get("/v1/sync", params={"channel": "store:0"}, headers=owners[0])
        epoch = answer.json()["epoch"]
        cursor = answer.json()["cursor"]
        assert parse_cursor(cursor) == {"store:0": 1}

        def sync(http: httpx.AsyncClient, number: int) -> Any:
            store = number % STORES
            params = {
                "channel": f"store:{store}",
                "lastEventId": f"store:{store}@1",
                "epoch": epoch,
            }
            return http.get("/v1/sync", params=params, headers=owners[store])

        def receipt(http: httpx.AsyncClient, number: int) -> Any:
            store = number % STORES
            about = {"yabam-device": "till-1; mode=live; pending=0"}
            body = {"cursor": f"store:{store}@1", "epoch": epoch}
            return http.post("/v1/receipts", json=body, headers=owners[store] | about)

        http = Http(core, postgres)
        for _ in range(rounds):
            found.setdefault("a Fetch Sync that brings nothing", []).append(
                await http.cost(count, sync)
            )
            found.setdefault("a receipt over HTTP", []).append(await http.cost(count, receipt))
            found.setdefault("a receipt over a WebSocket, in the event server", []).append(
                (of_a_socket(10 * count), 0.0)
            )
            found.setdefault("a receipt from Kafka, in Core", []).append(
                await from_kafka(core.database, postgres, 10 * count)
            )
    finally:
        core.stop()
        await core.client.aclose()
        postgres.stop()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.receipts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=2000, help="requests of each kind and round")
    options = parser.parse_args()
    meter = QuietMeter()
    with tempfile.TemporaryDirectory(prefix="yabam-bench-") as name:
        Path(name).chmod(0o711)
        found = asyncio.run(measure(Path(name), options.rounds, options.count))
    print(f"Medians of {options.rounds} rounds. The machine: {meter.read()}.\n")
    print("| | our Python, µs of CPU | PostgreSQL, µs |\n| --- | ---: | ---: |")
    for what, samples in found.items():
        ours, theirs = (statistics.median(column) for column in zip(*samples, strict=True))
        print(f"| {what} | {ours:.0f} | {theirs:.0f} |")


if __name__ == "__main__":
    main()
