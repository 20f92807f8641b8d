"""Receipts: who may give them, who has an order, when they lag."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from client_sdk.contract import text
from client_sdk.contract.device import DeviceReport
from client_sdk.contract.errors import RecordError
from client_sdk.contract.text import MAX_SUBJECT
from core_api.access.callers import Caller
from core_api.errors import ForbiddenError
from core_api.postgres.pool import Pool
from core_api.processes import ingest
from core_api.receipts import devices, from_kafka
from core_api.receipts.devices import DeviceLog, Sighting, merged, receipt_of, receipts_of
from core_api.receipts.from_kafka import ReceiptReader, sightings_in
from core_api.receipts.holders import PrintSeen, holding, printers_of
from core_api.receipts.metrics import ReceiptMetrics
from core_api.receipts.receipts_lag import lags
from server_common.kafka_records.receipts import (
    MAX_RECEIPTS,
    Receipt,
    ReceiptBatch,
    decode_receipts,
    encode_receipts,
)
from tests.unit.core_api.test_doors import ODD

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


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.tuples(st.sampled_from(["device", "subject", "epoch"]), ODD), max_size=4),
    at=st.integers(0, 4),
)
@example(texts=[("subject", "\0")], at=1)
@example(texts=[("subject", "a\n")], at=0)
@example(texts=[("subject", "")], at=0)
@example(texts=[("subject", "\ud800")], at=0)
@example(texts=[("subject", "x" * (MAX_SUBJECT + 1))], at=0)
@example(texts=[("device", "\0"), ("epoch", "\0")], at=1)
def test_a_receipt_from_kafka_is_of_its_grammar_or_left_out_alone(
    texts: list[tuple[str, str]], at: int
) -> None:
    good = {"device": "good", "subject": "till", "epoch": "E1", "applied": 4}
    many: list[dict[str, object]] = [
        good | {"device": f"d{n}", name: odd} for n, (name, odd) in enumerate(texts)
    ]
    many.insert(at, good)
    value = json.dumps({"store_id": "12", "receipts": many}).encode()
    beside = encode_receipts(ReceiptBatch("12", [Receipt("beside", "till", "E1", 4)]))
    found, unread = sightings_in([value, beside])
    assert found.pop().device == "beside"
    if any("\ud800" <= char <= "\udfff" for _, odd in texts for char in odd):
        assert (found, unread) == ([], 1), "half of a surrogate pair: the whole is no JSON"
        return
    assert len(found) + unread == len(many)
    assert ("good", "till", "E1", 4) in [(s.device, s.subject, s.epoch, s.applied) for s in found]
    for one in found:
        assert text.is_subject(one.subject)
        assert text.is_epoch(one.epoch or "")
        assert one.device.isascii()
        assert "\0" not in one.device


@given(odd=ODD)
def test_a_store_of_a_record_is_of_its_grammar_or_the_record_is_left_out(odd: str) -> None:
    one = {"device": "d", "subject": "till", "epoch": "E1", "applied": 4}
    found, unread = sightings_in([json.dumps({"store_id": odd, "receipts": [one]}).encode()])
    assert (len(found), unread) == ((1, 0) if text.is_id(odd) else (0, 1))


async def test_ingest_counts_what_it_leaves_out_and_stores_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored: list[str] = []

    async def store(_pool: object, batch: Sequence[Sighting]) -> None:
        if "bad" in {one.device for one in batch}:
            raise ValueError("no database takes this one")
        stored.extend(one.device for one in batch)

    monkeypatch.setattr(ingest, "store_sightings", store)
    settings: Any = SimpleNamespace(cluster="", receipts_topic="r", messages_topic="m")
    registry, pool = CollectorRegistry(), cast("Pool", None)
    reader = ingest.receipt_reader(settings, pool, ReceiptMetrics(registry))
    many = [Receipt(name, "till", "E1", 1) for name in ("a", "bad", "b")]
    await reader.take([encode_receipts(ReceiptBatch("12", many)), b"nonsense", None])
    assert sorted(stored) == ["a", "b"]
    for reason, count in (("refused", 1), ("unreadable", 2)):
        found = registry.get_sample_value("yabam_ingest_dropped_receipts_total", {"reason": reason})
        assert found == count


async def test_all_of_one_look_is_stored_however_much_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (devices, from_kafka):
        monkeypatch.setattr(module, "UNSTORED_REPORTS", 10)
    stored: list[Sighting] = []

    async def store(batch: Sequence[Sighting]) -> None:
        stored.extend(batch)

    async def nobody(_store: str) -> list[devices.Device]:
        return []

    left_out: list[int] = []
    reader = ReceiptReader("", [], DeviceLog(store, nobody), left_out.append)
    many = [Receipt(f"d{n}", "till", "E1", 1) for n in range(25)]
    await reader.take([encode_receipts(ReceiptBatch("12", many)), b"nonsense"])
    assert {one.device for one in stored} == {one.device for one in many}
    assert left_out == [1]


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
