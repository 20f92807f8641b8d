"""Attacks by large numbers of channels, subscribers and cursors."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator

import httpx
from aiokafka import AIOKafkaProducer

from server_common.access.tickets import Ticket, TicketKeys
from server_common.kafka_records.events import OrderRecord, encode_order_record, partition_of
from tests.attack.site import MIB, REQUEST_TIMEOUT_S, SETTINGS, Figures, Site
from tests.attack.wires import Port, Wire
from tests.integration.core_service import KEYS, an_order, bearer, new_store, token

_LINE_BYTES = 400
_PER_TICKET = 500
_RECORDS_AT_ONCE = 2_000
_TICKETS = TicketKeys({"local": KEYS.ticket.encode()}, "local")


async def metric(site: Site, name: str) -> float:
    """The value of a metric of the event server."""
    async with httpx.AsyncClient(timeout=20) as http:
        text = await http.get(f"{site.stack.events_url}/metrics", headers=bearer(token("ops")))
    found = re.search(rf"^yabam_events_{name} (\S+)$", text.text, re.M)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


async def epoch_of(site: Site) -> str:
    """The epoch of the log."""
    async with httpx.AsyncClient(timeout=20) as http:
        url = f"{site.stack.core_url}/v1/sync?channel=store:any"
        epoch: str = (await http.get(url, headers=bearer(token("ops")))).json()["epoch"]
    return epoch


def ticket(epoch: str, channels: Iterable[str]) -> str:
    """A ticket as a sync that found nothing has just given it."""
    now = time.time()
    return _TICKETS.sign(Ticket(epoch, dict.fromkeys(channels, 0), now, now + 120, "attacker"))


def records(
    stores: list[str], epoch: str
) -> Iterator[tuple[int, bytes, bytes, list[tuple[str, bytes]]]]:
    """The first event of each store, as the relay writes it."""
    for store in stores:
        line = b'{"id":"store:%b@1","text":"%b"}' % (store.encode(), b"x" * _LINE_BYTES)
        record = OrderRecord(epoch, "order.placed", "2026-01-01T00:00:00Z",
                             (f"store:{store}@1",), (line,))  # fmt: skip
        value, headers = encode_order_record(record)
        yield partition_of(store, 4), store.encode(), value, headers


async def many_channels(site: Site, full: bool) -> Figures:
    """Events in very many channels, then streams that follow very many, then no streams."""
    count = 100_000 if full else 5_000
    figures: Figures = {"channels": count}
    stores = [f"{new_store()}-{number}" for number in range(count)]
    epoch, events = await epoch_of(site), site.stack.events
    published = await metric(site, "events_total")
    # What the setting allows the rings to hold, plus what the setting does not count (the ring
    # objects of the channels, names, the followers of a channel).
    bound = 64 + int(SETTINGS["YABAM_EVENTS_RING_BYTES"]) / MIB + count * 3072 / MIB
    async with site.watched(figures, {events: bound}):
        async with AIOKafkaProducer(bootstrap_servers=site.stack.addresses.kafka) as producer:
            for start in range(0, count, _RECORDS_AT_ONCE):
                part = list(records(stores[start : start + _RECORDS_AT_ONCE], epoch))
                await asyncio.gather(*[
                    await producer.send("order-events", value, key, partition, headers=headers)
                    for partition, key, value, headers in part])  # fmt: skip
                published += len(part)
                while await metric(site, "events_total") < published:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        figures["ring_mib"] = round(await metric(site, "ring_size_bytes") / MIB, 1)
        figures["rings"] = await metric(site, "ring_channels_count")
        figures |= await _follow_many(site, stores, epoch)
    return figures


async def _follow_many(site: Site, stores: list[str], epoch: str) -> Figures:
    port = Port(site.stack.addresses.ports.events)
    parts = [stores[at : at + _PER_TICKET] for at in range(0, len(stores), _PER_TICKET)]
    async with port.many(len(parts)) as wires:
        for wire, part in zip(wires, parts, strict=True):
            text = ticket(epoch, (f"store:{store}-followed" for store in part))
            wire.write(b"GET /v1/stream?ticket=%b HTTP/1.1\r\nHost: x\r\n\r\n" % text.encode())
        await _until_all(wires, b"event: hello")
        followed = await metric(site, "channels_followed_count")
        assert followed >= len(stores)
    while await metric(site, "channels_followed_count") > 100:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return {"followed_channels": followed, "streams": len(wires)}


async def _until_all(wires: list[Wire], text: bytes) -> None:
    async with asyncio.timeout(60):
        while not all(text in wire.received for wire in wires):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def many_subscribers(site: Site, full: bool) -> Figures:
    """Very many streams follow one channel, all with one ticket. Each gets every event."""
    count, orders = (10_000 if full else 1_000), 5
    figures: Figures = {"subscribers": count, "events": orders}
    store, port = new_store(), Port(site.stack.addresses.ports.events)
    text = ticket(await epoch_of(site), [f"store:{store}"]).encode()
    request = b"GET /v1/stream?ticket=%b HTTP/1.1\r\nHost: x\r\n\r\n" % text
    async with site.watched(figures, {site.stack.events: 48 + count * 0.01}):
        async with port.many(count) as wires, httpx.AsyncClient(timeout=20) as http:
            for wire in wires:
                wire.write(request)
            await _until_all(wires, b"event: hello")
            began = time.perf_counter()
            for _ in range(orders):
                await http.post(
                    f"{site.stack.core_url}/v1/orders",
                    json=an_order(store),
                    headers=bearer(token("owner", store)),
                )
            await _until_all(wires, b"id: store:%b@%d\n" % (store.encode(), orders))
            figures["delivered_to_all_ms"] = round(1000 * (time.perf_counter() - began), 1)
            deliveries = sum(wire.received.count(b"\nevent: order.placed\n") for wire in wires)
        figures["deliveries"] = deliveries
        assert deliveries == count * orders, "an event was lost or doubled"
    return figures


async def wide_cursors(site: Site, full: bool) -> Figures:
    """Syncs of 500 channels each, in the query and in the body. 501 channels are refused."""
    requests = 400 if full else 60
    figures: Figures = {"requests": requests, "channels_each": 500}
    channels = [f"store:{new_store()}{'x' * 40}" for _ in range(501)]
    cursor = ",".join(f"{channel}@0" for channel in channels[:500])
    statuses: list[int] = []
    async with (
        site.watched(figures, {site.stack.core: 96}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=60) as http,
    ):

        async def ask(number: int) -> None:
            headers = bearer(token("owner", "*"))
            most = 500 + number % 5 // 4  # every fifth asks for one too many
            if number % 2:
                body = {"channels": dict.fromkeys(channels[:most], 0)}
                answer = await http.post("/v1/sync", json=body, headers=headers)
            elif most == 500:
                answer = await http.get("/v1/sync", params={"lastEventId": cursor}, headers=headers)
            else:
                query = "&".join(f"channel={channel}" for channel in channels)
                answer = await http.get(f"/v1/sync?{query}", headers=headers)
            statuses.append(answer.status_code)

        for start in range(0, requests, 20):
            await asyncio.gather(*(ask(number) for number in range(start, start + 20)))
    refused = sum(status in (400, 422) for status in statuses)
    figures |= {"answered": statuses.count(200), "refused": refused}
    assert (statuses.count(200), refused) == (requests - requests // 5, requests // 5)
    return figures


async def ticket_replay(site: Site, full: bool) -> Figures:
    """One ticket is used again and again while it is valid, and afterwards."""
    times = 1_000 if full else 100
    figures: Figures = {"times": times}
    store, port = new_store(), Port(site.stack.addresses.ports.events)
    epoch, now = await epoch_of(site), time.time()
    text = _TICKETS.sign(Ticket(epoch, {f"store:{store}": 0}, now, now + 4.0, "stolen"))
    request = b"GET /v1/stream?ticket=%b HTTP/1.1\r\nHost: x\r\n\r\n" % text.encode()
    async with site.watched(figures, {site.stack.events: 48}):
        async with port.many(times) as wires:
            for wire in wires:
                wire.write(request)
            await _until_all(wires, b"\r\n\r\n")
            figures["opened_in_its_life"] = sum(200 in wire.statuses for wire in wires)
        await asyncio.sleep(max(0.0, now + 4.0 + REQUEST_TIMEOUT_S - time.time()))
        async with port.many(times) as wires:
            for wire in wires:
                wire.write(request)
            await _until_all(wires, b"\r\n\r\n")
            figures["refused_afterwards"] = sum(401 in wire.statuses for wire in wires)
    assert figures["opened_in_its_life"] == times
    assert figures["refused_afterwards"] == times
    return figures
