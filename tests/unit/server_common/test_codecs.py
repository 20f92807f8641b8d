"""Unpacking: as aiokafka does it, and never to more than the bound."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable

import cramjam
import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from server_common.kafka.codecs import (
    UNPACK,
    UnpackError,
    bound_aiokafka,
    unpack_gzip,
    unpack_lz4,
    unpack_snappy,
    unpack_zstd,
)
from server_common.limits import UNPACKED_BATCH_BYTES
from tests.raw_batches import GZIP, LZ4, SNAPPY, ZSTD, batch, record

MIB = 1 << 20
PACK: dict[int, Callable[[bytes], bytes]] = {
    GZIP: gzip_encode,
    SNAPPY: snappy_encode,
    LZ4: lz4_encode,
    ZSTD: zstd_encode,
}
XERIAL = bytes(snappy_encode(b""))[:16]


def plain_snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def block(data: bytes) -> bytes:
    packed = plain_snappy(data)
    return struct.pack(">i", len(packed)) + packed


ZEROS = bytes(MIB)
# Made by the test that throws it: all workers load this module.
BOMBS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "gzip, one member": (GZIP, lambda: gzip.compress(bytes(64 * MIB), 1)),
    "gzip, many members": (GZIP, lambda: gzip.compress(ZEROS, 1) * 256),
    "snappy, one block": (SNAPPY, lambda: plain_snappy(bytes(64 * MIB))),
    "snappy, a block that says it is huge": (
        SNAPPY,
        lambda: b"\xff\xff\xff\xff\x0f" + plain_snappy(ZEROS),
    ),
    "snappy, many blocks": (SNAPPY, lambda: XERIAL + block(ZEROS) * 256),
    "lz4, one frame": (LZ4, lambda: bytes(cramjam.lz4.compress(bytes(64 * MIB)))),
    "lz4, many frames": (LZ4, lambda: bytes(cramjam.lz4.compress(ZEROS)) * 256),
    "zstd, one frame": (ZSTD, lambda: bytes(cramjam.zstd.compress(bytes(64 * MIB)))),
    "zstd, many frames": (ZSTD, lambda: bytes(cramjam.zstd.compress(ZEROS)) * 256),
}
MEASURED = """
import resource, sys
from server_common.kafka.codecs import UNPACK, UnpackError
packed = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    UNPACK[int(sys.argv[1])](packed)
except UnpackError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@given(st.binary(max_size=3000), st.integers(1, 200), st.sampled_from([GZIP, SNAPPY, LZ4, ZSTD]))
def test_what_was_packed_is_unpacked(piece: bytes, times: int, codec: int) -> None:
    assert UNPACK[codec](PACK[codec](piece * times)) == piece * times


def test_snappy_without_the_blocks_of_javas_client_is_unpacked() -> None:
    assert unpack_snappy(plain_snappy(b"abc" * 1000)) == b"abc" * 1000


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_exactly_as_much_as_the_bound_is_unpacked(codec: int) -> None:
    packed = PACK[codec](bytes(UNPACKED_BATCH_BYTES))
    assert len(UNPACK[codec](packed)) == UNPACKED_BATCH_BYTES


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_byte_more_than_the_bound_is_refused(codec: int) -> None:
    packed = PACK[codec](bytes(UNPACKED_BATCH_BYTES + 1))
    with pytest.raises(UnpackError, match="more than"):
        UNPACK[codec](packed)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_more_memory_than_the_bound(name: str) -> None:
    codec, make = BOMBS[name]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(codec)], input=make(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    grown_kib = int(done.stdout or b"-1")
    assert 0 <= grown_kib / 1024 < 2.2 * UNPACKED_BATCH_BYTES / MIB


@pytest.mark.parametrize(
    "damaged",
    [
        lambda: unpack_gzip(b"no gzip"),
        lambda: unpack_gzip(gzip.compress(b"abc" * 99)[:-9]),
        lambda: unpack_snappy(b""),
        lambda: unpack_snappy(b"\xff\xff\xff\xff\xff\xff"),
        lambda: unpack_snappy(XERIAL + b"\0\0"),
        lambda: unpack_snappy(XERIAL + struct.pack(">i", -4)),
        lambda: unpack_snappy(XERIAL + struct.pack(">i", 99) + b"x"),
        lambda: unpack_lz4(b"no lz4"),
        lambda: unpack_zstd(b"no zstd"),
    ],
)
def test_what_is_damaged_is_told(damaged: Callable[[], bytes]) -> None:
    with pytest.raises(UnpackError):
        damaged()


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_aiokafka_unpacks_within_the_bound(codec: int) -> None:
    bound_aiokafka()
    large = record(0, bytes(UNPACKED_BATCH_BYTES))
    read = MemoryRecords(batch([large], codec=codec)).next_batch()
    assert read is not None
    with pytest.raises(UnpackError):
        list(read)


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_aiokafka_still_reads_what_is_within_it(codec: int) -> None:
    bound_aiokafka()
    read = MemoryRecords(batch([record(0, b"v" * 9999)], codec=codec)).next_batch()
    assert read is not None
    assert [one.value for one in read] == [b"v" * 9999]
