"""Attacks by connections: many, slow, long, and several requests in one."""

from __future__ import annotations

import asyncio
import resource
import time

import psutil

from deploy.processes.process import Process
from tests.attack.site import REQUEST_TIMEOUT_S, Figures, Site
from tests.attack.wires import Port, Wire, ended
from tests.integration.core_service import token

HALF = b"GET /v1/sync?channel=store:1 HTT"
STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n"


def servers(site: Site) -> list[tuple[Process, Port]]:
    """The two servers that clients can reach."""
    ports = site.stack.addresses.ports
    return [(site.stack.core, Port(ports.core)), (site.stack.events, Port(ports.events))]


async def half_open(site: Site, full: bool) -> Figures:
    """Connections that send half a request line, or nothing at all, and stay open.

    A half-open TCP handshake needs raw sockets and only reaches the kernel (SYN cookies). A server
    can only be made to hold connections without a request.
    """
    figures: Figures = {"connections": 10_000 if full else 1_000}
    count = int(figures["connections"])
    # Core's connections are those of uvicorn, which are larger.
    bounds = {site.stack.core: 32 + count * 0.03, site.stack.events: 32 + count * 0.01}
    for process, port in servers(site):
        async with site.watched(figures, {process: bounds[process]}):
            began = time.perf_counter()
            async with port.many(count) as wires:
                figures[f"{process.name}_opened_s"] = round(time.perf_counter() - began, 2)
                for wire in wires[::2]:
                    wire.write(HALF)
                gone = await ended(wires, REQUEST_TIMEOUT_S * 5)
            figures[f"{process.name}_ended_by_the_server"] = gone
            assert gone == count, f"{count - gone} connections without a request are still there"
    return figures


async def slow_loris(site: Site, full: bool) -> Figures:
    """Heads, and bodies, that come byte by byte and never end."""
    figures: Figures = {"connections": 2_000 if full else 200}
    count = int(figures["connections"])
    body = (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    ) % token("owner", "*").encode()
    for process, port in servers(site):
        async with (
            site.watched(figures, {process: 48 + count * 0.06}),
            port.many(count) as wires,
        ):
            began = time.perf_counter()
            for wire in wires[::2]:
                wire.write(b"GET / HTTP/1.1\r\n")
            for wire in wires[1::2]:
                wire.write(body)
            while not all(wire.ended.done() for wire in wires):
                for number, wire in enumerate(wires):
                    wire.write(b"x-%d: y\r\n" % number if number % 2 == 0 else b" ")
                assert time.perf_counter() - began < REQUEST_TIMEOUT_S * 10, "they are still there"
                await asyncio.sleep(0.1)
            figures[f"{process.name}_all_ended_after_s"] = round(time.perf_counter() - began, 2)
    return figures


async def huge_heads(site: Site, full: bool) -> Figures:
    """Heads without end: one long line, many lines, trailers."""
    figures: Figures = {"connections": 300 if full else 60}
    count = int(figures["connections"])
    line = b"GET / HTTP/1.1\r\nHost: x\r\n"
    endless = [
        (b"GET /", b"a" * 65_536),
        (line + b"X: ", b"a" * 65_536),
        (line, b"x: y\r\n" * 8_000),
        (line + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 8_000),
        (line + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 8_000),
        (line + b"Content-Length: 9999999999\r\n\r\n", b"a" * 65_536),
    ]
    for process, port in servers(site):
        # One connection may hold its head (128 KiB), which exists twice while it is joined.
        async with (
            site.watched(figures, {process: 48 + count * 0.4}),
            port.many(count) as wires,
        ):
            await asyncio.gather(
                *(_pour(wire, *endless[n % len(endless)]) for n, wire in enumerate(wires))
            )
        figures[f"{process.name}_answered_400"] = sum(400 in wire.statuses for wire in wires)
        figures[f"{process.name}_ended_by_the_server"] = sum(w.ended.done() for w in wires)
        assert all(wire.ended.done() for wire in wires)
    return figures


async def _pour(wire: Wire, begin: bytes, more: bytes) -> None:
    wire.write(begin)
    until = time.perf_counter() + REQUEST_TIMEOUT_S * 4
    while not wire.ended.done() and time.perf_counter() < until:
        if wire.transport.get_write_buffer_size() < len(more):
            wire.write(more)
        await asyncio.sleep(0.01)


