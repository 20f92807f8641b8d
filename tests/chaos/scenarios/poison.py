"""The worst element that passes a door, in every queue, batch, loop and shard.

What is asked for is seen from outside: no process ends, each door answers, the stores of the crowd
go on, the poisoned channels' own clients get all of theirs, and the watermark moves on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from client_sdk import Settings
from tests.chaos.crowd import Watcher
from tests.chaos.proof import Verdict, judge
from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.site import Site
from tests.chaos.worst import MOST_ITEMS, TABLE, order_of, stores_of_every_shard

PARTITIONS: Final = 4
_EVENTS: Final = "order-events"
INBOUND: Final = "orders.inbound"
_TOO_LARGE_FOR_KAFKA: Final = 1_500_000
_JUST_TAKEN_BY_KAFKA: Final = 1_000_000
_FRESH_S: Final = 5.0
_ATTEMPTS: Final = 5
_PAD: Final = "UPDATE channel_log SET body = '\"padding\":\"' || repeat('x', $2) || '\",' || body"
_RENAME: Final = (
    "UPDATE channel_log SET type = 'order.teleported',"
    " body = replace(body, '\"order.placed\"', '\"order.teleported\"')"
)
_AT: Final = " WHERE order_id = $1::text::uuid"


@dataclass(slots=True)
class Ward:
    """The poisoned stores, one for each shard, and the clients that follow them."""

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

    async def behind(self) -> list[str]:
        """The channels whose clients lack something that the log holds."""
        heads = await self.site.ledger.heads()
        return [w.channel for w in self.watchers if w.at < heads.get(w.channel, 0)]

    async def verdict(self) -> Verdict:
        """What the clients were given against the log."""
        found = Verdict()
        expected = await self.site.ledger.log({w.channel: w.base for w in self.watchers})
        for watcher in self.watchers:
            found.add(judge(watcher.channel, expected[watcher.channel], watcher.facts))
            if watcher.failure is not None:
                found.add(Verdict(1, notes=[f"{watcher.channel}: ended by {watcher.failure!r}"]))
        return found


@asynccontextmanager
async def _ward(site: Site) -> AsyncIterator[Ward]:
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


async def _poison(ground: Field) -> str:
    site = ground.site
    said = []
    async with _ward(site) as ward:
        said.append(await _largest_by_each_door(ward))
        said.append(await _hostile_texts(ward))
        said.append(await _rows_of_an_old_core(ward))
        said.append(await _bad_commands(ground, ward))
        said.append(await _strange_records(ward))

        async def level() -> bool:
            return not await ward.behind()

        await ground.until(level, "the poisoned channels' clients have all of theirs", 60)
        verdict = await ward.verdict()
    if not verdict.clean:
        raise NotInjectedError(f"the poisoned channels are whole: {verdict.notes[:2]}")
    await all_alive(ground)
    return "; ".join(said)


async def _largest_by_each_door(ward: Ward) -> str:
    """The largest order that each door takes, into every shard, by an owner's and a guest's token.

    A size that is too large must be refused, and not be the server's failure.
    """
    doors = {"/v1/orders": ward.owner, "/v1/orders/batch": ward.guest}
    taken = await asyncio.gather(
        *(_largest_by(ward, path, headers) for path, headers in doors.items())
    )
    return ", ".join(f"{path} took {items} items" for path, items in zip(doors, taken, strict=True))


async def _largest_by(ward: Ward, path: str, headers: Callable[[str], dict[str, str]]) -> int:
    """How many items the door took at most, and has now taken in every shard."""

    async def takes(store: str, items: int) -> bool:
        return await _takes(ward, path, order_of(store, items, "poison"), headers(store))

    async def largest(store: str, least: int, most: int) -> int:
        while least < most:
            middle = (least + most + 1) // 2
            if await takes(store, middle):
                least = middle
            else:
                most = middle - 1
        return least

    first, *others = ward.stores
    found = await largest(first, 0, MOST_ITEMS)

    async def same(store: str) -> int:
        # The stores' names are of nearly the same length: there is little to look for.
        if not await takes(store, found):
            return await largest(store, 0, found - 1)
        if found < MOST_ITEMS and await takes(store, found + 1):
            return await largest(store, found + 1, MOST_ITEMS)
        return found

    return max([found, *await asyncio.gather(*map(same, others))])


async def _takes(ward: Ward, path: str, order: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether the door takes the order; the owner rejects what was taken, which is as large."""
    batch = path.endswith("batch")
    body = {"items": [{"idempotency_key": str(uuid.uuid4()), "order": order}]} if batch else order
    answer = await _answered(ward, path, body, headers)
    status, placed = answer.status_code, answer.json()
    if batch and status < 300:
        (result,) = placed["results"]
        status, placed = result["status"], result.get("order")
    if status >= 500:
        raise NotInjectedError(f"{path} takes an order or refuses it: it answered {status}")
    if status < 300:
        steps = f"/v1/orders/{placed['id']}/transitions"
        owner = ward.owner(order["store_id"])
        await _answered(ward, steps, {"to": "rejected"}, owner)
    return bool(status < 300)


async def _answered(
    ward: Ward, path: str, body: dict[str, Any], headers: dict[str, str]
) -> httpx.Response:
    """The answer to a command; one that Core puts off (503, Retry-After) is sent again."""
    for _ in range(_ATTEMPTS):
        answer = await ward.http.post(path, json=body, headers=headers)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        await asyncio.sleep(float(answer.headers["retry-after"]))
    return answer


