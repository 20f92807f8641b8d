"""One request to a receiver: where it may go, and what may come back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from core_api.webhooks.addresses import Networks
from core_api.webhooks.posting import Poster, resolve
from core_api.webhooks.retries import DeliveryOutcome
from server_common.limits import WEBHOOK_ANSWER_BYTES
from tests.integration.core_api.webhook_parts import LOOPBACK
from tests.serving import Serve, serving

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@asynccontextmanager
async def poster(
    networks: Networks = LOOPBACK,
    resolve: Callable[[str, int], list[str]] = lambda host, _port: [host],
    within_s: float = 30.0,
) -> AsyncIterator[Poster]:
    made = Poster(networks, resolve, within_s)
    yield made
    await made.close()


async def posted(one: Poster, url: str) -> DeliveryOutcome:
    return await one.post(url, b"{}", {"webhook-id": "1"}, NOW)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(address: str) -> None:
    connected = []

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connected.append(1)

    async with serving(serve) as port, poster(Networks(), lambda *_: [address]) as one:
        outcome = await posted(one, f"https://looks-fine.example:{port}/")
    assert outcome.kind == "unreachable"
    assert "may be sent to" in outcome.detail
    assert address not in outcome.detail
    assert connected == []


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "127.1", "017700000001", "0177.0.0.1", "0", "localhost"]
)
async def test_however_this_machine_is_spelled_it_is_not_connected_to(host: str) -> None:
    connected = []

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connected.append(1)

    # By the resolver of this machine, which reads numbers as addresses.
    async with serving(serve) as port, poster(Networks(), resolve) as one:
        outcome = await posted(one, f"https://{host}:{port}/")
    assert "may be sent to" in outcome.detail
    assert connected == []


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    async with serving(_says(b"HTTP/1.1 204 No\r\n\r\n")) as port, poster(resolve=resolve) as one:
        outcome = await posted(one, f"http://rebinding.example:{port}/")
    assert outcome.kind == "delivered"
    assert asked == ["rebinding.example"]


async def test_of_several_addresses_only_those_that_are_permitted_are_tried() -> None:
    addresses = ["10.0.0.1", "127.0.0.1"]
    async with (
        serving(_says(b"HTTP/1.1 204 No\r\n\r\n")) as port,
        poster(resolve=lambda *_: addresses) as one,
    ):
        assert (await posted(one, f"http://both.example:{port}/")).kind == "delivered"


async def test_without_encryption_only_networks_of_the_operator_are_connected_to() -> None:
    async with poster(LOOPBACK, lambda *_: ["8.8.8.8"]) as one:
        outcome = await posted(one, "http://example.com/")
    assert "may be sent to" in outcome.detail


async def test_a_name_that_nobody_resolves_is_asked_for_once_however_many_want_it() -> None:
    answered = threading.Event()
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        answered.wait()
        raise OSError("no such name")

    async with poster(resolve=resolve, within_s=0.2) as one:
        try:
            outcomes = [await posted(one, "https://nowhere.example/") for _ in range(3)]
        finally:
            answered.set()
    assert {outcome.kind for outcome in outcomes} == {"unreachable"}
    assert len(asked) == 1


async def test_a_name_that_does_not_resolve_is_told() -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    async with poster(resolve=resolve) as one:
        assert "does not resolve" in (await posted(one, "https://nowhere.example/")).detail


async def test_a_certificate_that_nobody_has_signed_is_refused() -> None:
    async with serving(_says(b"this is no TLS")) as port, poster() as one:
        outcome = await posted(one, f"https://127.0.0.1:{port}/")
    assert outcome.kind == "unreachable"


async def test_a_redirect_is_not_followed() -> None:
    moved = f"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{{port}}/again\r\n{_EMPTY}"
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(moved.replace("{port}", "1").encode())

    async with serving(serve) as port, poster() as one:
        outcome = await posted(one, f"http://127.0.0.1:{port}/")
    assert outcome == DeliveryOutcome(
        "refused", "it answered 307: redirects are not followed", status=307
    )
    assert len(asked) == 1


async def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    cut = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * WEBHOOK_ANSWER_BYTES)
                await writer.drain()
        except OSError:
            cut.set()
            raise

    async with serving(serve) as port, poster() as one:
        assert (await posted(one, f"http://127.0.0.1:{port}/")).kind == "delivered"
        await cut.wait()


async def test_an_answer_in_time_counts_however_long_the_rest_of_it_takes() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(serve) as port, poster(within_s=0.9) as one:
        assert (await posted(one, f"http://127.0.0.1:{port}/")).kind == "delivered"


async def test_interim_answers_without_end_are_not_read_for_long() -> None:
    cut = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"HTTP/1.1 102 On\r\n\r\n" * 100)
                await writer.drain()
        except OSError:
            cut.set()
            raise

    async with serving(serve) as port, poster() as one:
        outcome = await posted(one, f"http://127.0.0.1:{port}/")
        await cut.wait()
    assert outcome == DeliveryOutcome("unreachable", "it cannot be reached: its answer is too long")


async def test_an_address_that_does_not_answer_keeps_no_other_from_being_tried() -> None:
    with contextlib.ExitStack() as sockets:
        async with serving(_says(b"HTTP/1.1 204 No\r\n\r\n")) as port:
            silent = sockets.enter_context(socket.socket())
            silent.bind(("127.0.0.2", port))
            silent.listen(0)
            for _ in range(4):  # its queue is full: it takes no other
                waiting = sockets.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.2", port))
            async with poster(resolve=lambda *_: ["127.0.0.2", "127.0.0.1"], within_s=4.0) as one:
                outcome = await posted(one, f"http://both.example:{port}/")
    assert outcome.kind == "delivered"


@pytest.mark.parametrize("path", ["/", "/orders;v=1?a=b;c", "/a%20b?c"])
async def test_the_path_is_asked_for_as_it_was_registered(path: str) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(b"HTTP/1.1 204 No\r\n\r\n")
        await writer.drain()

    async with serving(serve) as port, poster() as one:
        await posted(one, f"http://127.0.0.1:{port}{path}")
    assert asked == [f"POST {path} HTTP/1.1\r\n".encode()]


async def test_a_receiver_that_answers_byte_by_byte_runs_out_of_time() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"H")
            await asyncio.sleep(0.02)

    async with serving(serve) as port, poster(within_s=0.2) as one:
        outcome = await posted(one, f"http://127.0.0.1:{port}/")
    assert outcome.kind == "unreachable"


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\x01\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n"]
)
async def test_what_is_no_http_has_failed(answer: bytes) -> None:
    async with serving(_says(answer)) as port, poster() as one:
        outcome = await posted(one, f"http://127.0.0.1:{port}/")
    assert outcome.kind == "unreachable"


_EMPTY = "content-length: 0\r\n\r\n"


def _says(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(answer)
        await writer.drain()

    return serve
