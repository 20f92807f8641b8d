"""Decompression of batches with a bound: a few bytes may decompress to gigabytes.

aiokafka decompresses a batch whole, however large it becomes. These functions replace its own, and
never hold more than the bound at once. Pure but for that replacement.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import cramjam
from aiokafka.record import default_records, legacy_records

from server_common.limits import UNPACKED_BATCH_BYTES

_GZIP: Final = 31
_FIRST_TRY_BYTES: Final = 64 * 1024
_GROWTH: Final = 8
_XERIAL: Final = b"\x82SNAPPY\0"
_XERIAL_HEAD_BYTES: Final = 16
_BLOCK: Final = struct.Struct(">i")


class UnpackError(ValueError):
    """The data is damaged, or would decompress to more than the bound."""


def unpack_gzip(packed: Any) -> bytes:
    """Decompress gzip data of one or more members.

    Raises:
        UnpackError: see there.
    """
    pieces: list[bytes] = []
    left, rest = UNPACKED_BATCH_BYTES, bytes(packed)
    while rest:
        member = zlib.decompressobj(_GZIP)
        try:
            piece = member.decompress(rest, left + 1)
        except zlib.error as error:
            raise UnpackError(str(error)) from error
        if len(piece) > left:
            raise _too_large()
        if not member.eof:
            raise UnpackError("it is cut off")
        pieces.append(piece)
        left -= len(piece)
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(pieces)


def unpack_snappy(packed: Any) -> bytes:
    """Decompress snappy data: one block, or the blocks that Java's client writes.

    Raises:
        UnpackError: see there.
    """
    data = bytes(packed)
    if not data.startswith(_XERIAL):
        return _snappy_block(data, UNPACKED_BATCH_BYTES)
    pieces: list[bytes] = []
    left, at = UNPACKED_BATCH_BYTES, _XERIAL_HEAD_BYTES
    while at < len(data):
        if len(data) - at < _BLOCK.size:
            raise UnpackError("it is cut off")
        (length,) = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if not 0 <= length <= len(data) - at:
            raise UnpackError(f"a block of {length} bytes where {len(data) - at} are left")
        pieces.append(_snappy_block(data[at : at + length], left))
        left -= len(pieces[-1])
        at += length
    return b"".join(pieces)


def unpack_lz4(packed: Any) -> bytes:
    """What was packed.

    Raises:
        UnpackError: see there.
    """
    return _into(cramjam.lz4.decompress_into, bytes(packed))


def unpack_zstd(packed: Any) -> bytes:
    """What was packed.

    Raises:
        UnpackError: see there.
    """
    return _into(cramjam.zstd.decompress_into, bytes(packed))


UNPACK: Final[Mapping[int, Callable[[Any], bytes]]] = {
    1: unpack_gzip,
    2: unpack_snappy,
    3: unpack_lz4,
    4: unpack_zstd,
}
"""The functions by the codec's number in a batch's header."""


def bound_aiokafka() -> None:
    """Replace aiokafka's decompression by these functions, in the whole process."""
    named = {
        "gzip_decode": unpack_gzip,
        "snappy_decode": unpack_snappy,
        "lz4_decode": unpack_lz4,
        "zstd_decode": unpack_zstd,
    }
    # aiokafka has its reader twice: in Python, and compiled where its wheel fits the machine.
    used = (default_records.DefaultRecordBatch, legacy_records.LegacyRecordBatch)
    for module in (default_records, legacy_records, *(sys.modules[one.__module__] for one in used)):
        for name in named.keys() & vars(module).keys():
            setattr(module, name, named[name])


def _snappy_block(block: bytes, left: int) -> bytes:
    # The library allocates the size that the block claims before it unpacks: check the claim first.
    if _said(block) > left:
        raise _too_large()
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise UnpackError(str(error)) from error


def _said(block: bytes) -> int:
    """The decompressed size that a snappy block claims."""
    size = 0
    for shift, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << 7 * shift
        if not byte & 0x80:
            return size
    raise UnpackError("a block that does not say how long it is")


def _into(decompress_into: Callable[[bytes, bytearray], int], packed: bytes) -> bytes:
    # These libraries fail when the buffer is full. Most batches need far less than the bound.
    size = min(UNPACKED_BATCH_BYTES, max(_FIRST_TRY_BYTES, _GROWTH * len(packed)))
    while True:
        room = bytearray(size)
        try:
            return bytes(memoryview(room)[: decompress_into(packed, room)])
        except cramjam.DecompressionError as error:
            if size == UNPACKED_BATCH_BYTES:
                raise UnpackError(
                    f"damaged, or more than {UNPACKED_BATCH_BYTES} bytes: {error}"
                ) from error
        size = min(UNPACKED_BATCH_BYTES, size * _GROWTH)


def _too_large() -> UnpackError:
    return UnpackError(f"it unpacks to more than {UNPACKED_BATCH_BYTES} bytes")
