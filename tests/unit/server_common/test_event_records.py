"""Kafka records: read back as they were written; anything else is refused and harms nobody."""

from __future__ import annotations

import string

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.errors import RecordError
from server_common.kafka_records.events import (
    OmittedRecord,
    OrderRecord,
    WatermarkRecord,
    decode_record,
    encode_omitted_record,
    encode_order_record,
    encode_watermark_record,
    partition_of,
    split_ids,
)

words = st.text(string.ascii_letters + string.digits + "_.:@/-", min_size=1, max_size=30)
lines = st.binary(max_size=40).filter(lambda line: b"\n" not in line)
GOOD: dict[str, bytes] = {
    "type": b"order.placed",
    "ids": b"store:12@1",
    "occurred_at": b"2026-11-21T03:00:38Z",
    "epoch": b"E1",
}


@given(words, words, words, st.lists(st.tuples(words, lines), min_size=1, max_size=4))
def test_an_order_record_is_read_back_as_it_was_written(
    epoch: str, kind: str, at: str, entries: list[tuple[str, bytes]]
) -> None:
    kind = f"order.{kind}"
    record = OrderRecord(epoch, kind, at, *zip(*entries, strict=True))
    value, headers = encode_order_record(record)
    assert decode_record(value, headers) == record


def test_a_record_is_laid_out_as_the_protocol_says() -> None:
    record = OrderRecord(
        "E1", "order.placed", "2026-11-21T03:00:38Z", ("store:12@4", "table:12/5@2"), (b"1", b"2")
    )
    value, headers = encode_order_record(record)
    assert value == b"1\n2"
    assert dict(headers) == GOOD | {"ids": b"store:12@4,table:12/5@2"}


@given(st.integers(0, 4 * 10**15))
def test_a_watermark_is_read_back_to_the_microsecond(micros: int) -> None:
    record = WatermarkRecord("E1", micros / 1e6)
    headers = encode_watermark_record(record)
    assert dict(headers)["watermark"] == b"%d" % micros
    assert decode_record(None, headers) == record


def test_headers_that_we_do_not_know_are_passed_over() -> None:
    headers = [*GOOD.items(), ("traceparent", b"\xff\x00")]
    assert isinstance(decode_record(b"{}", headers), OrderRecord)


@pytest.mark.parametrize("name", GOOD)
def test_a_record_that_lacks_a_header_or_its_value_is_refused(name: str) -> None:
    lacking = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(RecordError):
        decode_record(b"{}", list(lacking.items()))
    null: list[tuple[str, bytes]] = [*lacking.items(), (name, None)]  # type: ignore[list-item]
    if name != "occurred_at":
        with pytest.raises(RecordError):
            split_ids(_ids(null))


def _ids(headers: list[tuple[str, bytes]]) -> tuple[str, ...]:
    record = decode_record(b"{}", headers)
    assert isinstance(record, OrderRecord)
    return record.ids


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [b"\xff", "é".encode()])
def test_a_header_that_is_not_ascii_is_refused(name: str, value: bytes) -> None:
    with pytest.raises(RecordError):
        decode_record(b"{}", list((GOOD | {name: value}).items()))


@pytest.mark.parametrize(
    ("ids", "value"),
    [(b"store:1@1,table:1/5@1", b"{}"), (b"store:1@1", b"{}\n{}"), (b"store:1@1,a@1", None),
     (b"store:1@1", b"{}\n")],
)  # fmt: skip
def test_as_many_lines_as_ids_or_nothing(ids: bytes, value: bytes | None) -> None:
    with pytest.raises(RecordError, match="ids and"):
        decode_record(value, list((GOOD | {"ids": ids}).items()))


@pytest.mark.parametrize(
    "watermark",
    [b"", b"x", b"-1", b"+1", b"1.5", b" 1", b"1\n", b"1_000", b"\xd9\xa1", b"9" * 19,
     b"9" * 400, b"9" * 5000, b"nan", b"inf", b"253402300800000000"],
    ids=lambda watermark: ascii(watermark)[:20],
)  # fmt: skip
def test_a_watermark_that_is_not_a_number_of_microseconds_is_refused(watermark: bytes) -> None:
    headers = [("type", b"watermark"), ("epoch", b"E1"), ("watermark", watermark)]
    with pytest.raises(RecordError):
        decode_record(None, headers)


def test_a_watermark_without_its_time_is_refused() -> None:
    with pytest.raises(RecordError, match="watermark"):
        decode_record(None, [("type", b"watermark"), ("epoch", b"E1")])


@given(
    st.none() | st.binary(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from([*GOOD, "watermark"]) | st.text(max_size=5),
            st.sampled_from([b"watermark", b"order.placed", b"E1"]) | st.binary(max_size=30),
        ),
        max_size=6,
    ),
)
def test_garbage_is_refused_as_a_record_and_in_no_other_way(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    try:
        record = decode_record(value, headers)
        named = split_ids(record.ids) if isinstance(record, OrderRecord) else []
    except RecordError:
        return
    assert all(channel and seq > 0 for channel, seq in named)


def test_the_ids_are_split_into_channel_and_seq() -> None:
    assert split_ids(["store:12@4", "table:12/5@2"]) == [("store:12", 4), ("table:12/5", 2)]
    with pytest.raises(RecordError):
        split_ids(["store:12@4", "table:12@2"])


@given(st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64))
def test_a_store_is_in_the_partition_that_kafkas_default_partitioner_picks(store: str) -> None:
    for partitions in (1, 4, 7, 100):
        expected = (murmur2(store.encode()) & 0x7FFFFFFF) % partitions
        assert partition_of(store, partitions) == expected


def test_keys_of_every_length_and_with_high_bytes_hash_as_kafkas_do() -> None:
    for length in range(1, 33):
        for letter in ("a", "\x7f", "é", "김"):
            store = letter * length
            assert partition_of(store, 2**31) == murmur2(store.encode()) & 0x7FFFFFFF


def test_known_stores_are_in_known_partitions() -> None:
    # From org.apache.kafka.common.utils.UtilsTest.testMurmur2.
    known = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
    for store, murmur in known.items():
        assert partition_of(store, 2**31) == murmur & 0x7FFFFFFF


@given(words, st.lists(words, min_size=1, max_size=4))
def test_an_omitted_record_is_read_back_and_an_old_reader_leaves_it_out(
    epoch: str, ids: list[str]
) -> None:
    record = OmittedRecord(epoch, tuple(ids))
    headers = encode_omitted_record(record)
    assert decode_record(None, headers) == record
    assert "ids" not in dict(headers), "a reader that does not know the type would publish it"
