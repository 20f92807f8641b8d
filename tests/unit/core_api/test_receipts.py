"""Receipts: who may give them, who has an order, when they lag."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from client_sdk.contract.device import DeviceReport
from client_sdk.contract.errors import RecordError
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError
from core_api.receipts.devices import Sighting, merged, receipt_of, receipts_of
from core_api.receipts.from_kafka import sightings_in
from core_api.receipts.holders import PrintSeen, holding, printers_of
from core_api.receipts.receipts_lag import lags
from server_common.kafka_records.receipts import (
    MAX_RECEIPTS,
    Receipt,
    ReceiptBatch,
    decode_receipts,
    encode_receipts,
)

REPORT = DeviceReport("till-1", "live", 0)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_an_owners_device_gives_one_receipt_for_each_of_its_stores() -> None:
    owner = Caller("till", "owner", frozenset({"1", "2"}))
    cursor = {"store:1": 4, "store:2": 5, "table:1/5": 7, "public:1": 8}
    found = receipts_of(owner, REPORT, cursor, "E")
    assert [(one.store_id, one.applied, one.is_receipt) for one in found] == [
        ("1", 4, True),
        ("2", 5, True),
    ]


@pytest.mark.parametrize(
    "caller",
    [
        Caller("ops", "ops", frozenset()),
        Caller("pos", "producer", frozenset({"1"})),
        Caller("till", "owner", frozenset({"2"})),
    ],
    ids=["ops", "producer", "another-store"],
)
def test_others_may_give_none(caller: Caller) -> None:
    with pytest.raises(ForbiddenError):
        receipts_of(caller, REPORT, {"store:1": 4}, "E")


@pytest.mark.parametrize(
    ("mode", "applied", "seq", "state"),
    [
        ("live", 7, 7, "received"),
        ("offline", 8, 7, "received"),
        ("live", 6, 7, "sent"),
        ("polling", 6, 7, "sent"),
        ("starting", 6, 7, "waiting"),
        ("offline", 6, 7, "waiting"),
        ("offline", 1, None, "received"),
        ("offline", 0, None, "waiting"),
    ],
)
def test_who_has_an_order(mode: str, applied: int, seq: int | None, state: str) -> None:
    assert holding(mode, applied, seq, None) == state  # type: ignore[arg-type]


def test_a_device_that_has_shown_an_order_has_seen_it_whatever_else_it_says() -> None:
    assert holding("offline", 0, 7, NOON) == "seen"


@pytest.mark.parametrize(
    ("jobs", "state"),
    [
        ([("queued", False)], "queued"),
        ([("done", False)], "printed"),
        ([("done", False), ("queued", False)], "queued"),
        ([("sent", False), ("queued", False)], "sent"),
        ([("doubtful", False), ("sent", False)], "doubtful"),
        ([("doubtful", False), ("failed", True)], "failed"),
        ([("done", False), ("failed", False)], "printed"),
        ([(None, False)], "printed"),
    ],
)
def test_a_printer_shows_the_ticket_that_a_person_should_know_of_first(
    jobs: list[tuple[str | None, bool]], state: str
) -> None:
    at = NOON if jobs[0][0] in (None, "done") else None
    (one,) = printers_of([PrintSeen("kitchen-1", *job, at) for job in jobs])  # type: ignore[arg-type]
    assert (one.device, one.state, one.printed_at) == ("kitchen-1", state, at)


def test_a_printer_whose_only_ticket_was_dropped_has_nothing_of_the_order() -> None:
    assert printers_of([PrintSeen("kitchen-1", "failed", False, None)]) == []


@pytest.mark.parametrize(
    ("written", "stored", "lagging"),
    [
        ({}, {}, False),
        ({0: 5}, {0: 5}, False),
        ({0: 5}, {0: 7}, False),
        ({0: 5}, {0: 4}, True),
        ({0: 5, 1: 5}, {0: 5}, True),
        ({0: 0}, {}, False),
    ],
)
def test_what_was_written_at_the_last_look_must_be_stored(
    written: dict[int, int], stored: dict[int, int], lagging: bool
) -> None:
    assert lags(written, stored) is lagging


def test_a_record_that_cannot_be_read_harms_no_other() -> None:
    batch = ReceiptBatch("12", [Receipt("till-1", "till", "E1", 4)])
    found, unread = sightings_in([b"nonsense", encode_receipts(batch), None])
    assert ([one.device for one in found], unread) == (["till-1"], 2)


@pytest.mark.parametrize(
    "value",
    [
        b'{"store_id":"a b","receipts":[]}',
        b'{"store_id":"1","receipts":[{"device":"a\\u0000","subject":"x","epoch":"E","applied":1}]}',
        b'{"store_id":"1","receipts":[{"device":"a","subject":"x","epoch":"E","applied":-1}]}',
        b"[" * 100_000,
    ],
)
def test_what_core_could_not_store_is_no_receipt(value: bytes) -> None:
    with pytest.raises(RecordError):
        decode_receipts(value)


def test_a_record_holds_so_many_receipts_at_most() -> None:
    many = [Receipt(f"d{n}", "till", "E1", 1) for n in range(MAX_RECEIPTS + 1)]
    with pytest.raises(RecordError):
        decode_receipts(encode_receipts(ReceiptBatch("12", many)))


def sync_of(epoch: str, applied: int | None) -> Sighting:
    return Sighting("12", "till-1", "till", "polling", epoch, applied)


def receipt(epoch: str, applied: int) -> Sighting:
    return receipt_of("12", "till-1", "till", epoch, applied)


@pytest.mark.parametrize(
    ("before", "after", "epoch", "applied", "is_receipt"),
    [
        (receipt("E1", 5), receipt("E1", 4), "E1", 5, True),
        (receipt("E1", 5), receipt("E2", 1), "E2", 1, True),
        (receipt("E2", 5), receipt("E1", 9), "E2", 5, True),
        (sync_of("E1", 5), receipt("E1", 7), "E1", 7, True),
        (sync_of("E1", None), receipt("E1", 7), "E1", 7, True),
        (sync_of("E1", 5), receipt("E0", 7), "E1", 5, False),
        (receipt("E1", 7), sync_of("E1", 5), "E1", 7, True),
        (receipt("E1", 7), sync_of("E1", None), "E1", 7, True),
        (receipt("E1", 7), sync_of("E2", 0), "E2", 0, False),
        (sync_of("E1", 7), sync_of("E1", 5), "E1", 5, False),
    ],
)
def test_of_two_sightings_a_receipt_takes_nothing_back_and_a_sync_counts(
    before: Sighting, after: Sighting, epoch: str, applied: int, is_receipt: bool
) -> None:
    both = merged(before, after)
    assert (both.epoch, both.applied, both.is_receipt) == (epoch, applied, is_receipt)
