"""Stores for bad data, one for each shard, with clients of their own."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from client_sdk import Settings
from tests.chaos.crowd import Watcher
from tests.chaos.proof import Verdict, judge
from tests.chaos.runner import NotInjectedError
from tests.chaos.site import Site
from tests.chaos.worst import TABLE, order_of, stores_of_every_shard

PARTITIONS: Final = 4
JUST_TAKEN_BY_KAFKA: Final = 1_000_000
GARBAGE: Final = (b"x" * JUST_TAKEN_BY_KAFKA, b"", b"\0", b"\xff", b"[" * 100_000, b'{"a":1}')
"""Values that no topic's reader can read."""
_ATTEMPTS: Final = 5


@dataclass(slots=True)
class Ward:
    """The stores for bad data, one for each shard, and the clients that follow them."""

    site: Site
    http: httpx.AsyncClient
    stores: list[str] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    def owner(self, store: str) -> dict[str, str]:
        """The headers of the store's owner."""
        return {"authorization": f"Bearer {self.site.token(f'owner-{store}', 'owner', store)}"}

    def guest(self, store: str) -> dict[str, str]:
        """The headers of a guest at the store's table."""
        return {"authorization": f"Bearer {self.site.guest_token(store, TABLE)}"}

    async def answered(
        self, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> httpx.Response:
        """Core's answer to a command, which is sent again after 503 with Retry-After."""
        for _ in range(_ATTEMPTS):
            answer = await self.http.post(path, json=body, headers=headers)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer

    async def place(self, store: str) -> str:
        """Place an ordinary order. Returns its id."""
        body = order_of(store, 1, "row")
        answer = await self.answered("/v1/orders", body, self.owner(store))
        if answer.status_code != 201:
            raise NotInjectedError(
                f"an ordinary order is taken: it was answered {answer.status_code}"
            )
        return str(answer.json()["id"])

    async def synced(self, store: str) -> dict[str, Any]:
        """The answer to a sync of the store's channel by its owner."""
        return await self.synced_as(self.owner(store), f"store:{store}")

    async def synced_as(self, headers: dict[str, str], channel: str) -> dict[str, Any]:
        """The answer to a sync of this channel with these headers."""
        answer = await self.http.get("/v1/sync", params={"channel": channel}, headers=headers)
        if answer.status_code != 200:
            raise NotInjectedError(f"a sync is answered: {answer.status_code}")
        return dict(answer.json())

    async def applied(self, store: str) -> dict[str, str]:
        """The cursor of each device of the store, as Core lists it; empty if Core fails."""
        answer = await self.http.get(f"/v1/stores/{store}/devices", headers=self.owner(store))
        if answer.status_code != 200:
            return {}
        return {one["device"]: one["cursor"] for one in answer.json()["devices"]}

    async def behind(self) -> list[str]:
        """The channels whose clients lack events of the log."""
        heads = await self.site.ledger.heads()
        return [w.channel for w in self.watchers if w.at < heads.get(w.channel, 0)]

    async def verdict(self) -> Verdict:
        """Compare what the clients have received with the log."""
        found = Verdict()
        expected = await self.site.ledger.log({w.channel: w.base for w in self.watchers})
        for watcher in self.watchers:
            found.add(judge(watcher.channel, expected[watcher.channel], watcher.facts))
            if watcher.failure is not None:
                found.add(Verdict(1, notes=[f"{watcher.channel}: ended by {watcher.failure!r}"]))
        return found


@asynccontextmanager
async def guarded(site: Site) -> AsyncIterator[Ward]:
    stores = stores_of_every_shard(f"poison-{uuid.uuid4().hex[:6]}", PARTITIONS)
    async with httpx.AsyncClient(base_url=site.core_url, timeout=30) as http:
        ward = Ward(site, http, stores)
        try:
            for store in stores:
                for channel in (f"store:{store}", f"table:{store}/{TABLE}"):
                    token = site.token(f"device-{channel}", "owner", store)
                    watcher = Watcher(site.core_url, token, channel, Settings())
                    ward.watchers.append(watcher)
                    watcher.start()
            for watcher in ward.watchers:
                await watcher.synced.wait()
            yield ward
        finally:
            for watcher in ward.watchers:
                with contextlib.suppress(Exception):
                    await watcher.stop()


@asynccontextmanager
async def producer(site: Site) -> AsyncIterator[AIOKafkaProducer]:
    """A Kafka producer that can send the largest records that Kafka accepts."""
    kafka = AIOKafkaProducer(bootstrap_servers=site.bootstrap, max_request_size=1 << 21)
    await kafka.start()
    try:
        yield kafka
    except MessageSizeTooLargeError as error:
        raise NotInjectedError(f"Kafka takes the records: {error!r}") from error
    finally:
        await kafka.stop()


async def send(site: Site, topic: str, values: Sequence[bytes], key: str | None = None) -> None:
    """Write these values into the key's partition; without a key, into all partitions."""
    async with producer(site) as kafka:
        partitions: Any = [None] if key else await kafka.partitions_for(topic)
        for partition in partitions:
            for value in values:
                await kafka.send_and_wait(
                    topic, value, key=key and key.encode(), partition=partition
                )
