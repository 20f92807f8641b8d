"""Reads answers with a limit: bytes are counted while they are decoded, not afterwards.

A server may send a few bytes that decode to gigabytes. So httpx does not decode here: an answer is
plain or gzip-compressed once, and is decompressed step by step up to its limit. No other module of
the SDK sends a request by itself; a test holds that.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from client_sdk.contract.errors import ContractError, FrameError
from client_sdk.contract.text import is_token

PACKED: Final = {"accept-encoding": "gzip"}
"""The header of a request whose answer `read_body` reads."""
PLAIN: Final = {"accept-encoding": "identity"}
"""The header of a request whose answer must not be compressed."""

_GZIP: Final = zlib.MAX_WBITS | 16
_STEP_BYTES: Final = 64 << 10


def bearer(token: str) -> dict[str, str]:
    """The header that carries an access token.

    Raises:
        ContractError: no header can carry it.
    """
    return {"authorization": f"Bearer {check_token(token)}"}


def check_token(token: str) -> str:
    """The access token, if a header can carry it.

    Raises:
        ContractError: it cannot. The text does not quote it, as it may be a secret.
    """
    if not is_token(token):
        raise ContractError(
            "this is not an access token: it is empty, or has characters that no token has"
        )
    return token


def no_cookies() -> CookieJar:
    """A cookie jar that accepts none: tokens and tickets are all that servers need of a client."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


async def answer_of(
    http: httpx.AsyncClient, request: httpx.Request, limit: int
) -> tuple[httpx.Response, bytes]:
    """Send the request. Returns the answer, which is closed, and its body.

    Args:
        http: the client that made the request.
        request: with the header `PACKED`, unless its answer is known to be short.
        limit: the most bytes that the body may have once it is unpacked.

    Raises:
        httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError: there is no answer.
        FrameError: it is longer, or has another encoding than gzip.
    """
    async with opened(http, request) as response:
        return response, await read_body(response, limit)


@asynccontextmanager
async def opened(http: httpx.AsyncClient, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """Send the request; the answer's body is not read yet, and is closed at the end.

    Raises:
        httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError: there is no answer.
    """
    response = await http.send(request, stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The body, whole.

    Args:
        response: an answer that is not read yet.
        limit: the most bytes that it may have once it is unpacked.

    Raises:
        FrameError: it is longer, or has another encoding than gzip.
    """
    body = bytearray()
    async for chunk in _unpacked(response):
        body += chunk
        if len(body) > limit:
            raise FrameError(f"the body is longer than {limit} bytes")
    return bytes(body)


def plain_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The chunks of an uncompressed body.

    Raises:
        FrameError: it is compressed.
    """
    coding = _coding(response)
    if coding not in ("", "identity"):
        raise FrameError(f"the encoding {coding[:80]!a} was not requested")
    return _raw(response)


async def _unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    coding = _coding(response)
    if response.is_stream_consumed or coding in ("", "identity"):
        async for chunk in _raw(response):
            yield chunk
        return
    if coding not in ("gzip", "x-gzip"):
        raise FrameError(f"the encoding {coding[:80]!a} is not supported: use gzip")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        async for chunk in _raw(response):
            rest = chunk
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _STEP_BYTES)
                rest = unpacker.unconsumed_tail
            if rest or unpacker.unused_data:
                raise FrameError("bytes follow the end of the compressed body")
    except zlib.error as error:
        raise FrameError(f"the body is not gzip: {error}") from error
    if not unpacker.eof:
        raise FrameError("the compressed body is incomplete")


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        # The caller's own transport may have read the body already, as httpx's MockTransport.
        yield response.content
        return
    async for chunk in response.aiter_raw():
        yield chunk


def _coding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()