async def pipelined(site: Site, full: bool) -> Figures:
    """As many pipelined requests as fit. Nobody reads the answers."""
    figures: Figures = {"connections": 20 if full else 4, "seconds": 5 if full else 1}
    count, seconds = int(figures["connections"]), float(figures["seconds"])
    requests = [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
        STREAM,
        b"GET /v1/sync HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    for process, port in servers(site):
        async with site.watched(figures, {process: 32 + count}), port.many(count) as wires:
            sent = await asyncio.gather(
                *(_flood(wire, requests[n % 4] * 500, seconds, n % 8 < 4)
                  for n, wire in enumerate(wires))
            )  # fmt: skip
            figures[f"{process.name}_mib_sent"] = round(sum(sent) / (1 << 20), 1)
            figures[f"{process.name}_answers"] = sum(len(wire.statuses) for wire in wires)
    return figures


async def _flood(wire: Wire, requests: bytes, seconds: float, deaf: bool) -> int:
    if deaf:
        wire.transport.pause_reading()
    sent, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until and not wire.ended.done():
        if wire.transport.get_write_buffer_size() < len(requests):
            wire.write(requests)
            sent += len(requests)
        await asyncio.sleep(0.005)
    return sent


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SHAPES: dict[str, bytes] = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
    "lengths in one line": b"Content-Length: 0, 36\r\n\r\n" + SMUGGLED,
    "length and chunks": b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and length": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked, not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a space before the colon": b"Content-Length : 36\r\n\r\n" + SMUGGLED,
    "a folded line": b"Transfer-Encoding:\r\n chunked\r\nX: y\r\n z\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bare LF": b"X: y\nContent-Length: 36\n\n" + SMUGGLED,
    "bare CR": b"X: y\rContent-Length: 36\r\n\r\n" + SMUGGLED,
    "a signed length": b"Content-Length: +36\r\n\r\n" + SMUGGLED,
    "a length in hex": b"Content-Length: 0x24\r\n\r\n" + SMUGGLED,
    "a length too large": b"Content-Length: 18446744073709551616\r\n\r\n" + SMUGGLED,
    "a NUL in a name": b"Content\x00-Length: 36\r\n\r\n" + SMUGGLED,
    "a chunk size too large": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + SMUGGLED,
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + SMUGGLED,
}  # fmt: skip
UNDERSTOOD = {"a folded line"}
"""All servers read it in the same way: one request and then another, nothing hidden."""


async def smuggling(site: Site, _full: bool) -> Figures:
    """Requests that two servers may end in different places. Each is refused, and the bytes after
    it are never read as another request, unless there is only one way to read them."""
    figures: Figures = {"shapes": len(SHAPES)}
    for process, port in servers(site):
        heads = [b"POST /v1/orders HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\n", STREAM[:-4]]
        async with site.watched(figures, {process: 32.0}):
            for name, rest in SHAPES.items():
                for head in heads:
                    text = head.removesuffix(b"Host: x") + b"Host: x\r\n" + rest
                    wire = await port.ask(text, 0.4)
                    assert len(wire.statuses) <= (2 if name in UNDERSTOOD else 1), (
                        process.name, name, head, wire.received)  # fmt: skip
            figures[f"{process.name}_refused"] = len(SHAPES) * len(heads)
    return figures


async def out_of_files(site: Site, full: bool) -> Figures:
    """More connections than the process may open files. Clients that are connected are served, and
    all others once there is room again."""
    figures: Figures = {"connections": 2_000 if full else 200}
    count = int(figures["connections"])
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for process, port in servers(site):
        inside = await port.open()
        inside.write(health)
        await _answered(inside, 1)
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        room = psutil.Process(process.pid).num_fds() + count // 4
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (room, limits[1]))
        try:
            async with port.many(count) as wires:
                for wire in wires:
                    wire.write(health)
                inside.write(health)
                await _answered(inside, 2)
                figures[f"{process.name}_served"] = sum(200 in wire.statuses for wire in wires)
        finally:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
        async with site.watched(figures, {process: 32.0}):
            after = await port.open()
            after.write(health)
            await _answered(after, 1)
            after.transport.abort()
        inside.transport.abort()
    return figures


async def _answered(wire: Wire, times: int) -> None:
    async with asyncio.timeout(20):
        while len(wire.statuses) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
