"""A broker's answer, read closely: damage costs what is damaged, and nothing beside it."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from server_common.kafka.raw_records import Found, LeftOut
from server_common.kafka.record_batches import MAX_RECORDS, bytes_of_first, read_batches
from server_common.limits import UNPACKED_BATCH_BYTES
from tests.raw_batches import GZIP, LZ4, SNAPPY, ZSTD, batch, record

PARTITION = TopicPartition("orders", 3)
ALL = 1 << 40


def read(data: bytes, position: int = 0, highwater: int = ALL) -> Found:
    return read_batches(PARTITION, data, position, highwater)


def values(found: Found) -> list[bytes | tuple[int, int] | None]:
    """The values of what could be read, and the offsets of what could not."""
    return [
        (one.first, one.offset) if isinstance(one, LeftOut) else one.value for one in found.records
    ]


def three(base: int = 0) -> bytes:
    return batch([record(n, b"%d" % (base + n)) for n in range(3)], base=base)


headers = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=3)
contents = st.tuples(
    st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=300), headers
)


@given(st.lists(contents, min_size=1, max_size=8), st.sampled_from([0, GZIP, SNAPPY, LZ4, ZSTD]))
def test_what_is_whole_is_read_as_aiokafka_reads_it(
    made: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]], codec: int
) -> None:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for offset, (key, value, more) in enumerate(made):
        builder.append(offset, 1_000 + offset, key, value, more)
    data = bytes(builder.build())
    theirs = MemoryRecords(data).next_batch()
    assert theirs is not None
    found = read(data)
    assert found.next_offset == len(made)
    assert [
        (one.offset, one.timestamp, one.key, one.value, list(one.headers))
        for one in found.records
        if not isinstance(one, LeftOut)
    ] == [(one.offset, one.timestamp, one.key, one.value, one.headers) for one in theirs]


def test_a_batch_of_an_old_form_is_read() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    builder.append(0, 1_000, b"k", b"v")
    (one,) = read(bytes(builder.build())).records
    assert not isinstance(one, LeftOut)
    assert (one.key, one.value, one.timestamp, one.headers) == (b"k", b"v", 1_000, ())


def test_what_stands_before_the_offset_asked_for_is_passed_over() -> None:
    found = read(three(10) + three(13), position=12)
    assert values(found) == [b"12", b"13", b"14", b"15"]
    assert found.next_offset == 16


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_unpacks_to_more_than_the_bound_is_left_out_and_the_next_one_read(
    codec: int,
) -> None:
    bomb = batch([record(0, bytes(UNPACKED_BATCH_BYTES))], codec=codec)
    found = read(bomb + three(1))
    assert values(found) == [(0, 0), b"1", b"2", b"3"]
    (left_out, *_) = found.records
    assert isinstance(left_out, LeftOut)
    assert "more than" in left_out.reason


def test_of_very_many_small_records_so_many_are_given_as_memory_is_there_for() -> None:
    data = batch([record(n, b"") for n in range(MAX_RECORDS + 10)], codec=ZSTD)
    found = read(data)
    assert len(found.records) == found.next_offset == MAX_RECORDS
    assert len(read(data, position=found.next_offset).records) == 10


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes() -> None:
    (one,) = read(batch([record(0, b"v", headers=[(b"n\xff", b"x")])])).records
    assert not isinstance(one, LeftOut)
    assert one.headers == (("n\\xff", b"x"),)


@pytest.mark.parametrize(
    "damaged",
    [
        record(1, b"bad", headers=[(b"n", b"x")], headers_told=7),
        record(1, b"bad", headers_told=-1),
        record(1, b"bad", headers=[(b"n", b"x")], headers_told=0),
        record(7, b"bad"),
        record(0, b"bad"),
        b"\x06\x00\x80\x80",
    ],
    ids=[
        "headers missing",
        "headers below 0",
        "bytes left",
        "offset beyond",
        "offset twice",
        "cut",
    ],
)
def test_of_a_batch_with_one_damaged_record_the_others_are_read(damaged: bytes) -> None:
    found = read(batch([record(0, b"0"), damaged, record(2, b"2")]))
    assert values(found) == [b"0", (1, 1), b"2"]
    assert found.next_offset == 3


def test_a_damaged_record_comes_with_its_bytes_and_its_time() -> None:
    damaged = record(0, b"an order", headers_told=2)
    (one,) = read(batch([damaged], time_ms=1_234)).records
    assert isinstance(one, LeftOut)
    assert one.raw == damaged[1:]
    assert one.timestamp_ms == 1_234


def test_behind_a_damaged_length_the_rest_of_the_batch_is_left_out_and_the_next_is_read() -> None:
    data = batch([record(0, b"0"), b"\x7f\x01", record(2, b"2"), record(3, b"3")])
    found = read(data + three(4))
    assert values(found) == [b"0", (1, 3), b"4", b"5", b"6"]


def test_a_batch_that_cannot_be_unpacked_is_left_out_whole_with_its_bytes() -> None:
    for codec in (GZIP, SNAPPY, LZ4, ZSTD, 6):
        data = batch([b""] * 3, codec=codec, body=b"not packed at all", time_ms=1_234)
        found = read(data + three(3))
        assert values(found) == [(0, 2), b"3", b"4", b"5"]
        (first, *_) = found.records
        assert isinstance(first, LeftOut)
        assert (first.raw, first.timestamp_ms) == (data, 1_234)


def test_of_a_batch_with_a_wrong_checksum_nothing_is_believed() -> None:
    data = batch([record(0, b"0"), record(1, b"1")], checksum_off_by=1)
    found = read(data + three(2))
    assert values(found) == [(0, 1), b"2", b"3", b"4"]
    assert isinstance(found.records[0], LeftOut)
    assert found.records[0].timestamp_ms is None


def test_a_last_offset_that_cannot_be_believed_costs_one_step_and_no_good_batch() -> None:
    data = bytearray(batch([record(0, b"0"), record(1, b"1")]))
    data[23:27] = b"\x7f\xff\xff\xff"  # the distance of its last offset, which is checked
    assert values(read(bytes(data), highwater=2)) == [(0, 0)]
    assert read(bytes(data), highwater=2).next_offset == 1
    assert values(read(bytes(data) + three(2), highwater=5)) == [(0, 1), b"2", b"3", b"4"]


def test_a_batch_that_has_fewer_records_than_it_says_tells_so() -> None:
    whole = batch([record(0, b"0"), record(1, b"1"), record(2, b"2")], body=record(0, b"0"))
    assert values(read(whole)) == [b"0", (1, 2)]


def test_control_batches_hold_nothing_for_us() -> None:
    control = batch([record(0, b"\0\0\0\0\0\0", b"\0\0\0\1")], attributes=0x30)
    found = read(control + three(1))
    assert values(found) == [b"1", b"2", b"3"]
    assert read(control).next_offset == 1


def test_a_batch_that_the_answer_cuts_off_is_left_for_the_next_one() -> None:
    found = read(three() + three(3)[:-5])
    assert values(found) == [b"0", b"1", b"2"]
    assert found.next_offset == 3


def test_a_first_batch_that_is_cut_off_tells_its_size() -> None:
    assert bytes_of_first(three()[:-5]) == len(three())
    assert bytes_of_first(b"") == 0


def test_no_more_is_given_than_asked_for() -> None:
    found = read(three()).at_most(2)
    assert values(found) == [b"0", b"1"]
    assert found.next_offset == 2


def test_a_batch_full_of_nothing_is_told_in_few_words() -> None:
    found = read(batch([record(n, b"", headers_told=9) for n in range(5_000)]))
    assert len(found.records) < 200
    assert found.next_offset == 5_000


def test_a_batch_whose_offset_was_turned_back_is_passed_over() -> None:
    data = bytearray(three())
    data[0] = 128  # a negative offset: it is not under the checksum
    found = read(bytes(data), 0, 3)
    assert [(one.offset, type(one)) for one in found.records] == [(0, LeftOut)]
    assert found.next_offset == 1


@settings(max_examples=300)
@given(st.data())
def test_whatever_the_bytes_reading_goes_on_and_each_offset_is_told_once(
    data: st.DataObject,
) -> None:
    codec = data.draw(st.sampled_from([0, GZIP, ZSTD]))
    good = bytearray(
        batch([record(n, b"%d" % n, headers=[(b"n", b"v")]) for n in range(3)], codec=codec)
        + three(3)
    )
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=4)):
        good[at] = data.draw(st.integers(0, 255))
    found = read(bytes(good), 0, 6)
    assert 0 < found.next_offset <= 6
    told = [(getattr(one, "first", one.offset), one.offset) for one in found.records]
    for (_, before), (first, last) in zip([(-1, -1), *told], told, strict=False):
        assert before <= first <= last < found.next_offset
