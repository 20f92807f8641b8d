"""Reading answers: bytes are counted as they are decoded, never after.

A server may send a few bytes that decode to gigabytes. So httpx does not decode here: an answer
comes as it is, or packed by gzip once, and is unpacked step by step up to its limit.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from client_sdk.contract.errors import FrameError

PACKED: Final = {"accept-encoding": "gzip"}
"""The header of a request whose answer `read_body` reads."""
PLAIN: Final = {"accept-encoding": "identity"}
"""The header of a request whose answer must come as it is."""

_GZIP: Final = zlib.MAX_WBITS | 16
_STEP_BYTES: Final = 64 << 10


def no_cookies() -> CookieJar:
    """A jar that keeps no cookie: tokens and tickets say all that a server may know of a client."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """The body, whole.

    Args:
        response: an answer that is not read yet.
        limit: the most bytes that it may have once it is unpacked.

    Raises:
        FrameError: it is longer, or packed otherwise than by gzip once.
    """
    body = bytearray()
    async for chunk in _unpacked(response):
        body += chunk
        if len(body) > limit:
            raise FrameError(f"the body is longer than {limit} bytes")
    return bytes(body)


def plain_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The pieces of a body that comes as it is.

    Raises:
        FrameError: it is packed.
    """
    coding = _coding(response)
    if coding not in ("", "identity"):
        raise FrameError(f"it is packed by {coding[:80]!a}, and nobody asked for that")
    return _raw(response)


async def _unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    coding = _coding(response)
    if response.is_stream_consumed or coding in ("", "identity"):
        async for chunk in _raw(response):
            yield chunk
        return
    if coding not in ("gzip", "x-gzip"):
        raise FrameError(f"the body is packed by {coding[:80]!a}: only gzip, once, is read")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        async for chunk in _raw(response):
            rest = chunk
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, _STEP_BYTES)
                rest = unpacker.unconsumed_tail
            if rest or unpacker.unused_data:
                raise FrameError("bytes follow the end of the packed body")
    except zlib.error as error:
        raise FrameError(f"the body is not gzip: {error}") from error
    if not unpacker.eof:
        raise FrameError("the packed body is cut off")


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        # A transport of the caller's own that answers at once, as httpx's MockTransport.
        yield response.content
        return
    async for chunk in response.aiter_raw():
        yield chunk


def _coding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()