async def _hostile_texts(ward: Ward) -> str:
    """What a device says of itself reaches the batch in which all devices' words are stored."""
    statuses = []
    for store in ward.stores:
        headers = ward.owner(store) | {"yabam-device": "id=till, mode=live"}
        channel = f"store:{store}"
        for epoch in ("%00", "a%00b", "%F0%9F%8D%B2", "%ED%A0%80"):
            query = f"channel={channel}&lastEventId={channel}@1&epoch={epoch}"
            answer = await ward.http.get(f"/v1/sync?{query}", headers=headers)
            statuses.append(answer.status_code)
        for epoch in ("\0", "a\0b"):
            body = {"channels": {channel: 1}, "epoch": epoch}
            answer = await ward.http.post("/v1/sync", json=body, headers=headers)
            statuses.append(answer.status_code)
    if worst := [status for status in statuses if status >= 500]:
        raise NotInjectedError(f"a sync with a hostile epoch is answered: {worst[:3]}")
    return f"{len(statuses)} syncs with hostile epochs"


async def _rows_of_an_old_core(ward: Ward) -> str:
    """Rows that are in the database already: a record that Kafka will never take, and one of a
    type that nobody knows."""
    relays = [p for p in ward.site.stack.processes if p.name.startswith("relay")]
    run = ward.site.ledger.run
    for relay in relays:
        relay.suspend()
    try:
        for store in ward.stores:
            large, strange = await _place(ward, store), await _place(ward, store)
            await run(_PAD + _AT, large, _TOO_LARGE_FOR_KAFKA)
            await run(_RENAME + _AT, strange)
            await _place(ward, store)  # what stands behind them must get through
    finally:
        for relay in relays:
            relay.resume()
    return f"{2 * len(ward.stores)} rows that no relay can publish or no client knows"


async def _place(ward: Ward, store: str) -> str:
    headers = ward.owner(store)
    answer = await _answered(ward, "/v1/orders", order_of(store, 1, "row"), headers)
    if answer.status_code != 201:
        raise NotInjectedError(f"an ordinary order is taken: it was answered {answer.status_code}")
    return str(answer.json()["id"])


async def _bad_commands(ground: Field, ward: Ward) -> str:
    """Garbage and the largest commands in front of an ordinary one, in every partition."""
    references = [f"behind-{uuid.uuid4()}" for _ in ward.stores]
    async with producer(ward.site) as kafka:
        for store, reference in zip(ward.stores, references, strict=True):
            worst = [
                b"x" * _JUST_TAKEN_BY_KAFKA,
                bytes(64),
                b'{"command":' + b"[" * 100_000,
                command(order_of(store, MOST_ITEMS, "large")),
                command(order_of(store, 20, "large")),
                command(order_of(store, 1, "nul") | {"note": "\0"}),
                command(order_of(store, 1, reference)),
            ]
            for value in worst:
                await kafka.send_and_wait(INBOUND, value, key=store.encode())

    async def applied() -> bool:
        return len(await ward.site.ledger.by_reference(references)) == len(references)

    await ground.until(applied, "commands behind bad ones are applied", 60)
    return "bad commands in every partition"


def command(order: dict[str, Any]) -> bytes:
    """The command that places an order."""
    return msgspec.json.encode(
        {"command": "place", "idempotency_key": str(uuid.uuid4()), "subject": "till", "body": order}
    )


async def _strange_records(ward: Ward) -> str:
    """Records of strangers where only the relay should write."""
    answer = await ward.http.get(
        "/v1/sync",
        params={"channel": f"store:{ward.stores[0]}"},
        headers=ward.owner(ward.stores[0]),
    )
    epoch = str(answer.json()["epoch"]).encode()
    sent = 0
    async with producer(ward.site) as kafka:
        for partition in range(PARTITIONS):
            for number, value in enumerate(
                [b"x" * _JUST_TAKEN_BY_KAFKA, b"\0", b'{"status":"teleported"}', b"[" * 50_000]
            ):
                ids = f"store:stranger-{partition}@{number + 1}".encode()
                headers = [
                    ("type", b"order.teleported"), ("ids", ids), ("epoch", epoch),
                    ("occurred_at", b"2026-01-01T00:00:00Z"),
                ]  # fmt: skip
                await kafka.send_and_wait(
                    _EVENTS, value, partition=partition, headers=headers,
                    timestamp_ms=int(time.time() * 1000),
                )  # fmt: skip
                sent += 1
    return f"{sent} records of strangers"


@asynccontextmanager
async def producer(site: Site) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of somebody's, which sends what Kafka just takes."""
    kafka = AIOKafkaProducer(bootstrap_servers=site.bootstrap, max_request_size=1 << 21)
    await kafka.start()
    try:
        yield kafka
    except MessageSizeTooLargeError as error:
        raise NotInjectedError(f"Kafka takes the records: {error!r}") from error
    finally:
        await kafka.stop()


async def all_alive(ground: Field) -> None:
    """No process has ended, and every event server's watermark moves on."""
    site = ground.site
    await ground.last(3)
    if ended := [p.name for p in site.stack.processes if p.exit_status is not None]:
        raise NotInjectedError(f"all processes live: {', '.join(ended)} ended")

    async def fresh() -> bool:
        name = "yabam_events_watermark_lag_seconds"
        servers = [p for p in site.stack.processes if p.name.startswith("events")]
        return all([await site.metric(server, name) < _FRESH_S for server in servers])

    await ground.until(fresh, "watermarks move on", 30)


SCENARIOS = [
    Scenario(
        "poison",
        "the worst element that passes a door, in every queue, batch, loop and shard",
        _poison,
        needs_kafka=True,
    )
]
