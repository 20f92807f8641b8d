"""Puts the worst element that an interface accepts into every queue, batch, loop and shard.

The result is checked from outside: no process ends, each interface answers, the other stores go on,
the clients of the poisoned channels receive all their events, and the watermark advances.

Edits of documents in a batch are not among the elements: `damaged-rows` puts the worst edits before
good ones, and edits of damaged documents beside those of whole ones.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import httpx
import msgspec
from websockets.exceptions import WebSocketException

from tests.chaos.runner import Field, NotInjectedError, Scenario
from tests.chaos.scenarios.poison_beside import messages, receipts, revocations
from tests.chaos.scenarios.poison_devices import device_messages
from tests.chaos.scenarios.poison_phones import phones
from tests.chaos.scenarios.poison_prints import prints
from tests.chaos.scenarios.poison_webhooks import webhooks
from tests.chaos.ward import JUST_TAKEN_BY_KAFKA, PARTITIONS, Ward, guarded, producer
from tests.chaos.worst import (
    EPOCH_REFUSALS,
    MAX_ITEMS,
    order_of,
    reporting,
    with_hostile_epochs,
)

_EVENTS: Final = "order-events"
INBOUND: Final = "orders.inbound"
_TOO_LARGE_FOR_KAFKA: Final = 1_500_000
_FRESH_S: Final = 5.0
_MAX_TEXT: Final = 160
_FAILURES: Final = (NotInjectedError, httpx.HTTPError, OSError, WebSocketException)
_PAD: Final = "UPDATE channel_log SET body = '\"padding\":\"' || repeat('x', $2) || '\",' || body"
_RENAME: Final = (
    "UPDATE channel_log SET type = 'order.teleported',"
    " body = replace(body, '\"order.placed\"', '\"order.teleported\"')"
)
_AT: Final = " WHERE order_id = $1::text::uuid"


async def _poison(ground: Field) -> str:
    said: list[str] = []
    wrong: dict[str, str] = {}
    async with guarded(ground.site) as ward:

        async def level() -> bool:
            return not await ward.behind()

        for put in _ELEMENTS:
            try:
                said.append(await put(ground, ward))
            except _FAILURES as error:
                # The next element is tried even if this one has caused an error.
                wrong[put.__name__.strip("_")] = f"{error!r}"[:_MAX_TEXT]
        try:
            await ground.until(level, "the poisoned channels' clients have all of theirs", 60)
            if notes := (await ward.verdict()).notes:
                wrong["clients"] = f"{notes[:2]}"
        except NotInjectedError as error:
            wrong["clients"] = str(error)
    if wrong:
        raise NotInjectedError(f"{', '.join(wrong)}: {'; '.join(wrong.values())}")
    await all_alive(ground)
    return "; ".join(said)


async def _largest_by_each_door(_: Field, ward: Ward) -> str:
    """Place the largest order that each interface accepts, in every shard, as owner and as guest.

    An order that is too large must be refused, and not cause an error of the server.
    """
    doors = {"/v1/orders": ward.owner, "/v1/orders/batch": ward.guest}
    taken = await asyncio.gather(
        *(_largest_by(ward, path, headers) for path, headers in doors.items())
    )
    return ", ".join(f"{path} took {items} items" for path, items in zip(doors, taken, strict=True))


async def _largest_by(ward: Ward, path: str, headers: Callable[[str], dict[str, str]]) -> int:
    """The most items that the interface accepts; such an order is placed in every shard."""

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
    found = await largest(first, 0, MAX_ITEMS)

    async def same(store: str) -> int:
        # The stores' names have nearly the same length, so the limit is nearly the same.
        if not await takes(store, found):
            return await largest(store, 0, found - 1)
        if found < MAX_ITEMS and await takes(store, found + 1):
            return await largest(store, found + 1, MAX_ITEMS)
        return found

    return max([found, *await asyncio.gather(*map(same, others))])


async def _takes(ward: Ward, path: str, order: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether the interface accepts the order. The owner then rejects it: an event as large."""
    batch = path.endswith("batch")
    body = {"items": [{"idempotency_key": str(uuid.uuid4()), "order": order}]} if batch else order
    answer = await ward.answered(path, body, headers)
    status, placed = answer.status_code, answer.json()
    if batch and status < 300:
        (result,) = placed["results"]
        status, placed = result["status"], result.get("order")
    if status >= 500:
        raise NotInjectedError(f"{path} takes an order or refuses it: it answered {status}")
    if status < 300:
        steps = f"/v1/orders/{placed['id']}/transitions"
        owner = ward.owner(order["store_id"])
        await ward.answered(steps, {"to": "rejected"}, owner)
    return bool(status < 300)


