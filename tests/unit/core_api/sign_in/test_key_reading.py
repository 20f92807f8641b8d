"""How a provider's keys are read: within bounds, and again and again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from core_api.access.provider import key_reading
from core_api.access.provider.address import Provider, is_safe_url
from core_api.access.provider.key_reading import KeyReader, read_keys
from core_api.access.provider.key_set import KeyName
from core_api.access.provider.known_keys import KnownKeys
from core_api.errors import ProviderError, ProviderKeysUnknownError
from server_common.limits import PROVIDER_ANSWER_BYTES
from tests.serving import serving
from tests.unit.core_api.sign_in.provider import ALL_KEYS, jwk, key_set

Answer = Callable[[str, int], bytes]
"""The whole answer to a path, of a provider on a port."""


def ok(body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\n{more}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def described(port: int, **more: str) -> bytes:
    here = f"http://127.0.0.1:{port}"
    return ok(json.dumps({"issuer": here, "jwks_uri": f"{here}/keys", **more}).encode())


def usual(path: str, port: int) -> bytes:
    return described(port) if path.startswith("/.well-known") else ok(ALL_KEYS)


@asynccontextmanager
async def provider(answer: Answer = usual) -> AsyncIterator[tuple[Provider, list[str]]]:
    """A provider, and the paths that it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split()[1])
        port = writer.get_extra_info("sockname")[1]
        writer.write(answer(asked[-1], port))
        await writer.drain()

    async with serving(serve) as port:
        yield Provider(f"http://127.0.0.1:{port}"), asked


async def read(where: Provider) -> list[KeyName]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return list((await read_keys(client, where)).keys)


async def test_the_keys_are_where_the_providers_description_says() -> None:
    async with provider() as (where, asked):
        assert len(await read(where)) == 3
    assert asked == ["/.well-known/openid-configuration", "/keys"]


async def test_the_keys_are_where_the_setting_says() -> None:
    async with provider() as (where, asked):
        assert len(await read(Provider(where.issuer, f"{where.issuer}/certs"))) == 3
    assert asked == ["/certs"]


ODD: dict[str, Answer] = {
    "another issuer": lambda _path, port: described(port, issuer="https://other.example"),
    "an address without https": lambda _p, port: described(port, jwks_uri="http://example.com/k"),
    "no address": lambda _path, port: described(port, jwks_uri=""),
    "no JSON": lambda _path, _port: ok(b"<html>"),
    "a redirect": lambda _path, port: (
        f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{port}/keys\r\ncontent-length: 0\r\n\r\n"
    ).encode(),
    "an error": lambda _path, _port: b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": lambda _path, _port: b"\0\0\0\0\r\n\r\n",
    "nothing": lambda _path, _port: b"",
    "half": lambda _path, _port: ok(ALL_KEYS)[:-10],
    "too much": lambda path, port: (
        described(port) if "well-known" in path else ok(b" " * (PROVIDER_ANSWER_BYTES + 1))
    ),
    "what is compressed": lambda path, port: (
        described(port) if "well-known" in path else ok(ALL_KEYS, "content-encoding: gzip\r\n")
    ),
}


@pytest.mark.parametrize("which", ODD)
async def test_an_answer_that_is_not_what_it_must_be_is_refused(which: str) -> None:
    async with provider(ODD[which]) as (where, _asked):
        with pytest.raises(ProviderError):
            await read(where)


async def test_an_answer_without_end_is_given_up() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (4 * PROVIDER_ANSWER_BYTES)
    async with provider(lambda _path, _port: endless) as (where, _asked):
        with pytest.raises(ProviderError, match="more than"):
            await read(where)


async def test_a_provider_that_answers_byte_by_byte_runs_out_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_reading, "_ANSWER_WITHIN_S", 0.5)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(serve) as port, asyncio.timeout(30):
        with pytest.raises(ProviderError, match="does not answer"):
            await read(Provider(f"http://127.0.0.1:{port}"))


@asynccontextmanager
async def kept(where: Provider) -> AsyncIterator[tuple[KnownKeys, asyncio.Queue[bool]]]:
    """Keys that are kept, and how each reading went."""
    readings: asyncio.Queue[bool] = asyncio.Queue()
    reader = KeyReader(where, time.monotonic, readings.put_nowait, at_most_every_s=0.01)
    known = KnownKeys(time.monotonic, reader.want)
    task = asyncio.create_task(reader.keep(known))
    try:
        yield known, readings
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_absent_provider_is_asked_again_until_it_answers() -> None:
    down = True

    def answer(path: str, port: int) -> bytes:
        return b"" if down else usual(path, port)

    async with provider(answer) as (where, _), kept(where) as (known, readings):
        assert await readings.get() is False
        assert await readings.get() is False
        down = False
        while not await readings.get():
            pass
        assert known.find(KeyName("key-RS256", "RS256"))


async def test_an_unknown_key_is_looked_for_and_a_provider_that_fails_takes_none_away() -> None:
    bodies = [key_set(jwk("RS256")), b"broken", ALL_KEYS]

    def answer(path: str, port: int) -> bytes:
        if "well-known" in path:
            return described(port)
        return ok(bodies.pop(0) if len(bodies) > 1 else bodies[0])

    async with provider(answer) as (where, _), kept(where) as (known, readings):
        assert await readings.get() is True
        with pytest.raises(ProviderKeysUnknownError):
            known.find(KeyName("key-ES256", "ES256"))
        assert await readings.get() is False
        assert known.find(KeyName("key-RS256", "RS256"))
        assert await readings.get() is True
        assert known.find(KeyName("key-ES256", "ES256"))


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "https://a.example/realms/x?y=1", "http://127.0.0.1:9/keys",
     "http://localhost", "http://[::1]:8080/keys"],
)  # fmt: skip
def test_https_and_this_machine_are_safe(url: str) -> None:
    assert is_safe_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://a.example", "http://127.0.0.1.evil.example/", "http://localhost.evil.example",
     "http://127.0.0.1@evil.example/", "https://user@a.example", "ftp://a.example", "//a.example",
     "https://", "https://a.example/ x", "https://a.example#x", "file:///etc/passwd", ""],
)  # fmt: skip
def test_nothing_else_is(url: str) -> None:
    assert not is_safe_url(url)
