"""Attacks by the content of requests: others' tokens, bodies, text for the log."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import Counter

import httpx

from tests.attack.site import Figures, Site
from tests.attack.wires import Port
from tests.integration.core_service import an_order, bearer, new_store, token
from tests.security.installation import log_events, log_lines
from tests.security.routes import calls, refused
from tests.security.test_logs import HOSTILE, raw

_AT_ONCE = 20


async def another_store(site: Site, full: bool) -> Figures:
    """A token of one store is sent for another store, on every route, again and again."""
    rounds = 50 if full else 4
    store = new_store()
    figures: Figures = {"rounds": rounds}
    count = 0
    async with (
        site.watched(figures, {site.stack.core: 48}),
        httpx.AsyncClient(base_url=site.stack.core_url, timeout=30) as http,
    ):
        owner = bearer(token("owner", store))
        placed = await http.post("/v1/orders", json=an_order(store), headers=owner)
        thieves = [token("owner", new_store()), token("producer", new_store()),
                   token("table", table=f"{new_store()}/5")]  # fmt: skip
        for _ in range(rounds):
            for call in calls(store, placed.json()["id"]):
                for answer in await asyncio.gather(*(call.send(http, who) for who in thieves)):
                    assert refused(answer), (call, answer.text)
                    count += 1
        order = await http.get(f"/v1/orders/{placed.json()['id']}", headers=owner)
        synced = await http.get(f"/v1/sync?channel=store:{store}", headers=owner)
    figures["refused"] = count
    assert order.json()["version"] == 1
    assert synced.json()["channels"][0]["head"] == 1
    return figures


async def bodies(site: Site, full: bool) -> Figures:
    """Bodies that are deep, huge, endless, or small until they are decompressed."""
    times = 40 if full else 6
    figures: Figures = {"times": times}
    who = token("owner", "*").encode()
    head = (
        b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\n%b\r\n"
    )
    bomb = gzip.compress(b'{"note":"' + b"a" * 20_000_000)
    deep, wide = b'{"items":' + b"[" * 65_000, b"{" + b'"a":1,' * 10_000
    chunk = b"ffff\r\n" + b" " * 65_535 + b"\r\n"
    texts = [
        b"Content-Length: %d\r\n\r\n" % len(deep) + deep,
        b"Content-Length: %d\r\n\r\n" % len(wide) + wide,
        b"Content-Length: 1099511627776\r\n\r\n" + b" " * 1_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40,
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb,
        b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(bomb), bomb),
        b"Expect: 100-continue\r\nContent-Length: 1099511627776\r\n\r\n",
    ]
    port, answers = Port(site.stack.addresses.ports.core), 0
    paths = [b"/v1/orders", b"/v1/orders/batch", b"/v1/sync"]
    async with site.watched(figures, {site.stack.core: 96}):
        for _ in range(times):
            wires = await asyncio.gather(
                *(
                    port.ask(head % (path, who, b"X: y") + text, 0.5)
                    for path in paths
                    for text in texts
                )
            )
            for wire in wires:
                assert wire.statuses, wire.received
                assert 400 <= wire.statuses[-1] < 500, wire.received
                assert b"Traceback" not in wire.received
            answers += len(wires)
    figures["refused"] = answers
    return figures


async def log_injection(site: Site, full: bool) -> Figures:
    """Line ends, escapes and JSON wherever text is accepted. The log stays one object per line,
    and no refused request can write a line of its own."""
    times = 300 if full else 20
    figures: Figures = {"times": times}
    stack = site.stack
    visible = HOSTILE.encode("unicode_escape")
    values = [HOSTILE.encode(), visible, b"\x1b[31m\x0b\x0c", b'"},{"event":"forged"']
    names = [b"Idempotency-Key", b"Yabam-Device", b"Last-Event-ID", b"Authorization", b"Cookie",
             b"Host", b"User-Agent", b"X-Forwarded-For", b"Upgrade"]  # fmt: skip
    # Not those of the relay, which logs orders of earlier attacks that no device has.
    asked_of = (stack.core, stack.events)
    before = len(log_lines(*asked_of))
    events = Counter(event["event"] for event in log_events(*asked_of))
    sent = 0
    began = time.perf_counter()
    async with site.watched(figures, {stack.core: 48, stack.events: 48}):
        for _ in range(times // _AT_ONCE):
            for url in (stack.core_url, stack.events_url):
                asked = [
                    raw(url, b"GET /%b?%b HTTP/1.1" % (visible, visible), name + b": " + value)
                    for name in names
                    for value in values
                ]
                await asyncio.gather(*asked)
                sent += len(asked)
    figures["requests"] = sent
    figures["seconds"] = round(time.perf_counter() - began, 1)
    figures["log_lines"] = len(log_lines(*asked_of)) - before
    more = Counter(event["event"] for event in log_events(*asked_of)) - events
    told = f"whoever can connect can fill the log: {more}"
    assert int(figures["log_lines"]) < 10 + sent // 100, told
    assert "forged" not in more
    return figures
