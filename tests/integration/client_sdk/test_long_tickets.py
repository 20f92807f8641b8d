"""A ticket for hundreds of channels is longer than the URLs that httpx takes."""

from __future__ import annotations

import asyncio

import httpx

from client_sdk.machine.messages import OpenStream, StreamEnded
from client_sdk.transport.http_transport import Transport
from tests.serving import serving

TICKET = "t" * 90_000


async def test_a_stream_is_asked_for_with_a_ticket_longer_than_a_url_of_httpx() -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()

    async with serving(answer, limit=1 << 20) as port, httpx.AsyncClient() as http:
        command = OpenStream(1, f"http://127.0.0.1:{port}/v1/stream", TICKET, {"store:12": 5})
        told = [signal async for signal in Transport(http, None).stream(command)]
    target = asked[0].split(b" ")[1]
    assert target == b"/v1/stream?ticket=" + TICKET.encode() + b"&lastEventId=store%3A12%405"
    (ended,) = told
    assert isinstance(ended, StreamEnded)
    assert ended.failure.kind == "ticket"
