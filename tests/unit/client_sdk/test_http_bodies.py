"""Reading bodies: whatever they decode to, no more than the limit is ever in memory."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from client_sdk.contract.errors import FrameError
from client_sdk.transport.http_bodies import plain_chunks, read_body

MAX_BYTES = 1 << 20


class Pieces(httpx.AsyncByteStream):
    """A body in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def answer(coding: str | None, *pieces: bytes) -> httpx.Response:
    headers = {} if coding is None else {"content-encoding": coding}
    return httpx.Response(200, headers=headers, stream=Pieces(*pieces))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP "])
async def test_a_body_packed_once_is_read_whatever_its_pieces(coding: str) -> None:
    packed = gzip.compress(b"text" * 10_000)
    pieces = [packed[n : n + 1] for n in range(len(packed))]
    assert await read_body(answer(coding, *pieces), MAX_BYTES) == b"text" * 10_000


@pytest.mark.parametrize("coding", [None, "identity", ""])
async def test_a_body_as_it_is_is_read_up_to_its_limit(coding: str | None) -> None:
    assert await read_body(answer(coding, b"a", b"b"), 2) == b"ab"
    with pytest.raises(FrameError, match="longer than 2 bytes"):
        await read_body(answer(coding, b"a", b"bc"), 2)


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "deflate", "br", "zstd", "identity, gzip", "gzip,identity", "x" * 9999]
)
async def test_other_codings_and_more_than_one_are_refused(coding: str) -> None:
    with pytest.raises(FrameError, match="only gzip, once"):
        await read_body(answer(coding, b"x"), MAX_BYTES)


def a_gigabyte_of_zeros() -> bytes:
    """In gzip; after a full flush the same bytes are packed alike, so they are packed once."""
    block, times = bytes(1 << 20), 1024
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    head, checksum = gzip.compress(b"", mtime=0)[:10], 0
    for _ in range(times):
        checksum = zlib.crc32(block, checksum)
    end = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    return head + piece * times + end + struct.pack("<LL", checksum, len(block) * times)


async def test_a_small_body_that_unpacks_to_a_gigabyte_is_cut_off_at_the_limit() -> None:
    packed = a_gigabyte_of_zeros()
    assert len(packed) < 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="longer than"):
            await read_body(answer("gzip", packed), MAX_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The packed bytes once more as what is left of them, and the limit twice.
    assert peak < 2 * len(packed) + 3 * MAX_BYTES


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"no gzip at all", "not gzip"),
        (gzip.compress(b"text", mtime=0)[:-4], "cut off"),
        (gzip.compress(b"text", mtime=0)[:6], "cut off"),
        (b"", "cut off"),
        (gzip.compress(b"text", mtime=0) + b"more", "follow"),
        (gzip.compress(b"text", mtime=0) * 2, "follow"),
    ],
)
async def test_a_damaged_packed_body_is_refused(packed: bytes, why: str) -> None:
    for pieces in ([packed], [packed[n : n + 1] for n in range(len(packed))]):
        with pytest.raises(FrameError, match=why):
            await read_body(answer("gzip", *pieces), MAX_BYTES)


async def test_a_stream_is_read_as_it_is_or_not_at_all() -> None:
    assert [piece async for piece in plain_chunks(answer(None, b"a", b"b"))] == [b"a", b"b"]
    with pytest.raises(FrameError, match="nobody asked"):
        plain_chunks(answer("gzip", b"a"))


async def test_a_transport_that_answers_at_once_is_read_too() -> None:
    response = httpx.Response(200, content=b"text")
    assert await read_body(response, 4) == b"text"
    assert [piece async for piece in plain_chunks(response)] == [b"text"]
    with pytest.raises(FrameError, match="longer"):
        await read_body(response, 3)