async def _hostile_epochs(ground: Field, ward: Ward) -> str:
    """Send reports of devices with invalid epochs, which share a batch with valid reports.

    One connection leads to one Core, so all reports are in the same Core's batch.
    """
    told: Counter[tuple[int, str]] = Counter()
    one = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=ward.site.core_url, timeout=30, limits=one) as http:
        for store in ward.stores:
            channel, owner = f"store:{store}", ward.owner(store)
            epoch = (await ward.synced(store))["epoch"]
            await _reports(http, "till-1", f"{channel}@1", epoch, owner)
            await ground.until(partial(_stand, ward, store, ["till-1"]), "a good report is stored")
            headers = owner | reporting("till-1") | {"content-type": "application/json"}
            for method, path, body in with_hostile_epochs(channel):
                answer = await http.request(method, path, content=body, headers=headers)
                told[answer.status_code, answer.json().get("type", "")] += 1
            await _reports(http, "till-2", f"{channel}@1", epoch, owner)
            both = ["till-1", "till-2"]
            what = "good reports stand beside hostile ones"
            await ground.until(partial(_stand, ward, store, both), what)
    if strange := told.keys() - EPOCH_REFUSALS:
        raise NotInjectedError(f"a hostile epoch is refused: it was answered {strange}")
    return f"{sum(told.values())} hostile epochs refused"


async def _reports(
    http: httpx.AsyncClient, device: str, cursor: str, epoch: str, owner: dict[str, str]
) -> None:
    """Sync as a device that reports its name."""
    query = f"lastEventId={cursor}&epoch={epoch}"
    answer = await http.get(f"/v1/sync?{query}", headers=owner | reporting(device))
    if answer.status_code != 200:
        raise NotInjectedError(f"a device's sync is answered: {answer.status_code}")


async def _stand(ward: Ward, store: str, devices: Sequence[str]) -> bool:
    """Whether Core knows that each of these devices has applied the store's first event."""
    applied = await ward.applied(store)
    return all(applied.get(device) == f"store:{store}@1" for device in devices)


async def _rows_of_an_old_core(_: Field, ward: Ward) -> str:
    """Put rows into the outbox: a record that Kafka never accepts, and one of an unknown type."""
    relays = [p for p in ward.site.stack.processes if p.name.startswith("relay")]
    run = ward.site.ledger.run
    for relay in relays:
        relay.suspend()
    try:
        for store in ward.stores:
            large, strange = await ward.place(store), await ward.place(store)
            await run(_PAD + _AT, large, _TOO_LARGE_FOR_KAFKA)
            await run(_RENAME + _AT, strange)
            await ward.place(store)  # the orders after these rows must be published
    finally:
        for relay in relays:
            relay.resume()
    return f"{2 * len(ward.stores)} rows that no relay can publish or no client knows"


async def _bad_commands(ground: Field, ward: Ward) -> str:
    """Send invalid and the largest commands before an ordinary one, in every partition."""
    references = [f"behind-{uuid.uuid4()}" for _ in ward.stores]
    async with producer(ward.site) as kafka:
        for store, reference in zip(ward.stores, references, strict=True):
            worst = [
                b"x" * JUST_TAKEN_BY_KAFKA,
                bytes(64),
                b'{"command":' + b"[" * 100_000,
                command(order_of(store, MAX_ITEMS, "large")),
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


async def _strange_records(_: Field, ward: Ward) -> str:
    """Write foreign records to the topic to which only the relay should write."""
    epoch = str((await ward.synced(ward.stores[0]))["epoch"]).encode()
    sent = 0
    async with producer(ward.site) as kafka:
        for partition in range(PARTITIONS):
            for number, value in enumerate(
                [b"x" * JUST_TAKEN_BY_KAFKA, b"\0", b'{"status":"teleported"}', b"[" * 50_000]
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


async def all_alive(ground: Field) -> None:
    """Check that no process has ended, and that every event server's watermark advances."""
    site = ground.site
    await ground.last(3)
    if ended := [p.name for p in site.stack.processes if p.exit_status is not None]:
        raise NotInjectedError(f"all processes live: {', '.join(ended)} ended")

    async def fresh() -> bool:
        name = "yabam_events_watermark_lag_seconds"
        servers = [p for p in site.stack.processes if p.name.startswith("events")]
        return all([await site.metric(server, name) < _FRESH_S for server in servers])

    await ground.until(fresh, "watermarks move on", 30)


async def _webhook_lanes(ground: Field, ward: Ward) -> str:
    """Put the same rows into the outbox, with webhooks whose receivers hang or refuse."""
    async with webhooks(ward) as lanes:
        await _rows_of_an_old_core(ground, ward)
        await lanes.pass_damage(ground)
        await lanes.prove(ground)
    return "webhooks that hang, refuse or meet an event that is none"


_ELEMENTS: Final[tuple[Callable[[Field, Ward], Awaitable[str]], ...]] = (
    _largest_by_each_door,
    _hostile_epochs,
    _rows_of_an_old_core,
    _bad_commands,
    _strange_records,
    receipts,
    revocations,
    messages,
    device_messages,
    prints,
    phones,
    _webhook_lanes,
)
SCENARIOS = [
    Scenario(
        "poison",
        "the worst element that passes a door, in every queue, batch, loop and shard",
        _poison,
        needs_kafka=True,
        needs_webhooks=True,
    )
]
